//! The wallet's own VTXOs leave, too.

use std::collections::HashSet;
use std::time::Duration;

use regtest::operator::{Action, Call, Unit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitInfo, ExitProblem, ExitStage, Wallet};

use crate::stage::{fund, pair, state, told, wait};
use crate::world::{World, pay, sats};

/// Advances and mines until all exits are at their end.
pub async fn all_done(world: &World, wallet: &Wallet) -> Vec<ExitInfo> {
    let mut done: Vec<ExitInfo> = Vec::new();
    for _ in 0..40 {
        let infos = wallet.advance_exits().await.unwrap();
        if infos.is_empty() {
            return done;
        }
        for info in infos {
            assert_eq!(info.problem, None, "{info:?}");
            match info.stage {
                ExitStage::Waiting { until, unit } => wait(world, (until, unit)).await,
                ExitStage::Done => done.push(info),
                _ => {}
            }
        }
        world.mine(1).await;
    }
    panic!("not done after 40 rounds: {:?}", wallet.exits().unwrap());
}

async fn leave_with_all(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    // The payer: a settled coin, and change of an off-chain opening. The receiver: what it was sent, and a closed channel.
    world.board(&payer, 100_000).await;
    world.settle(&payer).await;
    let id = world.open_offchain(&payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    receiver.close_channel(&id).await.unwrap();
    payer.send(&receiver.new_ark_address().unwrap(), sats(9_000)).await.unwrap();
    world.board(&payer, 40_000).await;
    payer.settle(false).await.unwrap();
    world.mine(1).await;
    // Maintenance notices what came from others, and keeps its branch; settling would cost more than it is worth.
    world.regtest.operator().await.change(|settings| settings.fees.offchain_input = "11000.0".into());
    assert!(receiver.maintain().await.unwrap().settled.is_none());
    for wallet in [&payer, &receiver] {
        fund(&world, wallet, &[10_000, 10_000, 10_000]).await;
    }
    world.regtest.stop_operator().await;

    let begun = receiver.exit_coins().await.unwrap();
    let amounts: HashSet<u64> = begun.iter().map(|info| info.amount.to_sat()).collect();
    assert_eq!(amounts, HashSet::from([12_000, 9_000]));
    assert_eq!(state(&receiver, &id), ChannelState::Exiting);
    assert_eq!(receiver.exit_coins().await.unwrap().len(), 1, "what has begun is not begun again");
    world.mine(1).await;
    let done = all_done(&world, &receiver).await;
    assert_eq!(done.len(), 2);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    assert_eq!(told(&receiver, |kind| matches!(kind, EventKind::ExitClaimed { .. })), 2);

    let begun = payer.exit_coins().await.unwrap();
    assert!(!begun.is_empty());
    world.mine(1).await;
    let done = all_done(&world, &payer).await;
    assert_eq!(done.len(), begun.len());
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::SeedUsedElsewhere { .. })), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_coins_leave_in_blocks() {
    leave_with_all(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_coins_leave_in_seconds() {
    leave_with_all(Unit::Seconds).await;
}

/// The operator dies while a settling waits for it: nothing was signed away, so the coin is free to leave.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_an_interrupted_flow_held() {
    let (world, payer, _) = pair(Unit::Blocks).await;
    world.board(&payer, 50_000).await;
    world.settle(&payer).await;
    world.regtest.operator().await.faults().always(Call::RegisterIntent, Action::Hang);
    let settling = tokio::time::timeout(Duration::from_secs(3), payer.settle(true)).await;
    assert!(settling.is_err(), "it hangs");
    payer.close().unwrap();
    let payer = world.wallet("payer").await;
    fund(&world, &payer, &[10_000]).await;
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|info| info.amount).collect::<Vec<_>>(), [sats(50_000)]);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
    assert_eq!(payer.resume().await.unwrap().0, 0, "the settling is over");
}

/// What costs more than it brings is told with its figures, and not begun.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_is_not_worth_its_exit() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    world.board(&payer, 100_000).await;
    world.settle(&payer).await;
    for amount in [20_000, 1_000] {
        payer.send(&receiver.new_ark_address().unwrap(), sats(amount)).await.unwrap();
    }
    world.regtest.operator().await.change(|settings| settings.fees.offchain_input = "11000.0".into());
    assert_eq!(receiver.maintain().await.unwrap().kept, 2);
    fund(&world, &receiver, &[10_000, 10_000]).await;
    world.regtest.stop_operator().await;
    let answer = receiver.exit_coins().await.unwrap();
    let small = answer.iter().find(|exit| exit.amount == sats(1_000)).unwrap();
    let Some(ExitProblem::NothingLeft { amount, fee }) = small.problem else { panic!("{small:?}") };
    assert!(amount == sats(1_000) && fee > sats(700), "{fee}");
    assert_eq!(receiver.exits().unwrap().iter().map(|exit| exit.amount).collect::<Vec<_>>(), [sats(20_000)]);
    world.mine(1).await;
    assert_eq!(all_done(&world, &receiver).await.len(), 1);
}

/// Two coins by the same way: one of both exits pays for each transaction.
#[tokio::test(flavor = "multi_thread")]
async fn two_coins_in_one_transaction() {
    let (world, payer, _) = pair(Unit::Blocks).await;
    world.board(&payer, 100_000).await;
    world.settle(&payer).await;
    // Change and payment are the outputs of one transaction.
    payer.send(&payer.new_ark_address().unwrap(), sats(30_000)).await.unwrap();
    fund(&world, &payer, &[10_000, 10_000, 10_000]).await;
    world.regtest.stop_operator().await;
    let before = world.regtest.node().call("getrawmempool", vec![]).await.unwrap();
    assert_eq!(payer.exit_coins().await.unwrap().len(), 2);
    let after = world.regtest.node().call("getrawmempool", vec![]).await.unwrap();
    let count = |pool: &serde_json::Value| pool.as_array().unwrap().len();
    assert_eq!(count(&after) - count(&before), 2, "a parent and one child");
    world.mine(1).await;
    let done = all_done(&world, &payer).await;
    assert_eq!(done.len(), 2);
}
