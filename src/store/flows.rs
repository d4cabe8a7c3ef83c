//! The journal: flows of several steps that go on after a restart, and the coins they hold meanwhile.

use bitcoin::OutPoint;
use bitcoin::hex::DisplayHex;
use rusqlite::params;

use super::cells::{Cells, number, outpoint_bytes};
use super::{Db, FlowKind, StoreError};
use crate::log::note;

/// A flow and how far it has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    pub id: [u8; 32],
    pub kind: FlowKind,
    /// The step that comes next, in the flow's own words.
    pub step: String,
    /// What the flow needs to go on; only the flow reads it.
    pub data: Vec<u8>,
    /// Unix seconds.
    pub created_at: u64,
    /// Unix seconds.
    pub updated_at: u64,
}

const NO_FLOW: StoreError = StoreError::NotFound { what: "the flow" };
const COLUMNS: &str = "id, kind, step, data, created_at, updated_at";

impl Db<'_> {
    /// Starts a flow; its id must be new.
    pub fn insert_flow(&self, flow: &Flow) -> Result<(), StoreError> {
        let (created, updated) = (number(flow.created_at)?, number(flow.updated_at)?);
        let added = self.run(
            "INSERT INTO flows (id, kind, step, data, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (id) DO NOTHING",
            params![flow.id, flow.kind.as_str(), flow.step, flow.data, created, updated],
        )?;
        if added != 1 {
            return Err(StoreError::AlreadyExists { what: "the flow" });
        }
        self.note(format_args!("flow {} ({}): begins at {}", flow.id.as_hex(), flow.kind, flow.step));
        Ok(())
    }

    /// Takes the flow from `expected` to `step`. When another process has done so first, nothing changes and the
    /// answer is [`StoreError::StepChanged`]. `now` in unix seconds.
    pub fn update_flow(
        &self,
        id: &[u8; 32],
        expected: &str,
        step: &str,
        data: &[u8],
        now: u64,
    ) -> Result<(), StoreError> {
        let changed = self.run(
            "UPDATE flows SET step = ?3, data = ?4, updated_at = ?5 WHERE id = ?1 AND step = ?2",
            params![id, expected, step, data, number(now)?],
        )?;
        if changed == 1 {
            if expected != step {
                self.note(format_args!("flow {}: {expected} → {step}", id.as_hex()));
            }
            return Ok(());
        }
        let found = self.flow(id)?.ok_or(NO_FLOW)?.step;
        Err(StoreError::StepChanged { expected: expected.into(), found: found.into() })
    }

    pub fn flow(&self, id: &[u8; 32]) -> Result<Option<Flow>, StoreError> {
        self.one(&format!("SELECT {COLUMNS} FROM flows WHERE id = ?1"), [id], flow)
    }

    /// All flows that can be read, oldest first. One whose row is damaged must not keep the others from going on: the log
    /// tells of it.
    pub fn flows(&self) -> Result<Vec<Flow>, StoreError> {
        self.sound(self.all(&format!("SELECT {COLUMNS} FROM flows ORDER BY rowid"), [], |cells| Ok(flow(cells)))?)
    }

    /// All flows of a kind that can be read, oldest first.
    pub fn flows_of(&self, kind: FlowKind) -> Result<Vec<Flow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM flows WHERE kind = ?1 ORDER BY rowid");
        self.sound(self.all(&sql, [kind.as_str()], |cells| Ok(flow(cells)))?)
    }

    fn sound(&self, rows: Vec<Result<Flow, StoreError>>) -> Result<Vec<Flow>, StoreError> {
        let mut flows = Vec::with_capacity(rows.len());
        for row in rows {
            match row {
                Err(error @ StoreError::Corrupt { .. }) => note!(Error, "a flow cannot be read: {error}"),
                row => flows.push(row?),
            }
        }
        Ok(flows)
    }

    /// Ends a flow and releases its coins. One that is gone already is no error.
    pub fn delete_flow(&self, id: &[u8; 32]) -> Result<(), StoreError> {
        if self.run("DELETE FROM flows WHERE id = ?1", [id])? > 0 {
            self.note(format_args!("flow {}: ends", id.as_hex()));
        }
        Ok(())
    }

    /// Holds coins for a flow until it ends. Coins it holds already stay; one that another flow holds refuses all.
    pub fn lock_coins(&self, flow: &[u8; 32], coins: &[OutPoint]) -> Result<(), StoreError> {
        if self.flow(flow)?.is_none() {
            return Err(NO_FLOW);
        }
        for coin in coins {
            match self.lock_of(coin)? {
                Some(by) if by != *flow => return Err(StoreError::CoinLocked { outpoint: *coin, by: by.into() }),
                _ => {}
            }
        }
        for coin in coins {
            let sql = "INSERT INTO coin_locks (outpoint, flow) VALUES (?1, ?2) ON CONFLICT (outpoint) DO NOTHING";
            self.run(sql, params![outpoint_bytes(coin), flow])?;
        }
        Ok(())
    }

    /// Releases all coins of a flow that goes on without them.
    pub fn unlock_coins(&self, flow: &[u8; 32]) -> Result<(), StoreError> {
        self.run("DELETE FROM coin_locks WHERE flow = ?1", [flow]).map(drop)
    }

    /// The flow that holds a coin.
    pub fn lock_of(&self, coin: &OutPoint) -> Result<Option<[u8; 32]>, StoreError> {
        let sql = "SELECT flow FROM coin_locks WHERE outpoint = ?1";
        self.one(sql, [outpoint_bytes(coin)], |cells| cells.array(0))
    }

    /// All coins that are held, with the flow that holds them.
    pub fn locked_coins(&self) -> Result<Vec<(OutPoint, [u8; 32])>, StoreError> {
        let sql = "SELECT outpoint, flow FROM coin_locks ORDER BY outpoint";
        self.all(sql, [], |cells| Ok((cells.outpoint(0)?, cells.array(1)?)))
    }
}

fn flow(cells: &Cells<'_>) -> Result<Flow, StoreError> {
    Ok(Flow {
        id: cells.array(0)?,
        kind: cells.word(1, FlowKind::from_word)?,
        step: cells.text(2)?.to_owned(),
        data: cells.vec(3)?,
        created_at: cells.u64(4)?,
        updated_at: cells.u64(5)?,
    })
}
