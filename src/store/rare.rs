//! What changes in a channel now and then: its state, the Authorisation, the answer to a close, its result.

use bitcoin::{OutPoint, Txid};
use rusqlite::params;

use super::cells::{number, outpoint_bytes};
use super::hot::hash_of;
use super::{ChannelState, Db, StoreError};
use crate::channel::ChannelId;

/// What a channel has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChannelResult {
    /// The transaction that ended it: ark transaction, refund or exit.
    pub txid: Txid,
    /// This side's output, if it has one.
    pub outpoint: Option<OutPoint>,
}

const OF_CHANNEL: &str = "(SELECT n FROM channel_hot WHERE id = ?1)";

impl Db<'_> {
    /// Takes the channel from one of the states `from` to `to`. When another process has been there first, nothing
    /// changes and the answer is [`StoreError::StateChanged`]. Nothing leads back to confirming or open.
    pub fn set_state(&self, id: &ChannelId, from: &[ChannelState], to: ChannelState) -> Result<(), StoreError> {
        let found = self.hot(id)?.ok_or(StoreError::NotFound { what: "the channel" })?.state;
        let changed = StoreError::StateChanged { found, to };
        if !from.contains(&found) {
            return Err(changed);
        }
        let sql = "UPDATE channel_hot SET state = ?2 WHERE id = ?1";
        match self.run(sql, params![id.0, to.as_str()]) {
            Err(error) if error.is_refused() => return Err(changed),
            other => self.found(other?)?,
        }
        self.note(format_args!("channel {id}: {found} → {to}"));
        Ok(())
    }

    /// The Authorisation of a channel.
    pub fn authorisation(&self, id: &ChannelId) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.channel(id)?.ok_or(StoreError::NotFound { what: "the channel" })?;
        Ok(row.authorisation)
    }

    /// Stores an Authorisation in place of the former. A new one has not been acknowledged yet; the same again
    /// changes nothing.
    pub fn set_authorisation(&self, id: &ChannelId, authorisation: &[u8]) -> Result<(), StoreError> {
        let hash = hash_of(authorisation);
        let sql = "UPDATE channel_hot SET authorisation_hash = ?2, acknowledged = 0 WHERE id = ?1 \
             AND authorisation_hash IS NOT ?2";
        if self.run(sql, params![id.0, hash])? == 0 {
            // Either the channel is unknown or there is nothing to do.
            return self.found(usize::from(self.hot(id)?.is_some()));
        }
        self.set_rare(id, "authorisation = ?2", authorisation)
    }

    /// The receiver is known to have the Authorisation: it need not be sent any more.
    pub fn set_acknowledged(&self, id: &ChannelId) -> Result<(), StoreError> {
        self.found(self.run("UPDATE channel_hot SET acknowledged = 1 WHERE id = ?1", [id.0])?)
    }

    /// When the chain was looked at last, unix seconds. An earlier time than the stored one changes nothing.
    pub fn set_last_watch(&self, id: &ChannelId, time: u64) -> Result<(), StoreError> {
        let sql = "UPDATE channel_hot SET last_watch = max(last_watch, ?2) WHERE id = ?1";
        self.found(self.run(sql, params![id.0, number(time)?])?)
    }

    /// Stores the operator's answer to the submitted close, before anything of it is used.
    pub fn set_submit_answer(&self, id: &ChannelId, answer: &[u8]) -> Result<(), StoreError> {
        self.set_rare(id, "submit_answer = ?2", answer)
    }

    /// Stores what the channel has become.
    pub fn set_result(&self, id: &ChannelId, result: &ChannelResult) -> Result<(), StoreError> {
        self.set_rare(id, "result_txid = ?2", &result.txid[..])?;
        self.set_rare(id, "result_outpoint = ?2", result.outpoint.as_ref().map(outpoint_bytes))
    }

    fn set_rare(&self, id: &ChannelId, set: &str, value: impl rusqlite::ToSql) -> Result<(), StoreError> {
        let sql = format!("UPDATE channel_rare SET {set} WHERE n = {OF_CHANNEL}");
        self.found(self.run(&sql, params![id.0, value])?)
    }
}
