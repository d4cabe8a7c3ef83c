//! Watching: looks at the chain and at the operator's books, for one channel or for all of them at once.

mod answer;
mod danger;
mod note;
mod path;
mod results;
mod sky;

use std::time::Duration;

use bitcoin::{OutPoint, Txid};
use tokio::time::Instant;

use super::error::Result;
use super::loaded::LoadedChannel;
use super::maintain::still_running;
use super::{Wallet, WalletError};
use crate::chain::Tip;
use crate::channel::{ChannelId, Unit};
use crate::log::note;
use crate::operator::Vtxo;
use crate::store::{ChannelRow, ChannelState, Role, StoreError};
pub(super) use danger::{Danger, closed_exit_by};
use danger::{Moment, Scene};
use path::{OnChain, Path};
use results::Results;
use sky::Sky;

/// The longest that one look takes.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// What a look at a channel showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchReport {
    pub channel_id: ChannelId,
    /// After this look.
    pub state: ChannelState,
    /// Confirmations of the commitment transaction with the fewest.
    pub confirmations: u32,
    /// A transaction that makes the channel VTXO, or one it was made from, is on chain or in the mempool.
    pub unrolled: bool,
    /// What spent the channel VTXO in the operator's books.
    pub spent_by: Option<Txid>,
    /// Whether the operator could be asked.
    pub operator_seen: bool,
}

/// What a look showed of one channel.
struct Sight {
    confirmations: u32,
    on_chain: OnChain,
    /// `None`: the books could not be seen. `Some(None)`: the VTXO is not in them.
    books: Option<Option<Vtxo>>,
    /// The outputs of the ark transaction that spends it are in the books: it is final.
    spend_is_final: bool,
    /// This side's result is not its own any more.
    result_is_spent: bool,
    /// Confirmations of the batch that this side's result went into; `None` before the first.
    settled: Option<u32>,
}

/// What came of looking at one channel.
struct Looked {
    report: WatchReport,
    /// What must be done about it, if a second look says the same.
    danger: Option<Danger>,
}

impl Sight {
    fn vtxo(&self) -> Option<&Vtxo> {
        self.books.as_ref().and_then(Option::as_ref)
    }

    fn spent_by(&self) -> Option<Txid> {
        self.vtxo().and_then(spender)
    }
}

/// What spent a VTXO.
fn spender(vtxo: &Vtxo) -> Option<Txid> {
    vtxo.ark_txid.or(vtxo.spent_by).or(vtxo.settled_by).filter(|_| vtxo.spent)
}

impl Wallet {
    /// Looks at the chain and, when it answers, at the operator: a channel becomes open when its batch is confirmed,
    /// and closed when the other side closed it. As receiver this is what lets new money be taken for a while
    /// ([`crate::channel`]'s *blindness*).
    pub async fn watch(&self, id: &ChannelId) -> Result<WatchReport> {
        self.look_at_channel(id, true).await
    }

    /// One look; without the operator where it is known not to answer.
    pub(super) async fn look_at_channel(&self, id: &ChannelId, ask_operator: bool) -> Result<WatchReport> {
        let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
        let tip = self.observe_tip().await?;
        // The checkpoint script and the limits that payments are judged by may have changed.
        let ask_operator = ask_operator && self.fresh_info().await.is_ok();
        let until = Instant::now() + LOOK_LIMIT;
        // What is on chain cannot wait; the rest is for maintenance.
        let (looked, _) = self.look_and_answer(vec![row], &tip, ask_operator, until, Danger::is_on_chain).await?;
        looked.into_iter().next().map_or(Err(Box::new(WalletError::NotFound)), |(_, report)| report)
    }

    /// One look at all of `rows`: every question is asked once, whoever needs the answer, those of the first rows first.
    /// The answers are in the order of the rows; an error only where the store fails.
    async fn look_at(
        &self,
        rows: Vec<ChannelRow>,
        tip: &Tip,
        ask_operator: bool,
        until: Instant,
    ) -> Result<Vec<(ChannelId, Result<Looked>)>> {
        // Before anything is asked: what happens from now on may not be seen.
        let seen_at = self.watched_at();
        let operator = if ask_operator { self.net.operator().await.ok() } else { None };
        let mut sky = Sky::new(&self.net.chain, operator, tip.height, until);
        sky.see_transactions(rows.iter().flat_map(|row| row.record.commitments.iter().copied())).await;
        let paths = self.paths(&rows)?;
        sky.see_paths(&paths.iter().flatten().flatten().collect::<Vec<_>>()).await;
        sky.see_vtxos(rows.iter().flat_map(asked_of_books)).await;
        let mut next = Vec::new();
        for row in &rows {
            let vtxo = sky.vtxo(&row.record.funding).flatten().filter(|_| may_be_spent(row));
            next.extend(vtxo.and_then(spender).map(|txid| OutPoint::new(txid, 0)));
        }
        sky.see_vtxos(next).await;
        let results = self.results(&rows, &sky, until).await?;
        sky.see_transactions(results.batches()).await;
        let (mut looked, mut seen) = (Vec::with_capacity(rows.len()), Vec::new());
        for (row, path) in rows.iter().zip(paths) {
            let one = match path.and_then(|path| sight(row, path.as_ref(), &sky, &results)) {
                Ok(sight) => self.look_at_one(row, sight, tip, until).await,
                Err(error) => Err(error),
            };
            if one.is_ok() {
                seen.push(row.record.id);
            }
            looked.push((row.record.id, one));
        }
        // After all that the looks have shown: whoever is killed in between has not looked.
        if !seen.is_empty() {
            self.store.write::<_, Box<WalletError>>(|db| {
                seen.iter().try_for_each(|id| Ok(db.set_last_watch(id, seen_at)?))
            })?;
        }
        Ok(looked)
    }

    /// Takes over what was seen of one channel, and says what it asks for. What cannot be taken over keeps nobody from
    /// leaving: a channel that is on chain is not opened any more, and may hold money from before a reorganisation.
    async fn look_at_one(&self, row: &ChannelRow, mut sight: Sight, tip: &Tip, until: Instant) -> Result<Looked> {
        let noted = self.note(row, &mut sight, until).await;
        let danger = self.danger_of(row, &sight, tip)?;
        match noted {
            Err(error) if danger.is_none() || error.is_released() => return Err(error),
            Err(error) => note!(Warn, "channel {}: {error}", row.record.id),
            Ok(()) => {}
        }
        Ok(Looked { report: self.report(row, &sight)?, danger })
    }

    /// A look, and the state after it.
    fn report(&self, row: &ChannelRow, sight: &Sight) -> Result<WatchReport> {
        let channel_id = row.record.id;
        Ok(WatchReport {
            channel_id,
            state: self.store.read(|db| db.hot(&channel_id))?.ok_or(WalletError::NotFound)?.state,
            confirmations: sight.confirmations,
            unrolled: sight.on_chain.unrolled.is_some(),
            spent_by: sight.spent_by(),
            operator_seen: sight.books.is_some(),
        })
    }

    /// What a look asks for.
    fn danger_of(&self, row: &ChannelRow, sight: &Sight, tip: &Tip) -> Result<Option<Danger>> {
        let loaded = self.loaded(&row.record.id)?;
        // A restored receiver has nothing to leave with before its latest update comes, which an exit would not take.
        if row.hot.role == Role::Receiver && row.hot.update.is_none() && loaded.was_restored() {
            return Ok(None);
        }
        let unit = loaded.unit();
        let chain = match unit {
            Unit::Blocks => u64::from(tip.height),
            Unit::Seconds => tip.median_time_past,
        };
        let moment = Moment { now: self.moment(unit, tip), chain };
        let own = match (row.result, sight.spent_by()) {
            (Some(result), _) => Some(result.txid),
            (None, Some(_)) => self.own_close(row, &loaded)?,
            (None, None) => None,
        };
        Ok(Scene { row, loaded: &loaded, sight, moment, own, now: self.now(), tip: tip.height }.danger())
    }

    /// The close that the receiver makes of what is stored.
    fn own_close(&self, row: &ChannelRow, loaded: &LoadedChannel) -> Result<Option<Txid>> {
        let authorised = self.store.read(|db| self.authorised(db, loaded, &row.hot))?;
        let (Some(authorised), Some(update)) = (authorised, row.hot.update) else { return Ok(None) };
        Ok(Some(loaded.channel.close(&authorised.authorisation.script, update.amount)?.txid()))
    }

    /// The branches of channels that are stored. One that is damaged is an error of its channel alone.
    fn paths(&self, rows: &[ChannelRow]) -> Result<Vec<Result<Option<Path>>>> {
        self.store.read(|db| {
            let path = |row: &ChannelRow| {
                let funding = row.record.funding;
                match db.branch(&funding) {
                    Err(error @ StoreError::Corrupt { .. }) => Ok(Err(error.into())),
                    branch => Ok(Ok(branch?.map(|branch| Path::of(&branch, funding)))),
                }
            };
            rows.iter().map(path).collect()
        })
    }

    /// Waits until the channel takes payments, looking every `interval`; the caller bounds it with a timeout.
    pub async fn wait_until_open(&self, id: &ChannelId, interval: Duration) -> Result<()> {
        loop {
            let report = self.watch(id).await?;
            match report.state {
                ChannelState::Open => return Ok(()),
                ChannelState::Confirming => tokio::time::sleep(interval).await,
                state => {
                    return Err(Box::new(WalletError::WrongState { channel_id: *id, state, what: "opening" }));
                }
            }
        }
    }
}

/// The channel VTXO, and what came of it for this side.
fn asked_of_books(row: &ChannelRow) -> impl Iterator<Item = OutPoint> {
    [row.record.funding].into_iter().chain(result_of(row))
}

/// This side's output of a close.
fn result_of(row: &ChannelRow) -> Option<OutPoint> {
    row.result.and_then(|result| result.outpoint).filter(|_| row.hot.state == ChannelState::Closed)
}

/// Whether it is of interest what spends the channel VTXO in the books.
fn may_be_spent(row: &ChannelRow) -> bool {
    use ChannelState::{Closing, Confirming, Open, Refunding};
    matches!(row.hot.state, Confirming | Open | Closing | Refunding)
}

/// Whether a payer waits for the receiver's close.
fn awaits_close(row: &ChannelRow) -> bool {
    // Closing: it has granted one.
    let waits = matches!(row.hot.state, ChannelState::Open | ChannelState::Closing | ChannelState::Refunding);
    row.hot.role == Role::Payer && waits
}

fn sight(row: &ChannelRow, path: Option<&Path>, sky: &Sky<'_>, results: &Results) -> Result<Sight> {
    let mut confirmations = u32::MAX;
    for txid in &row.record.commitments {
        confirmations = confirmations.min(sky.confirmations(txid)?);
    }
    let on_chain = match path {
        Some(path) => sky.on_chain(path)?,
        // Nobody can say whether it is on chain, and nothing would bring it there: it is not seen.
        None if may_be_spent(row) => return Err(StoreError::NotFound { what: "the branch of the channel" }.into()),
        None => OnChain::UNSEEN,
    };
    let books = sky.vtxo(&row.record.funding).map(|vtxo| vtxo.cloned());
    let spent_by = books.as_ref().and_then(Option::as_ref).and_then(spender);
    let spend_is_final = spent_by.is_some_and(|txid| sky.vtxo(&OutPoint::new(txid, 0)).flatten().is_some());
    let (result_is_spent, settled) = (results.is_spent(row), results.settled(row, sky)?);
    Ok(Sight { confirmations, on_chain, books, spend_is_final, result_is_spent, settled })
}

fn out_of_time() -> WalletError {
    still_running()
}
