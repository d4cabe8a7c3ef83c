//! The last moments: who must be on the way on chain by then is, without anybody else.

use std::sync::Arc;

use regtest::operator::{Action, Call, Code, Unit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Clock, ExitReason, MaintenanceTask, SystemClock, Wallet, WalletError};

use crate::case::{CAPACITY, Case, PAID, Stopped, maintained, reasons};
use crate::world::World;

/// The operator is gone right after the payment, for good.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_leaves_in_time() {
    let case = Case::new(Unit::Blocks).await;
    case.world.regtest.stop_operator().await;
    let info = case.receiver.channel(&case.id).unwrap();
    case.mine_to(info.exit_by - 1).await;
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty(), "it hopes for the operator until then");
    assert_eq!(report.errors[0].task, MaintenanceTask::Operator);
    case.mine_to(info.exit_by).await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    assert!(case.height().await < u64::from(info.locktime.to_consensus_u32()), "before the locktime");
    case.has_on_chain(&case.receiver, PAID - 3_000, PAID).await;
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Settled);
}

/// The same, and the chain server invents a fee rate: half of what was paid goes for the way at most, at 10 sats a vbyte where
/// that is more.
#[tokio::test(flavor = "multi_thread")]
async fn an_invented_rate_keeps_nobody_in() {
    let case = Case::new(Unit::Blocks).await;
    case.world.regtest.stop_operator().await;
    let info = case.receiver.channel(&case.id).unwrap();
    case.world.regtest.set_fee_rate(90_000);
    case.mine_to(info.exit_by).await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    case.has_on_chain(&case.receiver, 1, PAID).await;
}

/// The payer had the channel's script banned, for longer than there is time.
#[tokio::test(flavor = "multi_thread")]
async fn a_ban_that_outlasts_the_last_moment() {
    let case = Case::new(Unit::Blocks).await;
    let banned = Action::Refuse(Code::VtxoBanned, "vtxo is banned".into());
    case.world.regtest.operator().await.faults().always(Call::SubmitTx, banned);
    let info = case.receiver.channel(&case.id).unwrap();
    case.mine_to(info.exit_by - 1).await;
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty() && !report.errors.is_empty(), "it waits until then: {report:?}");
    assert_eq!(case.state(&case.receiver), ChannelState::Closing);
    case.mine_to(info.exit_by).await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    case.has_on_chain(&case.receiver, PAID - 3_000, PAID).await;
}

/// Neither can refund with a dead operator, nor did the receiver take anything.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_leaves_in_time() {
    let case = Case::unpaid(Unit::Blocks).await;
    case.world.regtest.stop_operator().await;
    let info = case.payer.channel(&case.id).unwrap();
    case.mine_to(u64::from(info.locktime.to_consensus_u32())).await;
    assert!(maintained(&case.payer).await.exits.is_empty());
    case.mine_to(info.payer_exit_by).await;
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Refunded);
    assert_eq!(reasons(&case.payer), [ExitReason::Deadline]);
    // With the change of the opening, which stood in the same transaction.
    case.has_on_chain(&case.payer, CAPACITY - 3_000, 1_000_000).await;
}

/// As late as that, but with an operator that answers: what is cheaper is tried first.
#[tokio::test(flavor = "multi_thread")]
async fn a_living_operator_is_asked_first() {
    let case = Case::unpaid(Unit::Blocks).await;
    let info = case.payer.channel(&case.id).unwrap();
    case.mine_to(info.payer_exit_by).await;
    let report = maintained(&case.payer).await;
    assert!(report.exits.is_empty() && report.errors.is_empty(), "{report:?}");
    assert_eq!(case.state(&case.payer), ChannelState::Refunded);
    // One that refuses is not waited for.
    let case = Case::unpaid(Unit::Blocks).await;
    let info = case.payer.channel(&case.id).unwrap();
    case.mine_to(info.payer_exit_by).await;
    let refusal = Action::Status(tonic::Code::Unavailable, "on purpose".into());
    case.world.regtest.operator().await.faults().always(Call::SubmitTx, refusal);
    let report = maintained(&case.payer).await;
    assert!(report.exits.iter().any(|exit| exit.channel_id == Some(case.id)), "{:?}", report.errors);
    assert_eq!(reasons(&case.payer), [ExitReason::Deadline]);
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Refunded);
}

/// The receiver submits its close and never finalizes it: the payer can neither refund nor wait for ever.
#[tokio::test(flavor = "multi_thread")]
async fn submitted_and_never_finalized() {
    let case = Case::new(Unit::Blocks).await;
    case.world.regtest.operator().await.faults().once(Call::FinalizeTx, Action::Drop);
    let closed = case.receiver.close_channel(&case.id).await;
    assert!(matches!(closed.as_ref().map_err(|error| &**error), Err(WalletError::OutcomeUnknown { .. })), "{closed:?}");
    case.receiver.close().unwrap();
    let info = case.payer.channel(&case.id).unwrap();
    case.mine_to(u64::from(info.locktime.to_consensus_u32())).await;
    let report = maintained(&case.payer).await;
    assert!(report.exits.is_empty() && !report.errors.is_empty());
    assert_eq!(case.state(&case.payer), ChannelState::Open);
    case.mine_to(info.payer_exit_by).await;
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Refunded);
    assert_eq!(reasons(&case.payer), [ExitReason::NotFinalized]);
}

/// The operator raises its exit delay above d1: it takes the close no more, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_raises_its_delay() {
    let case = Case::new(Unit::Blocks).await;
    let info = case.receiver.channel(&case.id).unwrap();
    let longer = u32::try_from(info.d1.value()).unwrap() + 5;
    case.world.regtest.operator().await.change(|settings| settings.exit_delay = longer);
    assert!(maintained(&case.receiver).await.exits.is_empty(), "not before the channel is to be closed");
    case.mine_to(info.close_by).await;
    let report = maintained(&case.receiver).await;
    assert_eq!(report.exits.len(), 1, "{:?}", report.errors);
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::OperatorRefuses]);
}

/// The same words about something else lead to nothing but another try.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_its_settings_do_not_bear_out() {
    let case = Case::new(Unit::Blocks).await;
    let info = case.receiver.channel(&case.id).unwrap();
    case.mine_to(info.close_by).await;
    let refusal = Action::Refuse(Code::InvalidVtxoScript, "exit delay is too short".into());
    case.world.regtest.operator().await.faults().always(Call::SubmitTx, refusal);
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty());
    assert!(report.errors.iter().any(|failed| failed.task == MaintenanceTask::Close));
    case.world.regtest.operator().await.faults().clear();
    maintained(&case.receiver).await;
    assert_eq!(case.state(&case.receiver), ChannelState::Closed);
}

/// The operator signs the refund and does not finalize it, as where the receiver has spoilt it: its two transactions are the way,
/// long before the last moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_refused_for_good() {
    let mut case = Case::unpaid(Unit::Blocks).await;
    let info = case.payer.channel(&case.id).unwrap();
    let no = Action::Refuse(Code::InvalidPsbtInput, "no".into());
    case.world.regtest.operator().await.faults().always(Call::FinalizeTx, no);
    case.mine_to(u64::from(info.locktime.to_consensus_u32())).await;
    let now = SystemClock::default().now();
    for (later, reason) in [(0, None), (61, Some(ExitReason::NotFinalized))] {
        case.payer.close().unwrap();
        let mut config = case.world.config("payer");
        config.clock = Arc::new(Stopped(now + later));
        case.payer = Wallet::open(config, &World::mnemonic("payer")).await.unwrap();
        maintained(&case.payer).await;
        assert_eq!(reasons(&case.payer), Vec::from_iter(reason));
    }
    assert!(case.height().await < info.payer_exit_by);
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Refunded);
}
