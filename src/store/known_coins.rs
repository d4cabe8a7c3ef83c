//! Coins that were seen unspent, so that somebody else's spending of them is noticed.

use bitcoin::OutPoint;
use rusqlite::params;

use super::cells::outpoint_bytes;
use super::{Db, StoreError};

/// A coin that was seen unspent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownCoin {
    pub outpoint: OutPoint,
    /// On chain at a boarding address; else a VTXO.
    pub boarding: bool,
    /// Signed away or left by this wallet, or told to the app: that it is spent surprises nobody. Whether it is gone is
    /// another matter ([`super::SignedAway`]).
    pub done: bool,
}

impl Db<'_> {
    /// Remembers a coin that is unspent. One that is known stays as it is.
    pub fn know_coin(&self, outpoint: &OutPoint, boarding: bool) -> Result<(), StoreError> {
        let sql = "INSERT INTO known_coins (outpoint, boarding, done) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING";
        self.run(sql, params![outpoint_bytes(outpoint), boarding]).map(drop)
    }

    /// That this coin is spent surprises nobody, from now on and for good.
    pub fn coin_is_done(&self, outpoint: &OutPoint, boarding: bool) -> Result<(), StoreError> {
        let sql = "INSERT INTO known_coins (outpoint, boarding, done) VALUES (?1, ?2, 1)
             ON CONFLICT (outpoint) DO UPDATE SET done = 1 WHERE done = 0";
        self.run(sql, params![outpoint_bytes(outpoint), boarding]).map(drop)
    }

    /// All coins that were ever seen unspent, or signed away.
    pub fn known_coins(&self) -> Result<Vec<KnownCoin>, StoreError> {
        self.all("SELECT outpoint, boarding, done FROM known_coins", [], |cells| {
            Ok(KnownCoin { outpoint: cells.outpoint(0)?, boarding: cells.bool(1)?, done: cells.bool(2)? })
        })
    }

    /// The index that is given out next.
    pub fn coming_key_index(&self) -> Result<u32, StoreError> {
        self.one("SELECT next_key_index FROM wallet", [], |cells| cells.u32(0))?
            .ok_or_else(|| StoreError::corrupt("the wallet row is missing"))
    }

    /// Gives out no index below `next` any more.
    pub fn skip_key_indexes(&self, next: u32) -> Result<(), StoreError> {
        self.run("UPDATE wallet SET next_key_index = ?1 WHERE next_key_index < ?1", [next]).map(drop)
    }
}
