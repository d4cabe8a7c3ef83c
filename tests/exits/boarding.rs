//! Coins at boarding addresses that went into no batch: their owner takes them alone.

use bitcoin::{Address, OutPoint, TxOut};
use regtest::operator::Unit;
use virtual_channels::channel::Unit as DelayUnit;
use virtual_channels::wallet::{EventKind, ExitInfo, ExitReason, ExitStage, Wallet};

use crate::coins::all_done;
use crate::stage::{told, wait};
use crate::world::{World, sats};

/// Pays to the wallet's boarding address and confirms it.
async fn board(world: &World, wallet: &Wallet, amount: u64) -> OutPoint {
    let address: Address<_> = wallet.boarding_address().unwrap().parse().unwrap();
    let script = address.assume_checked().script_pubkey();
    let tx = world.regtest.node().pay(&[TxOut { value: sats(amount), script_pubkey: script.clone() }]).await.unwrap();
    world.mine(1).await;
    let vout = tx.output.iter().position(|output| output.script_pubkey == script).unwrap();
    OutPoint::new(tx.compute_txid(), u32::try_from(vout).unwrap())
}

fn begun(exits: &[ExitInfo]) -> Vec<(OutPoint, ExitReason)> {
    exits.iter().map(|exit| (exit.outpoint, exit.reason)).collect()
}

/// When a coin that is confirmed in the last block can be claimed, by the test operator's delays: 30 blocks, or 1536 s.
async fn ripe(world: &World, unit: Unit) -> (u64, DelayUnit) {
    let tip = world.regtest.node().tip().await.unwrap();
    match unit {
        Unit::Blocks => (u64::from(tip.height) + 29, DelayUnit::Blocks),
        Unit::Seconds => (tip.time + 1_536, DelayUnit::Seconds),
    }
}

async fn the_operator_is_gone(unit: Unit) {
    let world = World::start(unit).await;
    let payer = world.wallet("payer").await;
    let coin = board(&world, &payer, 50_000).await;
    let until = ripe(&world, unit).await;
    world.regtest.stop_operator().await;
    let report = payer.maintain().await.unwrap();
    assert_eq!(report.exits, []);
    assert!(report.next_run.is_some(), "when it can be claimed");

    wait(&world, until).await;
    let exits = payer.maintain().await.unwrap().exits;
    assert_eq!(begun(&exits), [(coin, ExitReason::Deadline)]);
    world.mine(1).await;
    let done = all_done(&world, &payer).await;
    assert!(done.len() == 1 && done[0].amount > sats(49_000), "{done:?}");
    assert_eq!(payer.onchain_balance().await.unwrap().confirmed, done[0].amount, "without any coin for fees");
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::SeedUsedElsewhere { .. })), 0);
    assert_eq!(payer.maintain().await.unwrap().exits, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_gone_in_blocks() {
    the_operator_is_gone(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_gone_in_seconds() {
    the_operator_is_gone(Unit::Seconds).await;
}

/// The user does not want to wait for the operator: the exit begins, and waits for the delay. No batch takes the coin then.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_the_user_takes_back() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let coin = board(&world, &payer, 50_000).await;
    let (until, unit) = ripe(&world, Unit::Blocks).await;
    let exits = payer.exit_coins().await.unwrap();
    assert_eq!(begun(&exits), [(coin, ExitReason::Asked)]);
    assert_eq!(exits[0].stage, ExitStage::Waiting { until, unit });
    assert_eq!(payer.balance().await.unwrap().pending, sats(50_000));
    let report = payer.maintain().await.unwrap();
    assert!(report.settled.is_none() && report.errors.is_empty(), "{report:?}");
    // Another process goes on with it.
    payer.close().unwrap();
    let payer = world.wallet("payer").await;
    wait(&world, (until, unit)).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
    assert_eq!(payer.balance().await.unwrap().total(), sats(0));
}

/// An operator takes no coin whose owner can take it alone, and nothing else that comes with it: that holds up nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_was_forgotten() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.wallet("payer").await;
    let old = board(&world, &payer, 30_000).await;
    wait(&world, ripe(&world, Unit::Seconds).await).await;
    world.board(&payer, 50_000).await;
    assert_eq!(payer.settle(false).await.unwrap().amount, sats(50_000));
    let exits = payer.maintain().await.unwrap().exits;
    assert_eq!(begun(&exits), [(old, ExitReason::Deadline)]);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
    assert_eq!(payer.balance().await.unwrap().settled, sats(50_000));
}

/// The block with the coin is taken back, and another one has it.
#[tokio::test(flavor = "multi_thread")]
async fn its_block_is_taken_back() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    board(&world, &payer, 50_000).await;
    let (until, unit) = ripe(&world, Unit::Blocks).await;
    payer.exit_coins().await.unwrap();
    world.regtest.node().reorg(3).await.unwrap();
    let exits = payer.advance_exits().await.unwrap();
    assert_eq!(exits[0].problem, None, "{exits:?}");
    wait(&world, (until + 5, unit)).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
}
