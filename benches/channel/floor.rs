//! What a payment costs at least: raw libsecp256k1 and one raw durable commit of SQLite.
//!
//! The table has the columns and sizes of the wallet's, without its checks, triggers and indexes; the pragmas are the
//! wallet's too. A commit changes the same bytes as a payment, to others each time.

use std::num::NonZero;
use std::path::Path;

use bitcoin::XOnlyPublicKey;
use bitcoin::secp256k1::schnorr::Signature;
use rusqlite::{Connection, params};
use secp256k1::{Keypair, Message, SECP256K1};

use crate::Failure;

/// Bytes of the payer's ring of payment ids.
pub const RING: usize = 2 + 64 * 16;

/// A database with one row a channel.
pub struct Floor {
    connection: Connection,
    count: i64,
    ring: usize,
}

impl Floor {
    /// `ring` bytes change with each payment beside amounts and signatures: none on the receiver's side.
    pub fn create(path: &Path, rows: u32, ring: usize) -> Result<Self, Failure> {
        let connection = Connection::open(path)?;
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON;
             PRAGMA checkpoint_fullfsync = ON; PRAGMA journal_size_limit = 8388608;
             CREATE TABLE floor (n INTEGER PRIMARY KEY, id BLOB, role TEXT, capacity INTEGER, state TEXT, amount INTEGER,
                 previous INTEGER, ark_signature BLOB, exit_signature BLOB, high INTEGER, ring BLOB,
                 acknowledged INTEGER, authorisation_hash BLOB, last_watch INTEGER, notified INTEGER);
             BEGIN",
        )?;
        for n in 0..rows {
            connection.prepare_cached(
                "INSERT INTO floor VALUES (?1, zeroblob(32), 'receiver', 100000000, 'open', 1000, 1000, zeroblob(64),
                     zeroblob(64), 1000, zeroblob(?2), 1, zeroblob(32), 1800000000, 0)",
            )?.execute(params![n, ring as i64])?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(Self { connection, count: 1_000, ring })
    }

    /// One durable commit of one row.
    pub fn commit(&mut self) -> Result<(), Failure> {
        self.put(0)
    }

    /// One durable commit of many rows.
    pub fn commit_all(&mut self, rows: u32) -> Result<(), Failure> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for n in 0..rows {
            self.put(n)?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn put(&mut self, n: u32) -> Result<(), Failure> {
        self.count += 1;
        let byte = self.count as u8;
        let (signature, ring) = ([byte; 64], [byte; RING]);
        let sql = "UPDATE floor SET amount = ?2, previous = ?3, ark_signature = ?4, exit_signature = ?5, high = ?6,
                       ring = ?7 WHERE n = ?1";
        let ring = ring.get(..self.ring).ok_or("ring too long")?;
        let row = params![n, self.count, self.count - 1, signature, signature, self.count, ring];
        self.connection.prepare_cached(sql)?.execute(row)?;
        Ok(())
    }
}

/// Something to verify.
pub struct Signed {
    pub message: Message,
    pub key: XOnlyPublicKey,
    pub signature: Signature,
}

impl Signed {
    pub fn new(keypair: &Keypair, number: u64) -> Self {
        let message = message(number);
        Self { message, key: keypair.x_only_public_key().0, signature: SECP256K1.sign_schnorr(&message, keypair) }
    }

    pub fn verify(&self) -> bool {
        SECP256K1.verify_schnorr(&self.signature, &self.message, &self.key).is_ok()
    }
}

/// A message of its own for each number.
pub fn message(number: u64) -> Message {
    let mut digest = [7; 32];
    digest.iter_mut().zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    Message::from_digest(digest)
}

/// Verifies all on all cores.
pub fn verify_all(signed: &[Signed]) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = signed.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let workers: Vec<_> =
            signed.chunks(share).map(|chunk| scope.spawn(move || chunk.iter().all(Signed::verify))).collect();
        workers.into_iter().all(|worker| worker.join().unwrap_or(false))
    })
}
