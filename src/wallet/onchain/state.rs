//! What is stored of the on-chain wallet: a cache of the chain, and which addresses were given out. No secret.

use std::collections::BTreeMap;

use bitcoin::consensus::serde::{Hex, With};
use bitcoin::{BlockHash, Transaction, Txid};
use serde::{Deserialize, Serialize};

use super::super::WalletError;
use super::super::error::Result;
use super::super::keys::KeyUse;
use crate::store::Db;

const KEY: &str = "onchain";

/// Unused addresses in a row after which a scan ends.
pub(super) const GAP: u32 = 20;

/// Change scripts that are given out before one of them is used: then the first comes again. Well within [`GAP`].
const CHANGE_AHEAD: u32 = 10;

/// So deep that it stays.
const BURIED: u32 = 100;

/// No chain is higher: bdk panics where a height is no locktime.
const MAX_HEIGHT: u32 = 100_000_000;

/// An own key on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OwnKey {
    pub key_use: KeyUse,
    pub index: u32,
}

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub height: u32,
    pub hash: BlockHash,
    /// The time in its header, unix seconds.
    pub time: u64,
}

/// A transaction that matters for the coins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Without its witness.
    #[serde(with = "With::<Hex>")]
    pub tx: Transaction,
    /// `None` in the mempool.
    pub place: Option<Place>,
    /// When it was first seen there, unix seconds.
    pub since: u64,
}

/// The indexes of one branch of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Branch {
    /// Indexes below this one were paid to, or others after them.
    pub used: u32,
    /// Indexes below this one were given out.
    pub shown: u32,
}

/// All that is stored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// Where the chain ended at the last look.
    pub tip: Option<Place>,
    /// Whether all addresses were looked at once: coins of another phone, or of another life of this one.
    pub scanned: bool,
    pub addresses: Branch,
    pub change: Branch,
    /// The change index given out last.
    pub last_change: Option<u32>,
    pub known: BTreeMap<Txid, Known>,
}

impl State {
    /// What is stored. All of it can be had from the chain again, so what cannot be read is as good as nothing.
    pub fn load(db: &Db<'_>) -> Result<Self> {
        let stored = db.meta(KEY)?.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(stored.filter(|state| state.blocks().is_some() && state.is_sound()).unwrap_or_default())
    }

    /// Stores it, if it is not what is stored already: who waits for changes is not woken by every look.
    pub fn save(&self, db: &Db<'_>) -> Result<()> {
        let bytes = serde_json::to_vec(self).map_err(|_| WalletError::CorruptFlow { what: "the on-chain wallet" })?;
        if db.meta(KEY)?.as_ref() != Some(&bytes) {
            db.set_meta(KEY, &bytes)?;
        }
        Ok(())
    }

    fn is_sound(&self) -> bool {
        let named = self.known.iter().all(|(txid, known)| known.tx.compute_txid() == *txid);
        let small = [self.addresses, self.change].iter().all(|branch| branch.used.max(branch.shown) < 1 << 24);
        named && small
    }

    /// The blocks of the transactions and the tip, by height; `None` where they cannot be of one chain.
    pub fn blocks(&self) -> Option<BTreeMap<u32, BlockHash>> {
        let mut blocks = BTreeMap::new();
        let tip = self.tip;
        let places = self.known.values().filter_map(|known| known.place);
        for place in places.chain(tip) {
            let fits = tip.is_some_and(|tip| place.height <= tip.height) && (1..MAX_HEIGHT).contains(&place.height);
            if !fits || *blocks.entry(place.height).or_insert(place.hash) != place.hash {
                return None;
            }
        }
        Some(blocks)
    }

    /// Whether a transaction is so deep that it stays.
    pub fn is_buried(&self, known: &Known) -> bool {
        let tip = self.tip.map_or(0, |tip| tip.height);
        known.place.is_some_and(|place| place.height.saturating_add(BURIED) <= tip)
    }

    /// The key of the address that is shown: the first one after those that were paid to.
    pub fn address(&mut self) -> OwnKey {
        let index = self.addresses.used;
        self.addresses.shown = self.addresses.shown.max(index.saturating_add(1));
        OwnKey { key_use: KeyUse::Onchain, index }
    }

    /// The key of the next change output. Never so far ahead that a scan would not find it.
    pub fn next_change(&mut self) -> OwnKey {
        let first = self.change.used;
        let next = self.last_change.map_or(first, |last| last.saturating_add(1).max(first));
        let index = if next < first.saturating_add(CHANGE_AHEAD) { next } else { first };
        self.last_change = Some(index);
        self.change.shown = self.change.shown.max(index.saturating_add(1));
        OwnKey { key_use: KeyUse::OnchainChange, index }
    }

    /// An address was paid to.
    pub fn mark_used(&mut self, key: OwnKey) {
        let branch = match key.key_use {
            KeyUse::Onchain => &mut self.addresses,
            KeyUse::OnchainChange => &mut self.change,
            _ => return,
        };
        branch.used = branch.used.max(key.index.saturating_add(1));
        branch.shown = branch.shown.max(branch.used);
    }
}
