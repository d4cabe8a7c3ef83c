//! What maintenance tells.

use bitcoin::Amount;

use crate::channel::ChannelId;
use crate::store::ChannelState;
use crate::wallet::{ExitInfo, Settlement, WalletError};

/// What a run of [`maintain`](crate::wallet::Wallet::maintain) came to.
#[derive(Debug)]
pub struct MaintenanceReport {
    /// Flows that had been interrupted and have come to their end.
    pub resumed: usize,
    /// Flows that are still under way.
    pub left: usize,
    /// Channels that are in another state than before.
    pub changed: Vec<ChannelChange>,
    /// What was settled, renewed coins too.
    pub settled: Option<Settlement>,
    /// The operator's fee for what should be settled, where it asks more than that is worth: nothing was settled then.
    pub fee_refused: Option<Amount>,
    /// All exits under way, and those that ended in this run.
    pub exits: Vec<ExitInfo>,
    /// Coins whose way on chain was learned in this run: they can be taken out without the operator from now on.
    pub kept: usize,
    /// What failed; the rest was done all the same.
    pub errors: Vec<MaintenanceError>,
    /// When to run again at the latest, unix seconds: the earliest deadline less a safe margin, or soon when something
    /// is to be tried again. `None`: nothing is pending.
    pub next_run: Option<u64>,
}

/// A channel that is in another state than before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelChange {
    pub channel_id: ChannelId,
    pub before: ChannelState,
    pub after: ChannelState,
}

/// What failed, and what it was for.
#[derive(Debug)]
pub struct MaintenanceError {
    pub task: MaintenanceTask,
    pub channel_id: Option<ChannelId>,
    pub error: WalletError,
}

/// What maintenance does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
