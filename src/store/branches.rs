//! Signed branches by the VTXO they lead to: of channels and of the wallet's own VTXOs.

use bitcoin::OutPoint;
use rusqlite::params;

use super::cells::outpoint_bytes;
use super::{ChannelState, Db, StoreError, branch_codec};
use crate::channel::branch::Branch;

impl Db<'_> {
    /// Stores the branch of a VTXO in place of the former. Once a channel in it counts as funded the branch stays:
    /// only the same again is taken, or one in place of a damaged one.
    pub fn put_branch(&self, outpoint: &OutPoint, branch: &Branch) -> Result<(), StoreError> {
        let data = branch_codec::encode(branch)?;
        if self.is_funded(outpoint)? {
            match self.branch(outpoint) {
                Ok(Some(stored)) if stored == *branch => return Ok(()),
                Ok(Some(_)) => return Err(StoreError::BranchFixed { outpoint: *outpoint }),
                Ok(None) | Err(StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let sql = "INSERT INTO branches (outpoint, data) VALUES (?1, ?2)
             ON CONFLICT (outpoint) DO UPDATE SET data = excluded.data";
        self.run(sql, params![outpoint_bytes(outpoint), data]).map(drop)
    }

    pub fn branch(&self, outpoint: &OutPoint) -> Result<Option<Branch>, StoreError> {
        self.one("SELECT data FROM branches WHERE outpoint = ?1", [outpoint_bytes(outpoint)], |cells| {
            branch_codec::decode(cells.bytes(0)?)
        })
    }

    /// The same; `None` also where it is damaged: that of one VTXO must not keep the others in.
    pub fn sound_branch(&self, outpoint: &OutPoint) -> Result<Option<Branch>, StoreError> {
        match self.branch(outpoint) {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            branch => branch,
        }
    }

    /// The VTXOs whose branches are stored.
    pub fn branch_outpoints(&self) -> Result<Vec<OutPoint>, StoreError> {
        self.all("SELECT outpoint FROM branches ORDER BY rowid", [], |cells| cells.outpoint(0))
    }

    /// Forgets the branch of a VTXO that is spent. A channel's branch goes with its channel.
    pub fn delete_branch(&self, outpoint: &OutPoint) -> Result<(), StoreError> {
        if self.is_funded(outpoint)? {
            return Err(StoreError::BranchFixed { outpoint: *outpoint });
        }
        self.run("DELETE FROM branches WHERE outpoint = ?1", [outpoint_bytes(outpoint)]).map(drop)
    }

    /// Whether a channel is in the VTXO that has got beyond confirming.
    fn is_funded(&self, outpoint: &OutPoint) -> Result<bool, StoreError> {
        let sql = "SELECT h.state FROM channels c JOIN channel_hot h ON h.n = c.n WHERE c.funding = ?1";
        let state = self.one(sql, [outpoint_bytes(outpoint)], |cells| cells.word(0, ChannelState::from_word))?;
        Ok(state.is_some_and(|state| state != ChannelState::Confirming))
    }
}
