//! A phone's clock that is wrong does nothing that cannot be undone: the chain says what time it is.

use std::sync::Arc;

use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Clock, ExitReason, SystemClock, Wallet};

use crate::case::{Case, Stopped, maintained, reasons};
use crate::world::World;

const DAY: u64 = 86_400;

async fn with_clock(case: &Case, clock: Arc<Stopped>) -> Wallet {
    case.receiver.close().unwrap();
    let mut config = case.world.config("receiver");
    config.clock = clock;
    Wallet::open(config, &World::mnemonic("receiver")).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_days_ahead() {
    let case = Case::new(Unit::Seconds).await;
    case.world.regtest.stop_operator().await;
    let now = SystemClock::default().now();
    let exit_by = case.receiver.channel(&case.id).unwrap().exit_by;
    let clock = Arc::new(Stopped(exit_by + 3 * DAY));
    assert!(exit_by > now + 7 * 3_600, "{exit_by} is far enough off");
    let receiver = with_clock(&case, clock).await;
    for _ in 0..2 {
        let report = maintained(&receiver).await;
        assert!(report.exits.is_empty(), "{report:?}");
    }
    assert_eq!(receiver.channel(&case.id).unwrap().state, ChannelState::Open);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back() {
    let case = Case::new(Unit::Seconds).await;
    case.world.regtest.stop_operator().await;
    let receiver = with_clock(&case, Arc::new(Stopped(DAY))).await;
    assert!(maintained(&receiver).await.exits.is_empty());
    let tip = case.world.regtest.node().tip().await.unwrap();
    let exit_by = receiver.channel(&case.id).unwrap().exit_by;
    case.world.regtest.node().generate_after(11, exit_by - tip.time).await.unwrap();
    let report = maintained(&receiver).await;
    assert_eq!(report.exits.len(), 1, "the chain says that it is time");
    assert_eq!(reasons(&receiver), [ExitReason::Deadline]);
    assert_eq!(case.left_alone(&receiver).await, ChannelState::Settled);
}
