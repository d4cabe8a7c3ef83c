//! Operators that answer some calls and not others: what depends on the chain alone is done all the same.

use std::time::Duration;

use regtest::operator::{Action, Call, Unit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{ExitReason, MaintenanceTask, Wallet, WalletConfig};

use crate::case::{Case, maintained, reasons};
use crate::world::{World, eventually};

/// Everything but GetInfo.
const OTHERS: [Call; 9] = [
    Call::RegisterIntent,
    Call::EstimateIntentFee,
    Call::DeleteIntent,
    Call::SubmitTx,
    Call::FinalizeTx,
    Call::GetPendingTx,
    Call::GetVtxos,
    Call::GetVtxoChain,
    Call::GetVirtualTxs,
];

fn refusal() -> Action {
    Action::Status(tonic::Code::Unavailable, "on purpose".into())
}

/// A close that hangs, in a channel that the payer has put on chain: maintenance does not wait for the one with the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_hangs_leaves_time_to_leave() {
    let case = Case::new(Unit::Blocks).await;
    case.receiver.close().unwrap();
    let config = WalletConfig { closes_limit: Duration::from_secs(2), ..case.world.config("receiver") };
    let receiver = Wallet::open(config, &World::mnemonic("receiver")).await.unwrap();
    let close_by = receiver.channel(&case.id).unwrap().close_by;
    case.mine_to(close_by - 5).await;
    case.publish(case.branch().nodes.into_iter().map(|node| node.tx)).await;
    case.mine_to(close_by).await;
    case.world.regtest.operator().await.faults().always(Call::SubmitTx, Action::Hang);
    let running = tokio::spawn({
        let receiver = receiver.clone();
        async move { receiver.maintain().await }
    });
    eventually("the close hangs", async || case.world.regtest.operator().await.faults().held() > 0).await;
    let left = async || receiver.channel(&case.id).unwrap().state == ChannelState::Exiting;
    tokio::time::timeout(Duration::from_secs(20), eventually("it leaves", left))
        .await
        .expect("long before the call ends");
    assert_eq!(reasons(&receiver), [ExitReason::Unrolled]);
    assert!(!receiver.exits().unwrap().is_empty());
    receiver.close().unwrap();
    running.abort();
}

/// It says who it is, and nothing else works: every failure is told, and the last moment is met on chain.
#[tokio::test(flavor = "multi_thread")]
async fn only_get_info_answers() {
    let case = Case::new(Unit::Blocks).await;
    let info = case.receiver.channel(&case.id).unwrap();
    for call in OTHERS {
        case.world.regtest.operator().await.faults().always(call, refusal());
    }
    case.mine_to(info.close_by).await;
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty(), "{:?}", report.exits);
    for task in [MaintenanceTask::Close, MaintenanceTask::Settle] {
        assert!(report.errors.iter().any(|failed| failed.task == task), "{task:?}: {:?}", report.errors);
    }
    assert!(report.next_run.is_some());
    case.mine_to(info.exit_by).await;
    let report = maintained(&case.receiver).await;
    assert_eq!(report.exits.iter().map(|exit| exit.channel_id).collect::<Vec<_>>(), [Some(case.id)]);
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    // So it is for the payer, whose change and channel are in one transaction.
    case.mine_to(info.payer_exit_by.max(case.height().await)).await;
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Settled);
}

/// The same, but every call hangs at first: a run takes longer, and still ends with the exit.
#[tokio::test(flavor = "multi_thread")]
async fn everything_but_get_info_hangs() {
    let case = Case::new(Unit::Blocks).await;
    case.receiver.close().unwrap();
    let config = WalletConfig { closes_limit: Duration::from_secs(1), ..case.world.config("receiver") };
    let receiver = Wallet::open(config, &World::mnemonic("receiver")).await.unwrap();
    let exit_by = receiver.channel(&case.id).unwrap().exit_by;
    case.mine_to(exit_by).await;
    for call in OTHERS {
        let operator = case.world.regtest.operator().await;
        operator.faults().once(call, Action::Hang);
        operator.faults().always(call, refusal());
    }
    let started = std::time::Instant::now();
    let report = maintained(&receiver).await;
    println!("a run with a half-dead operator took {:?}: {:?}", started.elapsed(), report.errors);
    assert_eq!(report.exits.iter().map(|exit| exit.channel_id).collect::<Vec<_>>(), [Some(case.id)]);
    assert_eq!(reasons(&receiver), [ExitReason::Deadline]);
    assert!(report.errors.iter().any(|failed| failed.task == MaintenanceTask::Close), "{:?}", report.errors);
}
