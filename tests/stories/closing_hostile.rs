//! Closing against a payer that locks the channel, and under a checkpoint script that changes meanwhile.

use bitcoin::TxOut;
use regtest::operator::wire::ark_service_client::ArkServiceClient;
use regtest::operator::wire::get_event_stream_response::Event;
use regtest::operator::{Action, Call, Knob, Phase, wire};
use virtual_channels::channel::intent::{Intent, IntentInput, IntentMessage};
use virtual_channels::channel::terms::leaf;
use virtual_channels::channel::{Authorisation, Channel, ChannelError, ChannelTerms, psbt};
use virtual_channels::operator::{Operator, code};
use virtual_channels::store::{ChannelState, FlowKind};
use virtual_channels::wallet::{KeyUse, WalletError};

use crate::closing::{Case, PAID, case};
use crate::offline::keys;
use crate::world::{eventually, pay, refused, sats};

/// The payer alone registers the channel VTXO for a batch, through its own leaf: the relative lock is taken from the
/// sequence, and 0xffffffff says that there is none.
async fn lock(case: &Case) {
    let record = case.row("payer").record;
    let terms = ChannelTerms::from_canonical(&record.terms).unwrap();
    let channel = Channel::new(terms, record.funding).unwrap();
    let key = |key_use| keys("payer").keypair(key_use, record.key_index).unwrap();
    let input = IntentInput::unlocked(channel.funding, terms.capacity, channel.tree().clone(), leaf::UNILATERAL);
    let cosigners = vec![key(KeyUse::Cosigner).public_key()];
    let message = IntentMessage::Register { onchain_outputs: Vec::new(), valid_at: 0, expire_at: 0, cosigners };
    let back = TxOut { value: terms.capacity, script_pubkey: terms.payer.ark_payout.script() };
    let mut intent = Intent::new(&message, &[input], vec![back]).unwrap();
    intent.sign_all(&key(KeyUse::Payer)).unwrap();
    let operator = Operator::connect(case.world.regtest.operator_url()).await.unwrap();
    operator.register_intent(&intent).await.expect("arkd takes it, too");
}

/// A receiver that asks for more than was signed: with its own signature, and the payer's for another amount.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_at_more_than_was_signed() {
    let case = case().await;
    let row = case.row("receiver");
    let terms = ChannelTerms::from_canonical(&row.record.terms).unwrap();
    let channel = Channel::new(terms, row.record.funding).unwrap();
    let script = Authorisation::from_bytes(&row.authorisation.unwrap()).unwrap().script;
    let update = case.receiver.latest_update(&case.id).unwrap().message.update;
    let own = keys("receiver").keypair(KeyUse::Receiver, row.record.key_index).unwrap();
    let operator = Operator::connect(case.world.regtest.operator_url()).await.unwrap();
    for more in [1, 1_000, terms.capacity.to_sat() - PAID] {
        let close = channel.close(&script, sats(PAID + more)).unwrap();
        let mut ark = close.ark_psbt().unwrap();
        close.sign_ark(&mut ark, 0, &own).unwrap();
        let leaf = &close.checkpoint(0).unwrap().leaf;
        psbt::add_signature(&mut ark, 0, leaf, terms.payer.key, update.ark_signature).unwrap();
        let refused = operator.submit(&close, &ark, terms.operator).await.unwrap_err();
        assert!(refused.is(code::INVALID_SIGNATURE), "{refused}");
    }
    case.receiver.close_channel(&case.id).await.unwrap();
    case.closed_at(PAID).await;
}

/// A receiver that closes with an update which it has replaced: the difference is the payer's.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_at_an_old_amount() {
    let mut case = case().await;
    let file = case.world.path("receiver");
    let old = file.with_extension("old");
    case.receiver.close().unwrap();
    std::fs::copy(&file, &old).unwrap();
    case.receiver = case.world.wallet("receiver").await;
    pay(&case.payer, &case.receiver, &case.id, 1_000, "more");
    case.receiver.close().unwrap();
    std::fs::copy(&old, &file).unwrap();
    case.receiver = case.world.wallet("receiver").await;
    case.receiver.close_channel(&case.id).await.unwrap();
    case.closed_at(PAID).await;
}

async fn deletions(case: &Case) -> u64 {
    case.world.regtest.operator().await.faults().seen(Call::DeleteIntent)
}

#[tokio::test(flavor = "multi_thread")]
async fn vtxo_already_registered_by_the_payer() {
    let case = case().await;
    // No batch begins: the intent stays in the queue.
    case.change(|settings| settings.min_participants = 2).await;
    lock(&case).await;
    let before = deletions(&case).await;
    case.receiver.close_channel(&case.id).await.unwrap();
    assert_eq!(deletions(&case).await, before + 1, "evicted with the delete proof");
    assert_eq!(case.row("receiver").hot.state, ChannelState::Closed);
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(2_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hostile_intent_is_in_a_running_batch() {
    let case = case().await;
    let mut client = ArkServiceClient::connect(case.world.regtest.operator_url().to_owned()).await.unwrap();
    let request = wire::GetEventStreamRequest { topics: Vec::new() };
    let mut events = client.get_event_stream(request).await.unwrap().into_inner();
    case.world.regtest.operator().await.faults().turn(Knob::Stall(Phase::Started));
    lock(&case).await;
    while !matches!(events.message().await.unwrap().unwrap().event, Some(Event::BatchStarted(_))) {}
    let error = refused(case.receiver.close_channel(&case.id).await);
    let WalletError::Operator(error) = error else { panic!("{error}") };
    assert!(error.is_registered(), "{error}");
    assert_eq!(case.row("receiver").hot.state, ChannelState::Closing);
    // The batch comes to nothing, and the lock passes.
    case.change(|settings| settings.min_participants = 2).await;
    case.world.regtest.operator().await.faults().release(Knob::Stall(Phase::Started));
    eventually("the close", async || case.receiver.close_channel(&case.id).await.is_ok()).await;
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(2_000));
}

/// The operator is set to another checkpoint delay.
async fn change_script(case: &Case, delay: u32) {
    case.change(|settings| settings.checkpoint_delay = delay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_script_changed_before_closing() {
    let case = case().await;
    change_script(&case, 1_024).await;
    let before = case.row("receiver");
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { channel_id } if channel_id == case.id), "{error}");
    assert_eq!(case.row("receiver"), before, "still open");
    assert!(case.submissions().await.is_empty());

    let again = case.payer.reauthorise(&case.id).await.unwrap();
    assert_eq!((again.amount, again.repeated), (sats(2_000), true));
    assert_eq!(case.receiver.receive(&again.message).unwrap().increase, sats(0));
    case.receiver.close_channel(&case.id).await.unwrap();
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(2_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_script_changed_after_closing_began() {
    let case = case().await;
    case.fault(Call::SubmitTx, Action::Drop).await;
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");

    change_script(&case, 1_024).await;
    let again = case.payer.reauthorise(&case.id).await.unwrap().message;
    // Nobody knows yet whether the operator holds what was submitted: nothing may change now.
    let before = case.row("receiver");
    refused(case.receiver.receive(&again));
    case.receiver.watch(&case.id).await.unwrap();
    let error = refused(case.receiver.receive(&again));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closing, .. }), "{error}");
    assert_eq!(case.row("receiver").hot.update, before.hot.update);
    assert_eq!(case.row("receiver").authorisation, before.authorisation);

    // The operator says that it took nothing, and what it wants instead.
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
    assert_eq!(case.step("receiver", FlowKind::Close).as_deref(), Some("mismatch"));
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "asking again changes nothing: {error}");

    // Another amount is refused even now; the same one goes on.
    let more = case.payer.pay(&case.id, sats(500), "more", None).unwrap().message;
    let error = refused(case.receiver.receive(&more));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closing, .. }), "{error}");
    assert_eq!(case.receiver.receive(&again).unwrap().increase, sats(0));
    case.receiver.close_channel(&case.id).await.unwrap();
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(2_000));
    let submitted = case.submissions().await;
    assert_eq!(submitted.iter().collect::<std::collections::BTreeSet<_>>().len(), 2, "one for each checkpoint");
}

/// A close that waits for the payer's signatures waits for them however often it is tried, and whoever does not answer. Where
/// the operator goes back to its former script nothing more is needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_waits_for_signatures_is_tried_again() {
    for comes in [true, false] {
        let case = case().await;
        case.fault(Call::SubmitTx, Action::Drop).await;
        refused(case.receiver.close_channel(&case.id).await);
        let mut former = 0;
        case.change(|settings| former = std::mem::replace(&mut settings.checkpoint_delay, 1_024)).await;
        let error = refused(case.receiver.close_channel(&case.id).await);
        assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
        let again = case.payer.reauthorise(&case.id).await.unwrap().message;
        let submitted = case.submissions().await.len();
        // Were it submitted again, nobody would know what the operator holds.
        case.fault(Call::SubmitTx, Action::Drop).await;
        let error = refused(case.receiver.close_channel(&case.id).await);
        assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
        case.world.regtest.stop_operator().await;
        let error = refused(case.receiver.close_channel(&case.id).await);
        assert!(matches!(error, WalletError::Operator(_)), "{error}");
        assert_eq!(case.step("receiver", FlowKind::Close).as_deref(), Some("mismatch"));
        case.world.regtest.start_operator().await.unwrap();
        assert_eq!(case.submissions().await.len(), submitted);
        case.world.regtest.operator().await.faults().clear();
        if comes {
            case.change(|settings| settings.checkpoint_delay = 1_024).await;
            assert_eq!(case.receiver.receive(&again).unwrap().increase, sats(0));
        } else {
            case.change(|settings| settings.checkpoint_delay = former).await;
        }
        case.receiver.close_channel(&case.id).await.unwrap();
        assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(2_000));
    }
}

/// The operator took the transaction, the answer was lost, and only then its checkpoint script changed. Signatures for
/// the new script must not take the place of those that the pending transaction needs.
#[tokio::test(flavor = "multi_thread")]
async fn checkpoint_script_changed_while_the_operator_holds_the_transaction() {
    let case = case().await;
    case.fault(Call::SubmitTx, Action::LoseAnswer).await;
    case.fault(Call::GetPendingTx, Action::Drop).await;
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    // The lost answer may have broken the connection before the second call came to its fault.
    case.world.regtest.operator().await.faults().clear();
    change_script(&case, 1_024).await;
    let again = case.payer.reauthorise(&case.id).await.unwrap().message;
    case.receiver.watch(&case.id).await.unwrap();
    let error = refused(case.receiver.receive(&again));
    assert!(matches!(error, WalletError::WrongState { .. }), "{error}");
    case.receiver.close_channel(&case.id).await.unwrap();
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(2_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_learns_the_new_checkpoint_script_by_watching() {
    let case = case().await;
    change_script(&case, 1_024).await;
    let again = case.payer.reauthorise(&case.id).await.unwrap().message;
    let before = case.row("receiver");
    let error = refused(case.receiver.receive(&again));
    assert!(matches!(error, WalletError::Channel(ChannelError::UnknownCheckpointScript { .. })), "{error}");
    assert_eq!(case.row("receiver"), before);
    case.receiver.watch(&case.id).await.unwrap();
    assert_eq!(case.receiver.receive(&again).unwrap().increase, sats(0));
    case.receiver.close_channel(&case.id).await.unwrap();
}
