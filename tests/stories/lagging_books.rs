//! An operator whose indexer shows a transaction later than it answers, as arkd's does.

use std::time::Duration;

use regtest::operator::{Action, Call, Knob, Unit};
use virtual_channels::wallet::{Acceptance, FundingChoice, InviteRequest};

use crate::world::{World, eventually, pay, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_funded_off_chain() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();

    world.regtest.operator().await.faults().once(Call::FinalizeTx, Action::Delay(Duration::from_millis(500)));
    let seen = async |call| world.regtest.operator().await.faults().seen(call);
    let catch_up = async {
        eventually("finalizing", async || seen(Call::FinalizeTx).await == 1).await;
        world.regtest.operator().await.faults().turn(Knob::StaleNew);
        let looks = seen(Call::GetVtxos).await;
        eventually("a look that finds nothing", async || seen(Call::GetVtxos).await > looks).await;
        world.regtest.operator().await.faults().release(Knob::StaleNew);
    };
    let funding = request(30_000, FundingChoice::Offchain);
    let (proposal, ()) = tokio::try_join!(payer.propose(&invite, &funding), async {
        catch_up.await;
        Ok(())
    })
    .unwrap();
    let Acceptance::Open(id) = receiver.accept(&proposal.offer).await.unwrap() else {
        panic!("an off-chain offer is open at once");
    };
    pay(&payer, &receiver, &id, 1_000, "one");
}
