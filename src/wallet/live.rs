//! Live: what maintenance does now and then, done as things happen, while the app is in front.

use std::collections::HashSet;
use std::time::Duration;

use bitcoin::{BlockHash, OutPoint, ScriptBuf};
use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use super::error::Result;
use super::maintain::has_ended;
use super::{Wallet, WalletError};
use crate::channel::{Channel, ChannelTerms};
use crate::log::note;
use crate::operator::{ScriptEvent, ScriptSubscription};
use crate::store::{ChannelRow, ChannelState, ScriptKind, StoreError};

/// How often the chain's tip is asked for.
pub const POLL: Duration = Duration::from_secs(30);

/// A failing server is asked again after a pause that grows up to this.
const MAX_PAUSE: Duration = Duration::from_secs(300);

/// Maintenance runs no more often than this, whatever happens.
const BETWEEN_RUNS: Duration = Duration::from_secs(5);

/// Looks because of the operator's news come no more often than this: anybody can pay to an address.
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

/// The longest that one look takes.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// Scripts that are followed; the oldest of the wallet's own are left to maintenance.
const MAX_SCRIPTS: usize = 1_000;

/// What is followed, and what is to be done.
struct Live {
    wallet: Wallet,
    poll: Duration,
    subscription: Option<ScriptSubscription>,
    /// When to try again to subscribe, and after how long the next time.
    subscribe_at: Instant,
    pause: Duration,
    /// The tip at the last run.
    tip: Option<BlockHash>,
    poll_at: Instant,
    /// When maintenance wants to run at the latest, and not before.
    run_at: Instant,
    not_before: Instant,
    /// The store's version at the last look at what is to be followed.
    seen: u64,
}

impl Wallet {
    /// Follows the operator's news of this wallet's scripts, and the chain's tip, and does at once what
    /// [`Wallet::maintain`] does now and then: the same events come, promptly. It ends only when the wallet is closed, or
    /// when its future is dropped, which is safe at any time. Servers that do not answer are asked again with growing
    /// pauses; while the database is released it waits. `poll`: how often the tip is asked for; [`POLL`] is a good value.
    pub async fn live(&self, poll: Duration) -> Result<()> {
        let now = Instant::now();
        let mut live = Live {
            wallet: self.clone(),
            poll: poll.max(Duration::from_millis(100)),
            subscription: None,
            subscribe_at: now,
            pause: poll,
            tip: None,
            poll_at: now,
            run_at: now,
            not_before: now,
            seen: 0,
        };
        loop {
            // Whatever a step waits for: a closed wallet does not.
            let stepped = tokio::select! {
                error = until_closed(self) => Err(WalletError::from(error)),
                stepped = live.step() => stepped.map_err(|error| *error),
            };
            match stepped {
                Ok(()) => {}
                Err(WalletError::Store(StoreError::Closed)) => return Ok(()),
                Err(error) if error.is_released() => self.until_reopened().await?,
                // The database cannot be read: nothing is left to do that could be told.
                Err(WalletError::Store(error)) => return Err(error.into()),
                Err(error) => note!(Info, "live: {error}"),
            }
        }
    }

    /// What the operator tells news of: channels, and addresses of this wallet, the newest first.
    fn followed(&self) -> Result<Vec<ScriptBuf>> {
        let rows = self.sound_channels()?;
        self.store.read(|db| {
            let mut scripts = Vec::new();
            for row in rows.iter().rev().filter(|row| !has_ended(row)) {
                let terms = ChannelTerms::from_canonical(&row.record.terms)?;
                scripts.push(Channel::new(terms, row.record.funding)?.prevout().script_pubkey);
            }
            scripts.extend(db.scripts(ScriptKind::Vtxo)?.into_iter().rev().map(|own| own.script));
            scripts.truncate(MAX_SCRIPTS);
            Ok::<_, Box<WalletError>>(scripts)
        })
    }
}

impl Live {
    /// Waits for the next thing that happens, and does what it asks for.
    async fn step(&mut self) -> Result<()> {
        let run_at = self.run_at.max(self.not_before);
        tokio::select! {
            event = next_event(&mut self.subscription) => self.on_event(event).await,
            () = sleep_until(self.subscribe_at), if self.subscription.is_none() => self.subscribe().await,
            () = sleep_until(self.poll_at) => self.look_at_tip().await,
            () = sleep_until(run_at) => self.run().await,
        }
    }

    /// Subscribes anew when there is more to follow than before.
    fn refollow(&mut self) -> Result<()> {
        let Some(seen) = self.wallet.store.next_change(self.seen).now_or_never() else { return Ok(()) };
        self.seen = seen?;
        let Some(subscription) = &self.subscription else { return Ok(()) };
        let followed: HashSet<&ScriptBuf> = subscription.scripts().iter().collect();
        if self.wallet.followed()?.iter().any(|script| !followed.contains(script)) {
            self.subscription = None;
            self.subscribe_at = Instant::now();
        }
        Ok(())
    }

    async fn subscribe(&mut self) -> Result<()> {
        let scripts = self.wallet.followed()?;
        // Set first: the call may be dropped for something else that happens.
        self.subscribe_at = Instant::now() + self.pause;
        if scripts.is_empty() {
            return Ok(());
        }
        let subscribed = match self.wallet.net.operator().await {
            Ok(operator) => operator.subscribe(scripts).await.map_err(|error| Box::new(error.into())),
            Err(error) => Err(error),
        };
        match subscribed {
            Ok(subscription) => {
                self.subscription = Some(subscription);
                self.pause = self.poll;
                // What happened before is not told.
                self.run_at = Instant::now();
                Ok(())
            }
            Err(error) => {
                self.pause = (self.pause * 2).min(MAX_PAUSE.max(self.poll));
                Err(error)
            }
        }
    }

    async fn on_event(
        &mut self,
        event: std::result::Result<ScriptEvent, crate::operator::OperatorError>,
    ) -> Result<()> {
        match event {
            Ok(ScriptEvent::Change { new, spent, swept, .. }) => {
                let touched: HashSet<OutPoint> =
                    spent.iter().map(|vtxo| vtxo.outpoint).chain(swept.iter().copied()).collect();
                let own = new.iter().chain(&spent).any(|vtxo| self.is_own(&vtxo.script));
                tokio::time::sleep(BETWEEN_LOOKS).await;
                self.look_at(&touched).await?;
                if own {
                    self.run_at = Instant::now();
                }
                Ok(())
            }
            Ok(ScriptEvent::Resumed) => {
                self.run_at = Instant::now();
                Ok(())
            }
            Err(error) => {
                self.subscription = None;
                self.subscribe_at = Instant::now() + self.pause;
                self.pause = (self.pause * 2).min(MAX_PAUSE.max(self.poll));
                Err(error.into())
            }
        }
    }

    fn is_own(&self, script: &ScriptBuf) -> bool {
        self.wallet.own_script(script).is_ok()
    }

    /// Channels that the operator told something of.
    async fn look_at(&self, touched: &HashSet<OutPoint>) -> Result<()> {
        let wallet = &self.wallet;
        let concerned = |row: &ChannelRow| {
            touched.contains(&row.record.funding) && !has_ended(row) && row.hot.state != ChannelState::Exiting
        };
        let rows = wallet.sound_channels()?;
        let rows: Vec<ChannelRow> = rows.into_iter().filter(concerned).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let tip = wallet.observe_tip().await?;
        let until = Instant::now() + LOOK_LIMIT;
        let (looked, _) = wallet.look_and_answer(rows, &tip, true, until, |danger| !danger.is_late()).await?;
        if looked.iter().any(|(_, report)| report.as_ref().is_ok_and(|report| report.state == ChannelState::Exiting)) {
            wallet.advance_exits().await?;
        }
        Ok(())
    }

    /// A new block may confirm, unlock or unroll anything.
    async fn look_at_tip(&mut self) -> Result<()> {
        self.poll_at = Instant::now() + self.poll;
        self.refollow()?;
        let tip = self.wallet.observe_tip().await?;
        if self.tip != Some(tip.hash) {
            self.tip = Some(tip.hash);
            self.run_at = Instant::now();
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<()> {
        // Should it fail, or be dropped: not at once again.
        self.run_at = Instant::now() + MAX_PAUSE;
        let report = self.wallet.maintain().await?;
        let now = self.wallet.now().wall;
        let next = report.next_run.map_or(MAX_PAUSE, |next| Duration::from_secs(next.saturating_sub(now)));
        self.run_at = self.run_at.min(Instant::now() + next.min(MAX_PAUSE));
        self.not_before = Instant::now() + BETWEEN_RUNS.min(self.poll);
        Ok(())
    }
}

/// Answers once the wallet is closed, whatever else is stored meanwhile.
async fn until_closed(wallet: &Wallet) -> StoreError {
    let mut seen = 0;
    loop {
        match wallet.store.next_change(seen).await {
            Ok(version) => seen = version,
            Err(error) => return error,
        }
    }
}

/// The next news; waits for ever where nothing is followed.
async fn next_event(
    subscription: &mut Option<ScriptSubscription>,
) -> std::result::Result<ScriptEvent, crate::operator::OperatorError> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}
