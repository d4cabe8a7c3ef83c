//! What a look means: whether a channel must be left on chain, or is gone. Which source decides what:
//!
//! - that a channel is on chain, and what spends it there, only the chain says;
//! - that the operator let somebody else spend it, its books say against itself: before the locktime that is theft, and
//!   a branch on chain settles it; afterwards it may be the payer's refund;
//! - that a channel has ended, no books say: a close or a refund counts once its signatures are verified, which is done
//!   elsewhere ([`super::note`]), and what has not ended so is left before its last moment;
//! - what time it is the chain's last block says, and the clock only as far as a chain may lag behind it.
//!
//! Nothing here is done on one look: [`super::answer`] looks a second time.

use bitcoin::{Amount, Txid};

use super::Sight;
use crate::channel::deadline::Margins;
use crate::store::{ChannelRow, ChannelState, Role};
use crate::wallet::ExitReason;
use crate::wallet::clock::Now;
use crate::wallet::loaded::LoadedChannel;

/// A foreign spend of the branch counts as final after so many confirmations when the operator agrees, and after so
/// many more when it cannot be asked.
const BURIED: u32 = 6;
const BURIED_DEEP: u32 = 144;

/// Blocks that a payer waits for the receiver to go on with a branch that is on its way on chain.
const PATIENCE: u32 = 3;

/// A last moment has come.
const LATE: Danger = Danger::Leave(ExitReason::Deadline);

/// What must be done about a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::wallet) enum Danger {
    /// To be left on chain.
    Leave(ExitReason),
    /// The receiver has nothing to claim any more: this cut the channel off, on chain.
    Gone(Txid),
}

impl Danger {
    /// A last moment has come. What the operator can still do about it is tried first.
    pub fn is_late(self) -> bool {
        self == LATE
    }

    /// Somebody has put the channel on chain, or what it was made from.
    pub fn is_on_chain(self) -> bool {
        matches!(self, Self::Leave(ExitReason::Unrolled | ExitReason::AncestorUnrolled))
    }
}

/// The time as a look rests on it, in the channel's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    /// By the last block, and the clock as far as it is to be believed.
    pub now: u64,
    /// By the last block alone: what locktimes are compared with.
    pub chain: u64,
}

/// When a side of a closed channel, whose output is in no batch yet, must be on its way on chain: checkpoint and ark
/// transaction come on top of the branch. Without them it leaves as if nothing had been closed.
pub(in crate::wallet) fn closed_exit_by(row: &ChannelRow, loaded: &LoadedChannel, now: &Now) -> u64 {
    match (&row.submit_answer, row.hot.role) {
        (Some(_), _) => {}
        (None, Role::Receiver) => return loaded.deadlines(now, None).exit_by,
        (None, Role::Payer) => return payer_leaves_at(loaded, now),
    }
    let record = &loaded.record;
    let margins = Margins::of(loaded.unit(), record.batch_expiry.value());
    let unrolling = (u64::from(record.levels) + 2).saturating_mul(margins.level);
    loaded.expiry(now).saturating_sub(unrolling.saturating_add(margins.slack))
}

/// When a payer that has not got its money back goes on chain.
fn payer_leaves_at(loaded: &LoadedChannel, now: &Now) -> u64 {
    let margins = Margins::of(loaded.unit(), loaded.record.batch_expiry.value());
    loaded.deadlines(now, None).payer_exit_by.saturating_sub(margins.level)
}

/// One channel at one look.
pub(super) struct Scene<'a> {
    pub row: &'a ChannelRow,
    pub loaded: &'a LoadedChannel,
    pub sight: &'a Sight,
    pub moment: Moment,
    /// The close that this receiver would make, or has made.
    pub own: Option<Txid>,
    pub now: Now,
    /// The chain's height.
    pub tip: u32,
}

impl Scene<'_> {
    /// What this look asks for.
    pub fn danger(&self) -> Option<Danger> {
        use ChannelState::{Closed, Exiting, Lost, Refunded, Settled};
        let state = self.row.hot.state;
        let over = matches!(state, Exiting | Settled | Refunded | Lost) || state == Closed && !self.has_result();
        if over {
            return None;
        }
        if let Some(reason) = self.on_chain() {
            return Some(Danger::Leave(reason));
        }
        match (self.row.hot.role, state) {
            (_, Closed) => self.closed(),
            (Role::Receiver, _) => self.receiver().or_else(|| cut(self.sight, self.tip)),
            (Role::Payer, _) => self.payer(),
        }
    }

    /// Somebody put the channel on chain, or what it was made from. The payer leaves the receiver time to go on from there:
    /// both would pay for the same transactions.
    fn on_chain(&self) -> Option<ExitReason> {
        let (txid, status) = self.sight.on_chain.unrolled.filter(|(_, status)| status.is_confirmed())?;
        if txid == self.row.record.funding.txid {
            return Some(ExitReason::Unrolled);
        }
        let patience = if self.row.hot.role == Role::Payer { PATIENCE } else { 0 };
        (status.confirmations(self.tip) > patience).then_some(ExitReason::AncestorUnrolled)
    }

    /// The side's own output of a close must be in a batch before the old one expires.
    fn closed(&self) -> Option<Danger> {
        (self.moment.now >= closed_exit_by(self.row, self.loaded, &self.now)).then_some(LATE)
    }

    /// Whether something of a closed channel is still this side's, and in no batch.
    fn has_result(&self) -> bool {
        self.row.result.is_some_and(|result| result.outpoint.is_some()) && !self.sight.result_is_spent
    }

    fn receiver(&self) -> Option<Danger> {
        let (row, sight, loaded) = (self.row, self.sight, self.loaded);
        let money = row.hot.amount() > Amount::ZERO;
        if money && sight.spent_by().is_some_and(|txid| Some(txid) != self.own) {
            let locktime = u64::from(loaded.channel.terms.locktime.to_consensus_u32());
            if self.moment.chain < locktime {
                return Some(Danger::Leave(ExitReason::HostileSpend));
            }
            // The operator has signed the close, and then let the payer have it.
            if sight.spend_is_final && row.submit_answer.is_some() {
                return Some(Danger::Leave(ExitReason::NotFinalized));
            }
            // A refund takes a moment to be proven.
            let margins = Margins::of(loaded.unit(), loaded.record.batch_expiry.value());
            if self.moment.chain < locktime.saturating_add(margins.slack) {
                return None;
            }
        }
        let exit_by = loaded.deadlines(&self.now, None).exit_by;
        (money && sight.confirmations > 0 && self.moment.now >= exit_by).then_some(LATE)
    }

    fn payer(&self) -> Option<Danger> {
        let (row, sight, loaded) = (self.row, self.sight, self.loaded);
        let money = row.hot.high < row.record.capacity;
        // A swept batch is taken back in a new one. Before its own expiry, which the chain says, nobody can have swept it.
        let swept = sight.vtxo().is_some_and(|vtxo| vtxo.swept) && self.moment.now >= loaded.record.expiry;
        if !money || swept || sight.confirmations == 0 || self.moment.now < payer_leaves_at(loaded, &self.now) {
            return None;
        }
        let submitted = sight.spent_by().is_some();
        Some(if submitted { Danger::Leave(ExitReason::NotFinalized) } else { LATE })
    }
}

/// What the branch hangs on is spent by something else: the channel cannot come on chain any more.
fn cut(sight: &Sight, tip: u32) -> Option<Danger> {
    let spend = sight.on_chain.cut?;
    let confirmations = spend.status.confirmations(tip);
    let agreed = match &sight.books {
        Some(Some(vtxo)) => vtxo.swept || vtxo.spent || vtxo.unrolled,
        Some(None) => true,
        None => confirmations >= BURIED_DEEP,
    };
    (confirmations >= BURIED && agreed).then_some(Danger::Gone(spend.txid))
}
