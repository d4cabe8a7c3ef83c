//! Channels: what never changes about them, and the whole row.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, Txid};
use rusqlite::params;

use super::cells::{Cells, delay_number, number, outpoint_bytes, sats};
use super::hot::hash_of;
use super::{ChannelResult, ChannelState, Db, FundingKind, HotRow, Ring, Role, StoreError};
use crate::channel::{ChannelId, Delay};

/// The static part of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRecord {
    pub id: ChannelId,
    pub role: Role,
    /// The terms in the encoding of whoever stores them.
    pub terms: Vec<u8>,
    pub capacity: Amount,
    pub funding: OutPoint,
    pub funding_kind: FundingKind,
    /// The index of this side's keys.
    pub key_index: u32,
    /// The commitment transactions its branch hangs on.
    pub commitments: Vec<Txid>,
    /// How long batches of the operator live: the delay in the sweep leaves.
    pub batch_expiry: Delay,
    /// When the batch can be swept: a height or unix seconds, in the unit of `batch_expiry`.
    pub expiry: u64,
    /// The operator's own figure for it, unix seconds.
    pub expires_at: u64,
    /// Levels of the branch.
    pub levels: u32,
    /// Unix seconds.
    pub created_at: u64,
}

/// All there is about a channel, apart from its branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRow {
    pub record: ChannelRecord,
    pub hot: HotRow,
    /// What lets the receiver close alone.
    pub authorisation: Option<Vec<u8>>,
    /// The operator's answer to the submitted close.
    pub submit_answer: Option<Vec<u8>>,
    pub result: Option<ChannelResult>,
}

/// A channel whose row cannot be read.
#[derive(Debug)]
pub struct DamagedRow {
    /// Which one, where that can be read.
    pub id: Option<ChannelId>,
    /// What is damaged.
    pub error: StoreError,
}

const RECORD: &str = "c.id, c.role, c.terms, c.capacity, c.funding, c.funding_kind, c.key_index, c.commitments, \
     c.batch_expiry, c.expiry, c.expires_at, c.levels, c.created_at";
const RARE: &str = "r.authorisation, r.submit_answer, r.result_txid, r.result_outpoint";

fn select(condition: &str) -> String {
    format!(
        "SELECT {}, {RECORD}, {RARE} FROM channels c JOIN channel_hot h ON h.n = c.n JOIN channel_rare r ON r.n = c.n \
         {condition}",
        super::hot::COLUMNS
    )
}

impl Db<'_> {
    /// Stores a new channel. `authorisation` may follow later.
    pub fn insert_channel(
        &self,
        record: &ChannelRecord,
        state: ChannelState,
        authorisation: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let commitments: Vec<u8> = record.commitments.iter().flat_map(|txid| txid.to_byte_array()).collect();
        let added = self.run(
            "INSERT INTO channels (id, role, terms, capacity, funding, funding_kind, key_index, commitments,
                 batch_expiry, expiry, expires_at, levels, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO NOTHING",
            params![
                record.id.0,
                record.role.as_str(),
                record.terms,
                sats(record.capacity)?,
                outpoint_bytes(&record.funding),
                record.funding_kind.as_str(),
                record.key_index,
                commitments,
                delay_number(record.batch_expiry),
                number(record.expiry)?,
                number(record.expires_at)?,
                record.levels,
                number(record.created_at)?,
            ],
        )?;
        if added == 0 {
            return Err(StoreError::AlreadyExists { what: "the channel" });
        }
        let n = self.last_row();
        // Of full size from the start: a payment then changes the row in place.
        let ring = if record.role == Role::Payer { Ring::default().encode() } else { Vec::new() };
        self.run(
            "INSERT INTO channel_hot (n, id, role, capacity, state, ring, authorisation_hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                n,
                record.id.0,
                record.role.as_str(),
                sats(record.capacity)?,
                state.as_str(),
                ring,
                authorisation.map(hash_of)
            ],
        )?;
        self.run("INSERT INTO channel_rare (n, authorisation) VALUES (?1, ?2)", params![n, authorisation])?;
        let (id, capacity) = (record.id, record.capacity.to_sat());
        self.note(format_args!("channel {id}: {state}, as {}, {capacity} sats in {}", record.role, record.funding));
        Ok(())
    }

    /// The whole row of a channel.
    pub fn channel(&self, id: &ChannelId) -> Result<Option<ChannelRow>, StoreError> {
        self.one(&select("WHERE h.id = ?1"), [id.0], channel)
    }

    /// The channel in a VTXO.
    pub fn channel_at(&self, funding: &OutPoint) -> Result<Option<ChannelRow>, StoreError> {
        self.one(&select("WHERE c.funding = ?1"), [outpoint_bytes(funding)], channel)
    }

    /// All channels whose rows can be read, oldest first, and those whose rows cannot: one that is damaged must not keep
    /// the others in.
    pub fn channels(&self) -> Result<(Vec<ChannelRow>, Vec<DamagedRow>), StoreError> {
        let (mut sound, mut damaged) = (Vec::new(), Vec::new());
        let id = |cells: &Cells<'_>| cells.channel_id(super::hot::WIDTH).ok();
        for (id, row) in self.all(&select("ORDER BY c.n"), [], |cells| Ok((id(cells), channel(cells))))? {
            match row {
                Err(error @ StoreError::Corrupt { .. }) => damaged.push(DamagedRow { id, error }),
                row => sound.push(row?),
            }
        }
        Ok((sound, damaged))
    }

    /// Corrects what hangs on the confirmation of the commitment transactions; only while the channel is confirming.
    pub fn set_expiry(
        &self,
        id: &ChannelId,
        commitments: &[Txid],
        batch_expiry: Delay,
        expiry: u64,
        expires_at: u64,
    ) -> Result<(), StoreError> {
        let txids: Vec<u8> = commitments.iter().flat_map(|txid| txid.to_byte_array()).collect();
        let row = params![id.0, txids, delay_number(batch_expiry), number(expiry)?, number(expires_at)?];
        let changed = self
            .run(
                "UPDATE channels SET commitments = ?2, batch_expiry = ?3, expiry = ?4, expires_at = ?5 WHERE id = ?1",
                row,
            )
            .map_err(|error| self.explain(error, |hot| StoreError::NotOpen { state: hot.state }, id))?;
        self.found(changed)
    }

    /// Forgets a channel that is settled, refunded or lost, with its branch.
    pub fn delete_channel(&self, id: &ChannelId) -> Result<(), StoreError> {
        let changed = self.run("DELETE FROM channels WHERE id = ?1", [id.0]).map_err(|error| {
            self.explain(error, |hot| StoreError::StateChanged { found: hot.state, to: ChannelState::Settled }, id)
        })?;
        self.found(changed)
    }

    /// Turns what a trigger refused into the error with the figures.
    pub(super) fn explain(
        &self,
        error: StoreError,
        explain: impl FnOnce(HotRow) -> StoreError,
        id: &ChannelId,
    ) -> StoreError {
        match self.hot(id) {
            Ok(Some(hot)) if error.is_refused() => explain(hot),
            _ => error,
        }
    }

    pub(super) fn found(&self, changed: usize) -> Result<(), StoreError> {
        if changed == 0 { Err(StoreError::NotFound { what: "the channel" }) } else { Ok(()) }
    }
}

fn channel(cells: &Cells<'_>) -> Result<ChannelRow, StoreError> {
    const BASE: usize = super::hot::WIDTH;
    let (txids, rest) = cells.bytes(BASE + 7)?.as_chunks::<32>();
    if !rest.is_empty() {
        return Err(StoreError::corrupt("commitment transactions of a channel"));
    }
    let record = ChannelRecord {
        id: cells.channel_id(BASE)?,
        role: cells.word(BASE + 1, Role::from_word)?,
        terms: cells.vec(BASE + 2)?,
        capacity: cells.amount(BASE + 3)?,
        funding: cells.outpoint(BASE + 4)?,
        funding_kind: cells.word(BASE + 5, FundingKind::from_word)?,
        key_index: cells.u32(BASE + 6)?,
        commitments: txids.iter().map(|txid| Txid::from_byte_array(*txid)).collect(),
        batch_expiry: cells.delay(BASE + 8)?,
        expiry: cells.u64(BASE + 9)?,
        expires_at: cells.u64(BASE + 10)?,
        levels: cells.u32(BASE + 11)?,
        created_at: cells.u64(BASE + 12)?,
    };
    let hot = super::hot::hot_row(cells)?;
    if (hot.id, hot.role, hot.capacity) != (record.id, record.role, record.capacity) {
        return Err(StoreError::corrupt("the two rows of a channel differ"));
    }
    let outpoint = cells.option(BASE + 16, |cells, i| cells.outpoint(i))?;
    let result = cells.option(BASE + 15, |cells, i| cells.txid(i))?.map(|txid| ChannelResult { txid, outpoint });
    let authorisation = cells.option(BASE + 13, |cells, i| cells.vec(i))?;
    if authorisation.as_deref().map(hash_of) != hot.authorisation_hash {
        return Err(StoreError::corrupt(format!("the Authorisation of channel {}", hot.id)));
    }
    Ok(ChannelRow {
        record,
        hot,
        authorisation,
        submit_answer: cells.option(BASE + 14, |cells, i| cells.vec(i))?,
        result,
    })
}
