//! Tests that need a look at the connection itself.

mod durability;
mod lifecycle;
mod payment;
mod release;
mod tables;

use std::cell::RefCell;
use std::path::PathBuf;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::schnorr::Signature;
use bitcoin::{Amount, OutPoint, Txid};
use tempfile::TempDir;

use super::*;
use crate::channel::{ChannelId, ChannelUpdate, Delay};

/// A store in a folder of its own.
struct Fresh {
    store: Store,
    path: PathBuf,
}

thread_local! {
    /// A store whose file is gone refuses to write: the folders stay until the test's thread ends.
    static FOLDERS: RefCell<Vec<TempDir>> = const { RefCell::new(Vec::new()) };
}

fn fresh() -> Fresh {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    FOLDERS.with_borrow_mut(|folders| folders.push(folder));
    Fresh { store: Store::open(&path).unwrap(), path }
}

fn record(byte: u8, role: Role) -> ChannelRecord {
    ChannelRecord {
        id: ChannelId([byte; 32]),
        role,
        terms: vec![byte; 300],
        capacity: Amount::from_sat(100_000),
        funding: OutPoint::new(Txid::from_byte_array([byte; 32]), 1),
        funding_kind: FundingKind::Batch,
        key_index: 7,
        commitments: vec![Txid::from_byte_array([1; 32]), Txid::from_byte_array([2; 32])],
        batch_expiry: Delay::seconds(604_672).unwrap(),
        expiry: 1_800_000_000,
        expires_at: 1_800_000_100,
        levels: 3,
        created_at: 1_700_000_000,
    }
}

fn update(byte: u8, previous: u64, amount: u64) -> ChannelUpdate {
    let signature = |fill: u8| Signature::from_slice(&[fill; 64]).unwrap();
    ChannelUpdate {
        channel_id: ChannelId([byte; 32]),
        previous: Amount::from_sat(previous),
        amount: Amount::from_sat(amount),
        ark_signature: signature(amount as u8),
        exit_signature: signature(previous as u8),
    }
}

/// Puts `update` with the amount as the high one.
fn put(db: &Db<'_>, update: &ChannelUpdate) -> Result<(), StoreError> {
    db.put_update(&update.channel_id, update, update.amount, None, None)
}

/// Runs SQL behind the back of the store.
fn raw(store: &Store, sql: &str) -> rusqlite::Result<()> {
    store.held().open().unwrap().connection.execute_batch(sql)
}

fn number(store: &Store, sql: &str) -> i64 {
    store.held().open().unwrap().connection.query_row(sql, [], |row| row.get(0)).unwrap()
}
