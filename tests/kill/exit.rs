//! Killed while it leaves on chain, the operator gone for good: it ends with all of its money there, claimed once.

use std::time::Duration;

use bitcoin::Amount;
use regtest::operator::Unit;
use secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};
use virtual_channels::channel::{ChannelId, Unit as DelayUnit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitStage, Wallet};

use crate::child::{Victim, listen, points, say};
use crate::on_chain::{fund, in_a_batch, off_chain, told, wait};
use crate::stage::{Stage, enter};
use crate::world::{pay, sats};

/// What a payer has at the beginning.
const FUNDS: u64 = 100_000;
const CAPACITY: u64 = 30_000;
const PAID: u64 = 12_000;
/// What there is for fees.
const FEES: u64 = 20_000;

/// Takes the exit of the channel it is told of one run further, and says where it is then.
pub async fn child(arguments: &[&str]) {
    let (wallet, rest) = enter(arguments).await;
    let id: ChannelId = rest[0].parse().unwrap();
    match wallet.channel(&id).unwrap().state {
        ChannelState::Open => drop(wallet.exit_channel(&id).await.unwrap()),
        _ => drop(wallet.advance_exits().await.unwrap()),
    }
    let exits = wallet.exits().unwrap();
    if let Some(problem) = exits.iter().find_map(|exit| exit.problem.as_ref()) {
        panic!("{problem:?}");
    }
    let waits = exits.iter().map(|exit| match exit.stage {
        ExitStage::Waiting { until, unit: DelayUnit::Blocks } => Some(until),
        _ => None,
    });
    match waits.collect::<Option<Vec<u64>>>() {
        Some(waits) if waits.is_empty() => say("at the end"),
        Some(waits) => say(&format!("at {}", waits.into_iter().min().unwrap())),
        None => say("at work"),
    }
    listen();
}

/// Where a child says it is within that time: then its run is at its end. It is killed in any case.
fn killed_after(victim: Victim, time: Duration) -> Option<String> {
    let said = victim.hear_within(time);
    let more = victim.kill();
    said.into_iter().chain(more).find_map(|line| line.strip_prefix("at ").map(str::to_owned))
}

/// Leaves with children that are killed, each a little later than the one before, until one comes to the end of its run; then the
/// chain goes on. Answers how many were killed before that.
async fn leave(stage: &Stage, name: &str, id: &ChannelId, rng: &mut StdRng) -> u32 {
    // Finer with more kills: a run takes a tenth of a second or so.
    let step = 400_000 / u64::from(points(25));
    let (mut kills, mut after) = (0, 0);
    loop {
        let victim = stage.victim("exit", name, &[&id.to_string()]);
        let Some(place) = killed_after(victim, Duration::from_micros(after)) else {
            kills += 1;
            assert!(kills < 4_000, "it does not come to an end");
            after += rng.gen_range(1..=2 * step);
            continue;
        };
        after = rng.gen_range(0..=step);
        match place.as_str() {
            "the end" => return kills,
            "work" => stage.world.mine(1).await,
            height => wait(&stage.world, (height.parse().unwrap(), DelayUnit::Blocks)).await,
        }
    }
}

/// What a wallet has at the end, which began and claimed each of `exits` once.
async fn has(stage: &Stage, name: &str, id: &ChannelId, exits: usize, state: ChannelState) -> Amount {
    let wallet: Wallet = stage.wallet(name).await;
    assert_eq!(wallet.channel(id).unwrap().state, state);
    assert_eq!(stage.flows(name), Vec::<String>::new());
    assert_eq!(told(&wallet, |kind| matches!(kind, EventKind::ExitBegan { .. })), exits);
    assert_eq!(told(&wallet, |kind| matches!(kind, EventKind::ExitClaimed { .. })), exits);
    assert_eq!(told(&wallet, |kind| matches!(kind, EventKind::ExitLost { .. })), 0);
    stage.world.mine(1).await;
    wallet.sync_onchain().await.unwrap();
    let balance = wallet.onchain_balance().await.unwrap();
    assert_eq!(balance.pending, sats(0));
    balance.confirmed
}

/// Tree, checkpoint, ark transaction, exit update.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_killed_while_it_leaves() {
    let stage = Stage::new(Unit::Blocks).await;
    let (payer, receiver) = (stage.wallet("payer").await, stage.wallet("receiver").await);
    let id = off_chain(&stage.world, &payer, &receiver, CAPACITY).await;
    pay(&payer, &receiver, &id, PAID, "one");
    fund(&stage.world, &receiver, &[FEES]).await;
    stage.world.regtest.stop_operator().await;
    receiver.close().unwrap();
    let kills = leave(&stage, "receiver", &id, &mut StdRng::seed_from_u64(305)).await;
    println!("the receiver was killed {kills} times while it left");
    assert!(kills > 10, "{kills}");
    let has = has(&stage, "receiver", &id, 1, ChannelState::Settled).await;
    assert!(has > sats(FEES + PAID - 2_500) && has < sats(FEES + PAID), "{has}");
}

/// The receiver stays away: the payer takes everything, after d2.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_killed_while_it_leaves() {
    let stage = Stage::new(Unit::Blocks).await;
    let (payer, receiver) = (stage.wallet("payer").await, stage.wallet("receiver").await);
    let id = in_a_batch(&stage.world, &payer, &receiver, CAPACITY).await;
    pay(&payer, &receiver, &id, PAID, "one");
    fund(&stage.world, &payer, &[FEES]).await;
    stage.world.regtest.stop_operator().await;
    receiver.close().unwrap();
    payer.close().unwrap();
    let kills = leave(&stage, "payer", &id, &mut StdRng::seed_from_u64(306)).await;
    println!("the payer was killed {kills} times while it left");
    assert!(kills > 10, "{kills}");
    // With its change, which stands beside the channel.
    let has = has(&stage, "payer", &id, 2, ChannelState::Refunded).await;
    assert!(has > sats(FEES + FUNDS - 2_500) && has < sats(FEES + FUNDS), "{has}");
}
