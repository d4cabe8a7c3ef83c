//! The payer has the channel's script banned: it takes part in batches with the channel VTXO and signs none of them.

use std::time::Duration;

use regtest::operator::wire::ark_service_client::ArkServiceClient;
use regtest::operator::wire::get_event_stream_response::Event;
use regtest::operator::{Unit, wire};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::WalletError;

use crate::case::{PAID, paid_with};
use crate::world::{eventually, sats};

#[tokio::test(flavor = "multi_thread")]
async fn banned_after_three_batches_the_close_waits_for_the_ban_to_pass() {
    let change = |settings: &mut regtest::operator::Settings| settings.ban_duration = Duration::from_secs(8);
    let case = paid_with(Unit::Seconds, change).await;
    let mut client = ArkServiceClient::connect(case.world.regtest.operator_url().to_owned()).await.unwrap();
    let request = wire::GetEventStreamRequest { topics: vec![case.row("payer").record.funding.to_string()] };
    let mut events = client.get_event_stream(request).await.unwrap().into_inner();
    for _ in 0..3 {
        let intent_id = case.lock().await.unwrap();
        // It confirms, and signs nothing.
        while !matches!(events.message().await.unwrap().unwrap().event, Some(Event::BatchStarted(_))) {}
        client.confirm_registration(wire::ConfirmRegistrationRequest { intent_id }).await.unwrap();
        while !matches!(events.message().await.unwrap().unwrap().event, Some(Event::BatchFailed(_))) {}
    }
    let error = case.close_refused().await;
    let WalletError::Operator(error) = error else { panic!("{error}") };
    assert!(error.is_banned(), "{error}");
    // Closing is one-way: it waits, and the payer can pay nobody else meanwhile.
    assert_eq!(case.state(), ChannelState::Closing);
    let error = case.lock().await.unwrap_err();
    assert!(error.is_banned(), "the payer has banned itself, too: {error}");
    eventually("the close", async || case.receiver.close_channel(&case.id).await.is_ok()).await;
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(PAID));
}
