//! Maintenance: everything that is due, in one call, for what a phone runs in the background.

mod ends;
mod keep;
mod refused;
mod report;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::time::Duration;

use bitcoin::Amount;
use tokio::time::{Instant, timeout_at};

use super::coins::{Coin, Seen};
use super::error::Result;
use super::exit::Boarded;
use super::settle_due::Settled;
use super::sound::Damaged;
use super::watch::Danger;
use super::{ExitInfo, ExitReason, Settlement, Wallet, WalletError};
use crate::chain::Tip;
use crate::channel::ChannelId;
use crate::store::{ChannelRow, ChannelState, FlowKind};
use crate::task;

pub use report::{ChannelChange, MaintenanceError, MaintenanceReport, MaintenanceTask};

/// The longest one run takes. What is under way then goes on by itself.
const RUN_LIMIT: Duration = Duration::from_secs(240);

/// The longest that looking at channels takes; those with the earliest deadlines are looked at first.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// The longest that the last look at the coins takes, and that learning of them takes.
const COINS_LIMIT: Duration = Duration::from_secs(30);

/// The longest that is waited for flows that a run left to themselves.
const IDLE_LIMIT: Duration = Duration::from_secs(1800);

/// One run.
struct Run {
    wallet: Wallet,
    deadline: Instant,
    /// The chain's end; `None` when the chain server does not answer.
    tip: Option<Tip>,
    operator: bool,
    /// Channels whose closing or refunding was begun in this run.
    begun: HashSet<ChannelId>,
    errors: Vec<MaintenanceError>,
    /// Channels whose last moment has come, but which the operator may still do something about.
    late: Vec<ChannelId>,
    exits: Vec<ExitInfo>,
    fee_refused: Option<Amount>,
}

impl Wallet {
    /// Does what is due: closes channels that take no more payments (as receiver), looks at every channel that has not
    /// ended, goes on with interrupted flows, takes back channels whose locktime has passed (as payer), settles confirmed
    /// boarding coins, VTXOs that were made off chain and those that expire soon, where the fee is worth it, and stores
    /// what is needed to take coins out without the operator. An expired channel comes back in a batch for a fee of up to
    /// half of it; where the operator asks more, the error says so, and [`Wallet::refund`] pays it.
    ///
    /// It leaves on chain what is not safe otherwise, and goes on with every exit: a channel that somebody put on chain,
    /// or what it was made from; one that the operator let somebody else spend; one whose last moment has come; one whose
    /// close or refund was submitted and cannot be finalized, or is refused for good. Only where two looks agree, and
    /// only where more is claimed than it costs. The wallet's own VTXOs, too, which expire soon and which the operator, away
    /// or not, has not renewed, and those that somebody put on chain. Looking and leaving need only the chain server.
    ///
    /// One failure does not stop the others; they are in the report. An error is answered only when the database
    /// cannot be read. Ends within about five minutes whoever does not answer; a flow that takes longer goes on by
    /// itself ([`Wallet::idle`] waits for it). Two calls at once run one after the other; payments are not held up.
    pub async fn maintain(&self) -> Result<MaintenanceReport> {
        let deadline = Instant::now() + RUN_LIMIT;
        let Ok(_turn) = timeout_at(deadline, self.maintaining.lock()).await else {
            return Err(Box::new(still_running()));
        };
        let before = self.states()?;
        let (flows, tried) = self.flows_under_way()?;
        let mut run = Run {
            wallet: self.clone(),
            deadline,
            tip: None,
            operator: false,
            begun: HashSet::new(),
            errors: Vec::new(),
            late: Vec::new(),
            exits: Vec::new(),
            fee_refused: None,
        };
        run.note_damaged()?;
        run.probe().await;
        // First what has a deadline: batches may take all the time there is. Closes may not: an operator that does not
        // answer them must leave time to look and to leave.
        run.deadline = (Instant::now() + self.config.closes_limit).min(deadline);
        run.act(|task| task == MaintenanceTask::Close).await?;
        run.deadline = deadline;
        run.look().await?;
        run.leave().await?;
        if flows > 0 || tried {
            run.resume().await;
        }
        run.act(|_| true).await?;
        let settled = run.settle().await;
        run.leave_late().await?;
        let coins = run.coins().await;
        let kept = run.keep(coins.as_deref()).await;
        let leave_by = run.leave_expiring(coins.as_deref()).await?;
        let (left, tried) = self.flows_under_way()?;
        let after = self.states()?;
        let changed = before.iter().filter_map(|(id, before)| {
            let after = *after.get(id)?;
            (after != *before).then_some(ChannelChange { channel_id: *id, before: *before, after })
        });
        let next_run = self.next_run(&run.errors, left, tried, coins.as_deref(), leave_by)?;
        Ok(MaintenanceReport {
            resumed: flows.saturating_sub(left),
            left,
            changed: changed.collect(),
            settled,
            fee_refused: run.fee_refused,
            exits: run.exits,
            kept,
            errors: run.errors,
            next_run,
        })
    }

    /// Waits until no flow is under way, at most as long as a batch may take.
    pub async fn idle(&self) {
        let _ = tokio::time::timeout(IDLE_LIMIT, self.flow.lock()).await;
    }

    fn states(&self) -> Result<HashMap<ChannelId, ChannelState>> {
        let rows = self.sound_channels()?;
        Ok(rows.into_iter().map(|row| (row.record.id, row.hot.state)).collect())
    }

    /// How many flows are under way, and whether there are proposals whose opening was tried: its batch may have been
    /// published all the same.
    fn flows_under_way(&self) -> Result<(usize, bool)> {
        let flows = self.store.read::<_, Box<WalletError>>(|db| Ok(db.flows()?))?;
        // Exits are counted apart: they take as long as the chain does.
        let others = flows.iter().filter(|flow| flow.kind != FlowKind::Exit);
        let (proposed, running): (Vec<_>, Vec<_>) = others.partition(|flow| flow.step == super::propose::PROPOSED);
        Ok((running.len(), proposed.into_iter().any(super::resume::was_tried)))
    }
}

impl Run {
    fn note<T>(&mut self, task: MaintenanceTask, channel_id: Option<ChannelId>, result: Result<T>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                self.errors.push(MaintenanceError { task, channel_id, error: *error });
                None
            }
        }
    }

    /// Channels that cannot be read are in nobody's way, and in the report.
    fn note_damaged(&mut self) -> Result<()> {
        self.wallet.drop_damaged_exits()?;
        for Damaged { id, error } in self.wallet.sound_and_damaged()?.1 {
            self.note::<()>(MaintenanceTask::Look, id, Err(error));
        }
        Ok(())
    }

    /// Who answers: nobody is asked again and again who does not.
    async fn probe(&mut self) {
        let (chain, operator) = tokio::join!(self.wallet.observe_tip(), self.wallet.fresh_info());
        self.tip = self.note(MaintenanceTask::Chain, None, chain);
        self.operator = self.note(MaintenanceTask::Operator, None, operator).is_some();
    }

    async fn resume(&mut self) {
        if !self.operator {
            return;
        }
        let wallet = self.wallet.clone();
        let resumed = self.to_its_end(async move { wallet.resume().await }).await;
        for error in self.note(MaintenanceTask::Resume, None, resumed).map(|(_, errors)| errors).unwrap_or_default() {
            self.errors.push(MaintenanceError { task: MaintenanceTask::Resume, channel_id: None, error });
        }
    }

    async fn look(&mut self) -> Result<()> {
        let Some(tip) = self.tip else { return Ok(()) };
        let mut rows = self.wallet.sound_channels()?;
        // What is being left is looked at by its exit.
        rows.retain(|row| !has_ended(row) && row.hot.state != ChannelState::Exiting);
        rows.sort_unstable_by_key(|row| row.record.expiry);
        let until = (Instant::now() + LOOK_LIMIT).min(self.deadline);
        let operator = self.operator;
        // With an operator that answers, last moments may still be met with it.
        let answers = |danger: Danger| !operator || !danger.is_late();
        let (reports, late) = self.wallet.look_and_answer(rows, &tip, operator, until, answers).await?;
        for (id, report) in reports {
            self.note(MaintenanceTask::Look, Some(id), report);
        }
        self.late = late;
        Ok(())
    }

    /// Leaves what the operator was to do something about, and did not. Not cut short by what took long before.
    async fn leave_late(&mut self) -> Result<()> {
        let Some(tip) = self.tip.filter(|_| !self.late.is_empty()) else { return Ok(()) };
        let late = std::mem::take(&mut self.late);
        let mut rows = self.wallet.store.read::<_, Box<WalletError>>(|db| {
            late.iter().filter_map(|id| db.channel(id).transpose()).map(|row| Ok(row?)).collect::<Result<Vec<_>>>()
        })?;
        rows.retain(|row| !has_ended(row) && row.hot.state != ChannelState::Exiting);
        let until = Instant::now() + LOOK_LIMIT;
        let (reports, _) = self.wallet.look_and_answer(rows, &tip, self.operator, until, |_| true).await?;
        for (id, report) in reports {
            self.note(MaintenanceTask::Look, Some(id), report);
        }
        self.deadline = self.deadline.max(until);
        self.leave().await
    }

    /// Goes on with everything that is being left on chain.
    async fn leave(&mut self) -> Result<()> {
        if self.tip.is_none() {
            self.exits = self.wallet.exits()?;
            return Ok(());
        }
        self.begin_missing_exits()?;
        // What is seen to be gone for good needs no look at an exit, and no room in a backup.
        let seen = self.wallet.taken().await;
        self.note(MaintenanceTask::Exit, None, seen);
        let unrolled = self.wallet.begin_unrolled_coins(self.operator).await;
        self.note(MaintenanceTask::Exit, None, unrolled);
        let wallet = self.wallet.clone();
        let advanced = self.to_its_end(async move { wallet.advance_exits().await }).await;
        self.exits = match self.note(MaintenanceTask::Exit, None, advanced) {
            Some(exits) => exits,
            None => self.wallet.exits()?,
        };
        Ok(())
    }

    /// Channels that are on chain, with no exit in the journal: one that was restored, say.
    fn begin_missing_exits(&mut self) -> Result<()> {
        let wallet = self.wallet.clone();
        let under_way: HashSet<ChannelId> = wallet.exits()?.into_iter().filter_map(|exit| exit.channel_id).collect();
        let rows = wallet.sound_channels()?;
        let is_left = |row: &ChannelRow| row.hot.state == ChannelState::Exiting && !under_way.contains(&row.record.id);
        for row in rows.iter().filter(|row| is_left(row)) {
            let begun = wallet.begin_exit(&row.record.id, ExitReason::Unrolled);
            self.note(MaintenanceTask::Exit, Some(row.record.id), begun);
        }
        Ok(())
    }

    async fn settle(&mut self) -> Option<Settlement> {
        if self.tip.is_none() || !self.operator {
            return None;
        }
        let wallet = self.wallet.clone();
        let settled = self.to_its_end(async move { wallet.settle_due().await }).await;
        match self.note(MaintenanceTask::Settle, None, settled)? {
            Settled::Done(settlement) => Some(settlement),
            Settled::TooDear(fee) => {
                self.fee_refused = Some(fee);
                None
            }
            Settled::Nothing => None,
        }
    }

    /// The coins as they are in the end; `None` where that cannot be said.
    async fn coins(&mut self) -> Option<Vec<Coin>> {
        // Who does not answer has been noted already.
        if self.tip.is_none() || !self.operator {
            return None;
        }
        let until = (Instant::now() + COINS_LIMIT).min(self.deadline);
        let Seen { coins, missing } = timeout_at(until, self.wallet.coins()).await.ok()?.ok()?;
        if let Some(error) = missing {
            self.note::<()>(MaintenanceTask::Settle, None, Err(Box::new(error.into())));
        }
        Some(coins)
    }

    /// Leaves with own VTXOs that expire soon and that nobody has renewed; answers when the next one must be left.
    async fn leave_expiring(&mut self, coins: Option<&[Coin]>) -> Result<Option<u64>> {
        // Also where an operator answers, but does not say what there is: what was renewed here is known here.
        let Some(tip) = self.tip else { return Ok(None) };
        let due = self.wallet.leave_expiring(&tip, coins).await;
        let (vtxos, next) = self.note(MaintenanceTask::Exit, None, due).unwrap_or_default();
        let boarded = self.leave_boarding(&tip, coins).await;
        let boarded = self.note(MaintenanceTask::Exit, None, boarded).unwrap_or_default();
        if vtxos || boarded.begun {
            self.deadline = self.deadline.max(Instant::now() + LOOK_LIMIT);
            self.leave().await?;
        }
        Ok([next, boarded.next].into_iter().flatten().min())
    }

    /// Coins at boarding addresses that no operator takes any more. Where the operator is away nobody has looked at them.
    async fn leave_boarding(&self, tip: &Tip, coins: Option<&[Coin]>) -> Result<Boarded> {
        let seen = match coins {
            Some(_) => Vec::new(),
            None => {
                let until = (Instant::now() + COINS_LIMIT).min(self.deadline);
                let seen = timeout_at(until, self.wallet.boarding_coins()).await;
                seen.unwrap_or_else(|_| Err(Box::new(still_running())))?.coins
            }
        };
        self.wallet.leave_ripe_boarding(coins.unwrap_or(&seen), tip).await
    }

    async fn keep(&mut self, coins: Option<&[Coin]>) -> usize {
        let Some(coins) = coins else { return 0 };
        let until = (Instant::now() + COINS_LIMIT).min(self.deadline);
        let kept = timeout_at(until, self.wallet.keep_branches(coins))
            .await
            .unwrap_or_else(|_| Err(Box::new(still_running())));
        self.note(MaintenanceTask::Keep, None, kept).unwrap_or(0)
    }

    /// Runs a flow in a task of its own, which ends also when nobody waits for it any more: arkd fails a transaction
    /// for good when the call that finalizes it is dropped.
    async fn to_its_end<T: Send + 'static>(&self, flow: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
        if Instant::now() >= self.deadline {
            return Err(Box::new(still_running()));
        }
        match timeout_at(self.deadline, task::answered(flow)).await {
            Ok(Some(done)) => done,
            Ok(None) => Err(Box::new(WalletError::Closed)),
            Err(_) => Err(Box::new(still_running())),
        }
    }
}

pub(super) fn still_running() -> WalletError {
    WalletError::StillRunning { seconds: RUN_LIMIT.as_secs() }
}

/// Whether a close or refund has come to its end, or is overtaken.
fn is_over(state: ChannelState) -> bool {
    use ChannelState::{Closed, Exiting, Lost, Refunded, Settled};
    matches!(state, Closed | Settled | Refunded | Exiting | Lost)
}

/// Whether a channel may be due for closing or refunding.
fn is_waiting(row: &ChannelRow) -> bool {
    matches!(
        row.hot.state,
        ChannelState::Confirming | ChannelState::Open | ChannelState::Closing | ChannelState::Refunding
    )
}

/// Whether nothing more comes of a channel.
pub(super) fn has_ended(row: &ChannelRow) -> bool {
    match row.hot.state {
        ChannelState::Settled | ChannelState::Refunded | ChannelState::Lost => true,
        // Nothing of it is this wallet's.
        ChannelState::Closed => row.result.is_some_and(|result| result.outpoint.is_none()),
        _ => false,
    }
}
