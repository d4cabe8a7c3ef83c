//! Both sides are on chain, and only one can have it.

use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::ExitStage;

use crate::stage::{advance, finish, fund, pair, small, state, unroll, wait};
use crate::world::sats;

/// The receiver comes so late that the payer's refund is in the mempool already: it outbids it, and what it was paid is
/// its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_outbids_a_refund_in_the_mempool() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    for wallet in [&payer, &receiver] {
        fund(&world, wallet, &[20_000]).await;
    }
    world.regtest.stop_operator().await;
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &payer).await;
    wait(&world, until).await;
    assert_eq!(advance(&payer).await.stage, ExitStage::Claiming);

    let info = receiver.exit_channel(&id).await.unwrap();
    assert_eq!(info.stage, ExitStage::Claiming, "{:?}", info.problem);
    world.mine(1).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    let info = finish(&world, &payer).await;
    assert_eq!((info.stage, info.amount), (ExitStage::Done, sats(18_000)));
    assert_eq!(state(&payer, &id), ChannelState::Settled);
}
