//! What one run sees of the chain and of the operator's books. All channels share it, and nothing is asked twice.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::Hash;

use bitcoin::{OutPoint, Txid};
use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::path::{OnChain, Path, Spends};
use crate::chain::{Chain, ChainError, TxStatus};
use crate::operator::{Operator, Vtxo};
use crate::wallet::WalletError;
use crate::wallet::error::Result;

/// Questions under way at once.
const AT_ONCE: usize = 8;

/// After not having been reached so often a server is left alone for the rest of the run.
const MAX_FAILURES: usize = 3;

/// And after so many answers that are of no use.
const MAX_BAD: usize = 64;

/// Outpoints asked about in one call.
const BOOKS_PAGE: usize = 100;

pub(super) struct Sky<'a> {
    chain: &'a Chain,
    operator: Option<&'a Operator>,
    until: Instant,
    /// The chain's end at the beginning of the run.
    height: u32,
    statuses: HashMap<Txid, TxStatus>,
    spends: Spends,
    /// `None`: the operator does not know the outpoint.
    books: HashMap<OutPoint, Option<Vtxo>>,
    failures: usize,
    bad: usize,
    failed: Option<ChainError>,
}

impl<'a> Sky<'a> {
    /// `operator`: `None` where it is known not to answer.
    pub fn new(chain: &'a Chain, operator: Option<&'a Operator>, height: u32, until: Instant) -> Self {
        let (statuses, spends, books) = (HashMap::new(), Spends::new(), HashMap::new());
        Self { chain, operator, until, height, statuses, spends, books, failures: 0, bad: 0, failed: None }
    }

    /// Asks whether transactions are confirmed.
    pub async fn see_transactions(&mut self, wanted: impl IntoIterator<Item = Txid>) {
        let wanted = fresh(wanted, |txid| self.statuses.contains_key(txid));
        let chain = self.chain;
        self.ask(wanted, |txid| chain.status(txid), |sky, txid, status| sky.statuses.insert(txid, status)).await;
    }

    /// Goes down all branches together, a level a round, only as far as they are on chain.
    pub async fn see_paths(&mut self, paths: &[&Path]) {
        loop {
            let wanted = fresh(paths.iter().flat_map(|path| path.frontier(&self.spends)), |_| false);
            let before = self.spends.len();
            let chain = self.chain;
            self.ask(
                wanted,
                |outpoint| chain.outspend(outpoint),
                |sky, outpoint, spend| sky.spends.insert(outpoint, spend),
            )
            .await;
            if self.spends.len() == before {
                return;
            }
        }
    }

    /// Looks VTXOs up in the operator's books.
    pub async fn see_vtxos(&mut self, wanted: impl IntoIterator<Item = OutPoint>) {
        let wanted = fresh(wanted, |outpoint| self.books.contains_key(outpoint));
        for page in wanted.chunks(BOOKS_PAGE) {
            let Some(operator) = self.operator else { return };
            match timeout_at(self.until, operator.vtxos_by_outpoints(page)).await {
                Ok(Ok(found)) => {
                    self.books.extend(page.iter().map(|outpoint| (*outpoint, None)));
                    self.books.extend(found.into_iter().map(|vtxo| (vtxo.outpoint, Some(vtxo))));
                }
                _ => self.operator = None,
            }
        }
    }

    /// Confirmations of a transaction that was asked about.
    pub fn confirmations(&self, txid: &Txid) -> Result<u32> {
        let status = self.statuses.get(txid).ok_or_else(|| self.unanswered())?;
        Ok(status.confirmations(self.height))
    }

    /// How far a branch is on chain; an error when a question about it was not answered.
    pub fn on_chain(&self, path: &Path) -> Result<OnChain> {
        match path.frontier(&self.spends).is_empty() {
            true => Ok(path.on_chain(&self.spends)),
            false => Err(Box::new(self.unanswered())),
        }
    }

    /// What the books say; `None` where they could not be seen.
    pub fn vtxo(&self, outpoint: &OutPoint) -> Option<Option<&Vtxo>> {
        self.books.get(outpoint).map(Option::as_ref)
    }

    fn unanswered(&self) -> WalletError {
        match &self.failed {
            Some(error) => error.clone().into(),
            None => super::out_of_time(),
        }
    }

    /// Asks the chain, some questions at a time, until there is no time left or the server fails again and again.
    async fn ask<K: Copy, V, F: Future<Output = std::result::Result<V, ChainError>>, R>(
        &mut self,
        wanted: Vec<K>,
        question: impl Fn(K) -> F,
        keep: impl Fn(&mut Self, K, V) -> R,
    ) {
        for some in wanted.chunks(AT_ONCE) {
            if self.failures >= MAX_FAILURES || self.bad >= MAX_BAD {
                return;
            }
            let answers = join_all(some.iter().map(|key| timeout_at(self.until, question(*key)))).await;
            for (key, answer) in some.iter().zip(answers) {
                match answer {
                    Ok(Ok(answer)) => drop(keep(self, *key, answer)),
                    Ok(Err(error)) => {
                        match error {
                            ChainError::Unreachable { .. } => self.failures += 1,
                            _ => self.bad += 1,
                        }
                        self.failed = Some(error);
                    }
                    Err(_) => return,
                }
            }
        }
    }
}

/// Each of `wanted` once, in their order, without what is known.
fn fresh<K: Copy + Eq + Hash>(wanted: impl IntoIterator<Item = K>, known: impl Fn(&K) -> bool) -> Vec<K> {
    let mut seen = HashSet::new();
    wanted.into_iter().filter(|key| !known(key) && seen.insert(*key)).collect()
}
