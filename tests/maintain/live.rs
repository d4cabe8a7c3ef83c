//! Live: what happens is noticed and answered while it happens, with nobody calling.

use std::time::Duration;

use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitReason, Wallet};

use crate::case::{Case, PAID, reasons, told};
use crate::world::{World, eventually, sats};

const POLL: Duration = Duration::from_millis(500);

fn live(wallet: &Wallet) -> tokio::task::JoinHandle<Result<(), Box<virtual_channels::wallet::WalletError>>> {
    let wallet = wallet.clone();
    tokio::spawn(async move { wallet.live(POLL).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_is_noticed_and_the_wallet_can_be_closed() {
    let case = Case::new(Unit::Blocks).await;
    let payer = live(&case.payer);
    case.receiver.close_channel(&case.id).await.unwrap();
    eventually("the payer sees it", async || case.state(&case.payer) == ChannelState::Closed).await;
    assert_eq!(told(&case.payer, |kind| matches!(kind, EventKind::ChannelClosed { .. })), 1);
    // The operator goes away and comes back: so does the subscription.
    case.world.regtest.stop_operator().await;
    case.world.mine(1).await;
    case.world.regtest.start_operator().await.unwrap();
    assert!(!payer.is_finished());
    case.payer.close().unwrap();
    tokio::time::timeout(Duration::from_secs(20), payer).await.expect("it ends").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrolled_channel_is_answered() {
    let case = Case::new(Unit::Blocks).await;
    let receiver = live(&case.receiver);
    case.publish(case.branch().nodes.into_iter().map(|node| node.tx)).await;
    eventually("the receiver leaves", async || case.state(&case.receiver) == ChannelState::Exiting).await;
    let d1 = case.receiver.channel(&case.id).unwrap().d1;
    case.world.mine(u32::try_from(d1.value()).unwrap()).await;
    eventually("its claim", async || {
        case.world.mine(1).await;
        tokio::time::sleep(POLL).await;
        case.state(&case.receiver) == ChannelState::Settled
    })
    .await;
    receiver.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn boarding_coins_are_settled() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.wallet("wallet").await;
    let following = live(&wallet);
    world.board(&wallet, 40_000).await;
    eventually("it is in a batch", async || {
        wallet.balance().await.is_ok_and(|balance| balance.preconfirmed == sats(40_000))
    })
    .await;
    world.mine(1).await;
    eventually("it is settled", async || wallet.balance().await.is_ok_and(|balance| balance.settled == sats(40_000)))
        .await;
    following.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_taken_back_after_its_locktime() {
    let case = Case::new(Unit::Blocks).await;
    let payer = live(&case.payer);
    let receiver = case.receiver.channel(&case.id).unwrap();
    case.receiver.close().unwrap();
    case.mine_to(u64::from(receiver.locktime.to_consensus_u32())).await;
    eventually("it is refunded", async || case.state(&case.payer) == ChannelState::Refunded).await;
    assert_eq!(told(&case.payer, |kind| matches!(kind, EventKind::ChannelRefunded { .. })), 1);
    payer.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_moment_is_met_without_the_operator() {
    let case = Case::new(Unit::Blocks).await;
    let receiver = live(&case.receiver);
    case.world.regtest.stop_operator().await;
    let info = case.receiver.channel(&case.id).unwrap();
    case.mine_to(info.exit_by).await;
    eventually("it leaves", async || case.state(&case.receiver) == ChannelState::Exiting).await;
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    follow_to_the_end(&case.world, async || case.state(&case.receiver) == ChannelState::Settled).await;
    assert!(case.height().await < u64::from(info.locktime.to_consensus_u32()), "before the locktime");
    case.has_on_chain(&case.receiver, PAID - 3_000, PAID).await;
    receiver.abort();
}

/// Batches of the test operator live so many blocks; half a day and an hour for one level are kept free.
const LEAVES_AFTER: u64 = 400 - 29 - 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_nobody_renews_is_left() {
    let case = Case::unpaid(Unit::Blocks).await;
    let wallet = case.world.rich("wallet", 30_000).await;
    let settled_at = case.height().await;
    let address: bitcoin::Address<_> = wallet.onchain_address().unwrap().parse().unwrap();
    let coin = bitcoin::TxOut { value: sats(10_000), script_pubkey: address.assume_checked().script_pubkey() };
    case.world.regtest.node().pay(&[coin]).await.unwrap();
    case.world.regtest.stop_operator().await;
    let following = live(&wallet);
    case.mine_to(settled_at + LEAVES_AFTER).await;
    let began = |kind: &EventKind| matches!(kind, EventKind::ExitBegan { reason: ExitReason::Deadline, .. });
    eventually("it leaves", async || told(&wallet, began) == 1).await;
    let claimed = |kind: &EventKind| matches!(kind, EventKind::ExitClaimed { .. });
    follow_to_the_end(&case.world, async || told(&wallet, claimed) == 1).await;
    assert!(wallet.onchain_balance().await.unwrap().confirmed > sats(10_000 + 30_000 - 3_000));
    following.abort();
}

/// Blocks come until it is done, each after a moment in which it could be looked at.
async fn follow_to_the_end(world: &World, done: impl AsyncFn() -> bool) {
    eventually("the end", async || {
        world.mine(3).await;
        tokio::time::sleep(POLL).await;
        done().await
    })
    .await;
}
