//! Damage in the wallet's file, behind SQLite's own checks: any branch with a right checksum, any value in any column.

use std::cell::OnceCell;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Txid, consensus};
use rusqlite::Connection;
use rusqlite::types::Value;
use virtual_channels::channel::branch::{Branch, BranchNode};
use virtual_channels::channel::{Delay, Unit};
use virtual_channels::store::{ChannelRecord, ChannelState, FundingKind, Role, Store, StoreError};

use crate::pair::Pair;

/// Columns of a channel, with their tables.
const COLUMNS: [(&str, &str); 26] = [
    ("channels", "role"),
    ("channels", "terms"),
    ("channels", "capacity"),
    ("channels", "funding"),
    ("channels", "funding_kind"),
    ("channels", "key_index"),
    ("channels", "commitments"),
    ("channel_hot", "state"),
    ("channel_hot", "amount"),
    ("channel_hot", "previous"),
    ("channel_hot", "ark_signature"),
    ("channel_hot", "exit_signature"),
    ("channel_hot", "ring"),
    ("channel_hot", "high"),
    ("channel_hot", "acknowledged"),
    ("channel_hot", "authorisation_hash"),
    ("channel_hot", "last_watch"),
    ("channel_hot", "notified"),
    ("channel_hot", "role"),
    ("channel_hot", "capacity"),
    ("channels", "batch_expiry"),
    ("channels", "expiry"),
    ("channels", "levels"),
    ("channel_rare", "authorisation"),
    ("channel_rare", "submit_answer"),
    ("channel_rare", "result_txid"),
];

/// A file with one channel in it, and a second hand on it that keeps no rules.
struct File {
    store: Store,
    raw: Connection,
    channel: ChannelRecord,
    _folder: tempfile::TempDir,
}

thread_local! {
    static FILE: OnceCell<File> = const { OnceCell::new() };
}

fn with<R>(act: impl FnOnce(&File) -> R) -> R {
    FILE.with(|file| act(file.get_or_init(|| File::new().expect("a file"))))
}

impl File {
    fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("wallet.db");
        let store = Store::open(&path)?;
        let pair = Pair::new(40, Unit::Seconds, 100_000);
        let channel = record(&pair);
        store.write(|db| {
            db.insert_channel(&channel, ChannelState::Open, Some(&pair.authorisation().to_bytes()))?;
            db.put_update(&channel.id, &pair.update(0, 5_000), pair.update(0, 5_000).amount, None, None)?;
            db.put_branch(&channel.funding, &a_branch())
        })?;
        let raw = Connection::open(&path)?;
        raw.execute_batch("PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = ON;")?;
        let mut triggers = raw.prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger'")?;
        let names: Vec<String> = triggers.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(triggers);
        names.iter().try_for_each(|name| raw.execute_batch(&format!("DROP TRIGGER {name}")))?;
        Ok(Self { store, raw, channel, _folder: folder })
    }
}

fn record(pair: &Pair) -> ChannelRecord {
    ChannelRecord {
        id: pair.channel.id,
        role: Role::Payer,
        terms: pair.channel.terms.canonical(),
        capacity: pair.channel.terms.capacity,
        funding: pair.channel.funding,
        funding_kind: FundingKind::Batch,
        key_index: 0,
        commitments: vec![Txid::from_byte_array([1; 32])],
        batch_expiry: Delay::seconds(604_672).expect("a delay"),
        expiry: 1_900_000_000,
        expires_at: 1_900_000_000,
        levels: 2,
        created_at: 1_800_000_000,
    }
}

/// A stored branch: the bytes behind a right checksum.
pub fn branch(data: &[u8]) -> bool {
    let sum = sha256::Hash::hash(data).to_byte_array();
    let stored = [data, &sum[..8]].concat();
    with(|file| {
        file.raw.execute("UPDATE branches SET data = ?1", [stored]).expect("SQLite writes");
        let found = file.store.read(|db| db.branch(&file.channel.funding));
        match found {
            Ok(found) => {
                let branch = found.expect("it is there");
                assert_eq!(encode(&branch), data, "one branch has one encoding");
                true
            }
            Err(StoreError::Corrupt { .. }) => false,
            Err(other) => panic!("{other}"),
        }
    })
}

/// The encoding as its description says: version, and each transaction with its co-signers.
fn encode(branch: &Branch) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend(consensus::serialize(&consensus::encode::VarInt::from(branch.nodes.len())));
    for node in &branch.nodes {
        bytes.extend(consensus::serialize(&node.tx));
        bytes.extend(consensus::serialize(&consensus::encode::VarInt::from(node.cosigners.len())));
        node.cosigners.iter().for_each(|key| bytes.extend(key.serialize()));
    }
    bytes
}

/// A tree node and a transaction below it; nobody checks them here.
pub fn a_branch() -> Branch {
    let pair = Pair::new(41, Unit::Seconds, 100_000);
    let keys = [&pair.payer, &pair.receiver].map(secp256k1::Keypair::public_key);
    let mut tx = pair.channel.unilateral_refund();
    tx.input[0].witness = bitcoin::Witness::from_slice(&[[7; 64]]);
    let other = pair.channel.exit_update(pair.channel.terms.capacity).expect("an exit");
    let nodes = vec![BranchNode { tx, cosigners: keys.into() }, BranchNode { tx: other, cosigners: [].into() }];
    Branch { nodes }
}

pub fn branch_seed() -> Vec<u8> {
    encode(&a_branch())
}

/// Any value in one column of the channel; then the channel is read in every way.
pub fn cell(data: &[u8]) -> bool {
    let Some(([column, kind], value)) = data.split_first_chunk::<2>() else { return false };
    let (table, column) = COLUMNS[usize::from(*column) % COLUMNS.len()];
    let value = match kind % 4 {
        0 => {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
            Value::Integer(i64::from_le_bytes(bytes))
        }
        1 => Value::Text(String::from_utf8_lossy(value).into_owned()),
        2 => Value::Blob(value.to_vec()),
        _ => Value::Null,
    };
    with(|file| {
        let get = format!("SELECT {column} FROM {table}");
        let before: Value = file.raw.query_row(&get, [], |row| row.get(0)).expect("SQLite reads");
        let set = format!("UPDATE {table} SET {column} = ?1");
        // A column takes its own type only.
        if file.raw.execute(&set, [value]).is_err() {
            return false;
        }
        let id = file.channel.id;
        let hot = file.store.read(|db| db.hot(&id));
        if let Ok(Some(hot)) = &hot {
            assert!(hot.amount() <= hot.high && hot.high <= hot.capacity && hot.ring.len() <= 64);
        }
        let row = file.store.read(|db| db.channel(&id));
        // Damaged or not, nothing hides it.
        let (sound, damaged) = file.store.read(|db| db.channels()).expect("the others can be read");
        assert_eq!((sound.len(), damaged.len()), if row.is_ok() { (1, 0) } else { (0, 1) });
        let damaged = damaged.first().map(|row| &row.error);
        for error in [hot.as_ref().err(), row.as_ref().err(), damaged].into_iter().flatten() {
            assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
        }
        file.raw.execute(&set, [before]).expect("SQLite writes");
        row.is_ok()
    })
}
