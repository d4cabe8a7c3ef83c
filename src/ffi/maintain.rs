//! Maintenance, for WorkManager and BGTaskScheduler.

use std::sync::Arc;
use std::time::Duration;

use super::runtime::Runtime;
use super::{ChannelState, ExitInfo, Sats, Settlement, Wallet, WalletError};
use crate::wallet;

/// What resuming came to.
#[derive(Debug, uniffi::Record)]
pub struct ResumeReport {
    /// Flows that are still under way.
    pub left: u64,
    /// Those that failed, or could not be gone on with now.
    pub errors: Vec<WalletError>,
}

/// What a run of [`Wallet::maintain`] came to.
#[derive(Debug, uniffi::Record)]
pub struct MaintenanceReport {
    /// Flows that had been interrupted and have come to their end.
    pub resumed: u64,
    /// Flows that are still under way.
    pub left: u64,
    /// Channels that are in another state than before.
    pub changed: Vec<ChannelChange>,
    /// What was settled, renewed coins too.
    pub settled: Option<Settlement>,
    /// The operator's fee for what should be settled, where it asks more than that is worth: nothing was settled then.
    pub fee_refused: Option<Sats>,
    /// All exits under way, and those that ended in this run.
    pub exits: Vec<ExitInfo>,
    /// Coins whose way on chain was learned in this run: they can be taken out without the operator from now on.
    pub kept: u64,
    /// What failed; the rest was done all the same.
    pub errors: Vec<MaintenanceError>,
    /// When to run again at the latest, in unix seconds: the earliest deadline less a safe margin, or soon when something
    /// is to be tried again. Nothing: nothing is pending, so it need not run before the wallet is used again.
    pub next_run: Option<u64>,
}

/// A channel that is in another state than before.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct ChannelChange {
    /// Which one.
    pub channel_id: String,
    /// What it was when the run began.
    pub before: ChannelState,
    /// What it is now.
    pub after: ChannelState,
}

/// What failed, and what it was for.
#[derive(Debug, uniffi::Record)]
pub struct MaintenanceError {
    /// What it was for.
    pub task: MaintenanceTask,
    /// The channel, where it was for one.
    pub channel_id: Option<String>,
    /// What went wrong.
    pub error: WalletError,
}

/// What maintenance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum MaintenanceTask {
    /// Asking the chain server. Without it no channel can be looked at.
    Chain,
    /// Asking the operator. Without it nothing can be closed, refunded or settled.
    Operator,
    /// Going on with what was interrupted.
    Resume,
    /// Looking at a channel.
    Look,
    /// Closing a channel that takes no more payments, as receiver.
    Close,
    /// Taking back a channel whose locktime has passed, as payer.
    Refund,
    /// Settling coins.
    Settle,
    /// Leaving on chain.
    Exit,
    /// Learning what is needed to take coins out without the operator.
    Keep,
}

impl From<wallet::MaintenanceReport> for MaintenanceReport {
    fn from(report: wallet::MaintenanceReport) -> Self {
        Self {
            resumed: report.resumed as u64,
            left: report.left as u64,
            changed: report.changed.into_iter().map(ChannelChange::from).collect(),
            settled: report.settled.map(Settlement::from),
            fee_refused: report.fee_refused.map(Sats::from),
            exits: report.exits.into_iter().map(ExitInfo::from).collect(),
            kept: report.kept as u64,
            errors: report.errors.into_iter().map(MaintenanceError::from).collect(),
            next_run: report.next_run,
        }
    }
}

impl From<wallet::ChannelChange> for ChannelChange {
    fn from(change: wallet::ChannelChange) -> Self {
        let channel_id = change.channel_id.to_string();
        Self { channel_id, before: change.before.into(), after: change.after.into() }
    }
}

impl From<wallet::MaintenanceError> for MaintenanceError {
    fn from(failed: wallet::MaintenanceError) -> Self {
        use wallet::MaintenanceTask as T;
        let task = match failed.task {
            T::Chain => MaintenanceTask::Chain,
            T::Operator => MaintenanceTask::Operator,
            T::Resume => MaintenanceTask::Resume,
            T::Look => MaintenanceTask::Look,
            T::Close => MaintenanceTask::Close,
            T::Refund => MaintenanceTask::Refund,
            T::Settle => MaintenanceTask::Settle,
            T::Exit => MaintenanceTask::Exit,
            T::Keep => MaintenanceTask::Keep,
        };
        Self { task, channel_id: failed.channel_id.map(|id| id.to_string()), error: failed.error.into() }
    }
}

/// What goes on by itself when nobody waits any more keeps its threads, also when the app lets go of the wallet now.
struct GoingOn {
    inner: wallet::Wallet,
    runtime: Runtime,
}

impl Drop for GoingOn {
    fn drop(&mut self) {
        let inner = self.inner.clone();
        self.runtime.detach(async move { inner.idle().await });
    }
}

#[uniffi::export]
impl Wallet {
    /// Does what is due, for a task in the background: goes on with what was interrupted, looks at every channel that
    /// has not ended, closes those that take no more payments (receiver), takes back those whose locktime has passed
    /// (payer), leaves on chain what is not safe otherwise and goes on with exits, and settles what waits or expires
    /// soon, where it is worth the fee. With the operator away it does all that the chain is enough for.
    ///
    /// What fails is in the report and does not stop the rest. Ends within about five minutes whoever does not answer;
    /// what takes longer goes on by itself. May be called twice at once, and beside everything else. `next_run` says
    /// when to call it again.
    pub async fn maintain(&self) -> Result<MaintenanceReport, WalletError> {
        let _going_on = GoingOn { inner: self.inner.clone(), runtime: self.runtime.clone() };
        self.flow("maintain", |wallet| async move { Ok(wallet.maintain().await?.into()) }).await
    }

    /// Follows the operator's news of this wallet's scripts and the chain's tip, and does at once what
    /// [`Wallet::maintain`] does now and then: the same events come, promptly. For an app in the foreground. Ends when the
    /// caller goes away, or with `Closed` when the wallet is closed. Servers that do not answer are asked again with
    /// growing pauses; while the database is released it waits.
    #[uniffi::method(default(poll_seconds = 30))]
    pub async fn live(self: Arc<Self>, poll_seconds: u64) -> Result<(), WalletError> {
        let (inner, runtime) = (self.inner.clone(), self.runtime.clone());
        let _going_on = GoingOn { inner: inner.clone(), runtime: runtime.clone() };
        // Who follows does not keep the wallet open.
        drop(self);
        let poll = Duration::from_secs(poll_seconds.max(1));
        runtime.wait(Box::pin(async move { Ok(Box::pin(inner.live(poll)).await?) })).await
    }
}
