//! Killed while a channel is closed: the receiver ends with exactly its amount, once, and nothing is left under way.

use std::time::Duration;

use regtest::operator::{Call, Unit};
use secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};
use virtual_channels::channel::ChannelId;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, Wallet};

use crate::child::{listen, say};
use crate::stage::{Kill, Stage, enter};
use crate::world::{eventually, pay, sats};

const FUNDS: u64 = 2_000_000;
const CAPACITY: u64 = 10_000;

/// Closes the channel it is told of.
pub async fn receiver(arguments: &[&str]) {
    let (wallet, rest) = enter(arguments).await;
    let id: ChannelId = rest[0].parse().unwrap();
    wallet.close_channel(&id).await.unwrap();
    say("done");
    listen();
}

/// Each call and each step, and random moments.
fn points() -> Vec<Kill> {
    let calls = [Call::GetInfo, Call::SubmitTx, Call::FinalizeTx];
    let mut points: Vec<Kill> = calls.iter().flat_map(|call| [Kill::Before(*call), Kill::Answering(*call)]).collect();
    points.extend(["Submitted", "Finalized", "done"].map(Kill::Said));
    let mut rng = StdRng::seed_from_u64(304);
    points.extend((0..22).map(|_| Kill::After(Duration::from_micros(rng.gen_range(0..70_000)))));
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_killed_while_it_closes() {
    let stage = Stage::new(Unit::Seconds).await;
    let payer = stage.wallet("payer").await;
    stage.world.board(&payer, FUNDS).await;
    stage.world.settle(&payer).await;
    let mut earned = 0;
    for (number, kill) in (0..).zip(points()) {
        let receiver = stage.wallet("receiver").await;
        let id = stage.world.open(&payer, &receiver, CAPACITY).await;
        // Every third channel is paid in full: then there is no output for the payer.
        let amount = if number % 3 == 0 { CAPACITY } else { 1_000 + number };
        pay(&payer, &receiver, &id, amount, "all of it");
        receiver.close().unwrap();
        stage.prepare(kill).await;
        let finalized = finalizations(&stage).await;
        let victim = stage.victim("close", "receiver", &[&id.to_string()]);
        stage.strike(victim, kill, async |_, _| {}).await;
        println!("the receiver is killed: {kill:?}; it left {:?}", stage.flows("receiver"));
        let receiver = stage.wallet("receiver").await;
        let (left, errors) = receiver.resume().await.unwrap();
        assert!(left == 0 && errors.is_empty(), "{left} left, {errors:?}");
        if receiver.channel(&id).unwrap().state == ChannelState::Open {
            // It had not begun.
            receiver.close_channel(&id).await.unwrap();
        }
        earned += amount;
        check(&stage, &payer, &receiver, &id, earned).await;
        let calls = finalizations(&stage).await - finalized;
        // A call that the kill cut off before it was carried out is made again.
        let expected = if matches!(kill, Kill::Answering(_)) { 1 } else { 2 };
        assert!(calls <= expected, "FinalizeTx was called {calls} times");
        receiver.close().unwrap();
    }
}

/// Calls of FinalizeTx so far. One for a transaction that is final already would mark it failed in arkd's books.
async fn finalizations(stage: &Stage) -> u64 {
    stage.world.regtest.operator().await.faults().seen(Call::FinalizeTx)
}

async fn check(stage: &Stage, payer: &Wallet, receiver: &Wallet, id: &ChannelId, earned: u64) {
    assert_eq!(stage.flows("receiver"), Vec::<String>::new());
    let closed = receiver.channel(id).unwrap();
    assert_eq!(closed.state, ChannelState::Closed);
    // A second close changes nothing.
    assert!(receiver.close_channel(id).await.is_err());
    let balance = receiver.balance().await.unwrap();
    assert_eq!((balance.total(), balance.preconfirmed, balance.pending), (sats(earned), sats(earned), sats(0)));
    eventually("the payer sees the close", async || {
        payer.watch(id).await.is_ok_and(|report| report.state == ChannelState::Closed)
    })
    .await;
    assert_eq!(payer.channel(id).unwrap().result, closed.result);
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.total(), balance.pending), (sats(FUNDS - earned), sats(0)));
    // Told once, until it is acknowledged.
    let closes = receiver.pending_events(1_000).unwrap().into_iter().filter(|event| event.channel == Some(*id));
    let closes: Vec<_> = closes.filter(|event| matches!(event.kind, EventKind::ChannelClosed { .. })).collect();
    assert_eq!(closes.len(), 1, "{closes:?}");
}
