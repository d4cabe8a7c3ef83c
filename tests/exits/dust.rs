//! Splits with an output at the dust limit: what the library signs, a node takes.

use regtest::operator::Unit;
use virtual_channels::channel::ChannelError;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{ExitStage, WalletError};

use crate::stage::{fund, leave, pair, small, state};
use crate::world::{pay, refused, sats};

/// All is paid but the least that a node lets pass: the receiver's exit pays the payer just that. With one sat less left
/// nothing is signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_rest_at_the_limit_is_mined() {
    let (world, payer, receiver) = pair(Unit::Seconds).await;
    let id = small(&world, &payer, &receiver).await;
    let info = receiver.channel(&id).unwrap();
    let rest = (info.capacity - info.amount).to_sat();
    let error = refused(payer.pay(&id, sats(rest - 329), "too much", None));
    assert!(matches!(error, WalletError::Channel(ChannelError::ImpossibleAmount(_))), "{error:?}");
    pay(&payer, &receiver, &id, rest - 330, "nearly all");
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;

    receiver.exit_channel(&id).await.unwrap();
    let exit = leave(&world, &receiver).await;
    assert_eq!((exit.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    let (mined, _) = world.regtest.node().transaction(&exit.claim.unwrap()).await.unwrap().unwrap();
    assert_eq!(mined.input[0].previous_output, info.funding);
    assert!(mined.output.iter().any(|output| output.value == sats(330)), "{mined:?}");
}
