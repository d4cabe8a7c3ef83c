//! The row that a payment reads and writes: one indexed update of one page, and nothing else.

use bitcoin::Amount;
use bitcoin::hashes::{Hash, sha256};
use rusqlite::params;

use super::cells::{Cells, sats};
use super::{ChannelState, Db, Ring, Role, StoreError};
use crate::channel::{ChannelId, ChannelUpdate};

/// What paying and receiving need to know of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HotRow {
    pub id: ChannelId,
    pub role: Role,
    pub capacity: Amount,
    pub state: ChannelState,
    /// The update that counts; `None` before the first.
    pub update: Option<ChannelUpdate>,
    /// The highest amount ever signed (payer) or stored (receiver). Never goes down.
    pub high: Amount,
    /// The payer's last payment ids; empty for a receiver.
    pub ring: Ring,
    /// Whether the receiver is known to have the Authorisation.
    pub acknowledged: bool,
    /// SHA-256 of the stored Authorisation, to see without reading it whether it has changed.
    pub authorisation_hash: Option<[u8; 32]>,
    /// When the chain was last looked at, unix seconds; 0 before the first time.
    pub last_watch: u64,
    /// The amount in the last payment event that was acknowledged.
    pub notified: Amount,
}

impl HotRow {
    /// The amount that counts: zero before the first update.
    pub fn amount(&self) -> Amount {
        self.update.as_ref().map_or(Amount::ZERO, |update| update.amount)
    }
}

macro_rules! columns {
    () => {
        "h.id, h.role, h.capacity, h.state, h.amount, h.previous, h.ark_signature, h.exit_signature, h.high, h.ring, \
         h.acknowledged, h.authorisation_hash, h.last_watch, h.notified"
    };
}

pub(super) const COLUMNS: &str = columns!();

/// How many columns that is.
pub(super) const WIDTH: usize = 14;

const HOT: &str = concat!("SELECT ", columns!(), " FROM channel_hot h WHERE h.id = ?1");

const PUT: &str = "UPDATE channel_hot SET amount = ?2, previous = ?3, ark_signature = ?4, exit_signature = ?5, \
     high = ?6, ring = coalesce(?7, ring) WHERE id = ?1";

impl Db<'_> {
    /// The row a payment needs.
    pub fn hot(&self, id: &ChannelId) -> Result<Option<HotRow>, StoreError> {
        self.one(HOT, [id.0], hot_row)
    }

    /// Makes `update` the one that counts. `high` is the highest amount ever signed or stored, `ring` the payer's ids
    /// with the new one (`None` leaves them), `authorisation` a new one (`None`, or the stored one again, writes
    /// nothing).
    ///
    /// Refused, with the row as it was: a lower amount on the receiver's side, a lower `high`, an amount above `high`
    /// or the capacity, a channel that is neither confirming nor open; where it is closing, a receiver's other amount and a
    /// payer's lower one.
    pub fn put_update(
        &self,
        id: &ChannelId,
        update: &ChannelUpdate,
        high: Amount,
        ring: Option<&Ring>,
        authorisation: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        if update.channel_id != *id {
            return Err(StoreError::Invalid { what: "update: of another channel" });
        }
        let row = params![
            id.0,
            sats(update.amount)?,
            sats(update.previous)?,
            update.ark_signature.serialize(),
            update.exit_signature.serialize(),
            sats(high)?,
            ring.map(Ring::encode),
        ];
        let changed =
            self.run(PUT, row).map_err(|error| self.explain(error, |hot| refusal(&hot, update.amount, high), id))?;
        self.found(changed)?;
        // Last, so that a refused update leaves the Authorisation too, even when the caller goes on.
        authorisation.map_or(Ok(()), |authorisation| self.set_authorisation(id, authorisation))
    }

    /// Puts signatures for another checkpoint script in place of those of a channel that is closing; the amount must be
    /// the stored one.
    pub fn replace_signatures(
        &self,
        id: &ChannelId,
        update: &ChannelUpdate,
        authorisation: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let hot = self.hot(id)?.ok_or(StoreError::NotFound { what: "the channel" })?;
        if hot.amount() != update.amount {
            return Err(StoreError::NotOpen { state: hot.state });
        }
        self.put_update(id, update, hot.high, None, authorisation)
    }

    /// Remembers an amount that has been signed, before its signature leaves: the payer's liability.
    pub fn raise_high(&self, id: &ChannelId, high: Amount) -> Result<(), StoreError> {
        let changed = self
            .run("UPDATE channel_hot SET high = ?2 WHERE id = ?1", params![id.0, sats(high)?])
            .map_err(|error| self.explain(error, |hot| refusal(&hot, hot.amount(), high), id))?;
        self.found(changed)
    }
}

/// Which rule of the table an update broke.
fn refusal(hot: &HotRow, amount: Amount, high: Amount) -> StoreError {
    if !matches!(hot.state, ChannelState::Confirming | ChannelState::Open) {
        return StoreError::NotOpen { state: hot.state };
    }
    let top = amount.max(high);
    if top > hot.capacity {
        return StoreError::OverCapacity { amount: top, capacity: hot.capacity };
    }
    if hot.role == Role::Receiver && amount < hot.amount() {
        return StoreError::LowerAmount { stored: hot.amount(), refused: amount };
    }
    if high < hot.high {
        return StoreError::LowerAmount { stored: hot.high, refused: high };
    }
    StoreError::LowerAmount { stored: amount, refused: high }
}

pub(super) fn hot_row(cells: &Cells<'_>) -> Result<HotRow, StoreError> {
    let id = cells.channel_id(0)?;
    let amount = cells.amount(4)?;
    let update = cells.option(5, |cells, i| {
        Ok(ChannelUpdate {
            channel_id: id,
            previous: cells.amount(i)?,
            amount,
            ark_signature: cells.signature(6)?,
            exit_signature: cells.signature(7)?,
        })
    })?;
    let hot = HotRow {
        id,
        role: cells.word(1, Role::from_word)?,
        capacity: cells.amount(2)?,
        state: cells.word(3, ChannelState::from_word)?,
        update,
        high: cells.amount(8)?,
        ring: Ring::decode(cells.bytes(9)?)?,
        acknowledged: cells.bool(10)?,
        authorisation_hash: cells.option(11, |cells, i| cells.array(i))?,
        last_watch: cells.u64(12)?,
        notified: cells.amount(13)?,
    };
    // The table's own rules, once more: a flipped bit goes around them.
    if amount != hot.amount() || amount > hot.high || hot.high > hot.capacity || hot.notified > hot.capacity {
        return Err(StoreError::corrupt(format!("amounts of channel {id}")));
    }
    Ok(hot)
}

pub(super) fn hash_of(authorisation: &[u8]) -> [u8; 32] {
    sha256::Hash::hash(authorisation).to_byte_array()
}
