//! What the wallet signed its coins away for.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use rusqlite::params;

use super::cells::{Cells, outpoint_bytes};
use super::{Db, StoreError};

/// A coin, and a transaction that takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedAway {
    pub outpoint: OutPoint,
    /// The commitment transaction of a batch, or an ark transaction.
    pub spent_by: Txid,
    /// The coin is gone for good: that transaction is final.
    pub is_final: bool,
}

const COLUMNS: &str = "outpoint, spent_by, final";

impl Db<'_> {
    /// Remembers that `spent_by` takes a coin: with `is_final` for good, else once it is in a block. What is final stays so.
    pub fn sign_away(&self, outpoint: &OutPoint, spent_by: &Txid, is_final: bool) -> Result<(), StoreError> {
        let sql = "INSERT INTO signed_away (outpoint, spent_by, final) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET final = 1 WHERE final = 0 AND excluded.final = 1";
        let spent_by = spent_by.to_byte_array();
        self.run(sql, params![outpoint_bytes(outpoint), spent_by, is_final]).map(drop)
    }

    /// This transaction is final: what was signed away for it is gone for good.
    pub fn has_taken(&self, spent_by: &Txid) -> Result<(), StoreError> {
        let sql = "UPDATE signed_away SET final = 1 WHERE spent_by = ?1 AND final = 0";
        self.run(sql, [spent_by.to_byte_array()]).map(drop)
    }

    /// All coins that were signed away, once for each transaction that takes them.
    pub fn signed_away(&self) -> Result<Vec<SignedAway>, StoreError> {
        self.all(&format!("SELECT {COLUMNS} FROM signed_away"), [], signed_away)
    }

    /// What a coin was signed away for.
    pub fn signed_away_of(&self, outpoint: &OutPoint) -> Result<Vec<SignedAway>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM signed_away WHERE outpoint = ?1");
        self.all(&sql, [outpoint_bytes(outpoint)], signed_away)
    }
}

fn signed_away(cells: &Cells<'_>) -> Result<SignedAway, StoreError> {
    Ok(SignedAway { outpoint: cells.outpoint(0)?, spent_by: cells.txid(1)?, is_final: cells.bool(2)? })
}
