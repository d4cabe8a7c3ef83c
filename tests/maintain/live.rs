//! Live: what happens is noticed and answered while it happens, with nobody calling.

use std::time::Duration;

use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, Wallet};

use crate::case::{Case, told};
use crate::world::eventually;

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
