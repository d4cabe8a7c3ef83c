//! Invites this wallet has handed out.

use rusqlite::params;

use super::cells::{Cells, number};
use super::{Db, StoreError};

/// An invite; good for one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    pub id: [u8; 32],
    /// The message as it was handed out.
    pub encoded: Vec<u8>,
    /// The index of the receiver's keys in it.
    pub key_index: u32,
    /// Unix seconds.
    pub expires_at: u64,
    pub used: bool,
}

const COLUMNS: &str = "id, encoded, key_index, expires_at, used";

impl Db<'_> {
    /// Remembers an invite; its id must be new.
    pub fn insert_invite(&self, invite: &Invite) -> Result<(), StoreError> {
        let added = self.run(
            "INSERT INTO invites (id, encoded, key_index, expires_at, used) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO NOTHING",
            params![invite.id, invite.encoded, invite.key_index, number(invite.expires_at)?, invite.used],
        )?;
        if added == 1 { Ok(()) } else { Err(StoreError::AlreadyExists { what: "the invite" }) }
    }

    pub fn invite(&self, id: &[u8; 32]) -> Result<Option<Invite>, StoreError> {
        self.one(&format!("SELECT {COLUMNS} FROM invites WHERE id = ?1"), [id], invite)
    }

    /// All invites, those that end first in front.
    pub fn invites(&self) -> Result<Vec<Invite>, StoreError> {
        self.all(&format!("SELECT {COLUMNS} FROM invites ORDER BY expires_at, id"), [], invite)
    }

    /// Uses an invite up; a second time is [`StoreError::InviteUsed`].
    pub fn mark_invite_used(&self, id: &[u8; 32]) -> Result<(), StoreError> {
        if self.run("UPDATE invites SET used = 1 WHERE id = ?1 AND used = 0", [id])? == 1 {
            return Ok(());
        }
        match self.invite(id)? {
            Some(_) => Err(StoreError::InviteUsed),
            None => Err(StoreError::NotFound { what: "the invite" }),
        }
    }

    /// Forgets invites that ended before `time` (unix seconds); answers how many.
    pub fn delete_invites_before(&self, time: u64) -> Result<usize, StoreError> {
        self.run("DELETE FROM invites WHERE expires_at < ?1", [number(time)?])
    }
}

fn invite(cells: &Cells<'_>) -> Result<Invite, StoreError> {
    Ok(Invite {
        id: cells.array(0)?,
        encoded: cells.vec(1)?,
        key_index: cells.u32(2)?,
        expires_at: cells.u64(3)?,
        used: cells.bool(4)?,
    })
}
