//! What the app has not taken note of yet.
//!
//! Events come again until they are acknowledged. A payment writes no event: a channel whose amount differs from the
//! one last acknowledged has one pending, however many payments that were. So the file does not grow with payments,
//! and an event can never be lost between two commits.

use std::fmt;
use std::str::FromStr;

use bitcoin::Amount;
use rusqlite::params;

use super::cells::{number, sats};
use super::{Db, Role, StoreError};
use crate::channel::ChannelId;

/// Kind of the event of a receiver that has been paid.
pub const PAYMENT_RECEIVED: &str = "payment-received";
/// Kind of the event of a payer that has paid.
pub const PAYMENT_SENT: &str = "payment-sent";

/// What acknowledges an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventToken {
    /// An event of the queue, by its number.
    Queued(u64),
    /// All payments of a channel up to this amount.
    Payment { channel: ChannelId, amount: Amount },
}

/// An event that has not been acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    pub token: EventToken,
    pub channel: Option<ChannelId>,
    pub kind: String,
    /// Written by whoever pushed it; empty for payments.
    pub data: Vec<u8>,
    /// For payments: all that has been paid so far.
    pub amount: Option<Amount>,
    /// For payments: the amount in the last event that was acknowledged.
    pub before: Option<Amount>,
}

impl Db<'_> {
    /// Adds an event to the queue. `now` in unix seconds.
    pub fn push_event(
        &self,
        channel: Option<&ChannelId>,
        kind: &str,
        data: &[u8],
        now: u64,
    ) -> Result<EventToken, StoreError> {
        self.run(
            "INSERT INTO events (channel, kind, data, created_at) VALUES (?1, ?2, ?3, ?4)",
            params![channel.map(|id| id.0), kind, data, number(now)?],
        )?;
        u64::try_from(self.last_row()).map(EventToken::Queued).map_err(|_| StoreError::corrupt("event number"))
    }

    /// Up to `limit` events that have not been acknowledged: the queue in its order, then one for each channel with
    /// payments.
    pub fn pending_events(&self, limit: usize) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let sql = "SELECT seq, channel, kind, data FROM events ORDER BY seq LIMIT ?1";
        let mut events = self.all(sql, [rows(limit)], |cells| {
            Ok(StoredEvent {
                token: EventToken::Queued(cells.u64(0)?),
                channel: cells.option(1, |cells, i| cells.channel_id(i))?,
                kind: cells.text(2)?.to_owned(),
                data: cells.vec(3)?,
                amount: None,
                before: None,
            })
        })?;
        let sql = "SELECT id, role, amount, notified FROM channel_hot WHERE amount <> notified ORDER BY n LIMIT ?1";
        events.extend(self.all(sql, [rows(limit.saturating_sub(events.len()))], |cells| {
            let (channel, amount) = (cells.channel_id(0)?, cells.amount(2)?);
            let kind = match cells.word(1, Role::from_word)? {
                Role::Payer => PAYMENT_SENT,
                Role::Receiver => PAYMENT_RECEIVED,
            };
            Ok(StoredEvent {
                token: EventToken::Payment { channel, amount },
                channel: Some(channel),
                kind: kind.to_owned(),
                data: Vec::new(),
                amount: Some(amount),
                before: Some(cells.amount(3)?),
            })
        })?);
        Ok(events)
    }

    /// The app has dealt with an event: it does not come again. Answers whether it was pending; acknowledging twice
    /// does no harm. Payments made since the event was delivered stay pending.
    pub fn acknowledge_event(&self, token: &EventToken) -> Result<bool, StoreError> {
        let changed = match token {
            EventToken::Queued(seq) => self.run("DELETE FROM events WHERE seq = ?1", [number(*seq)?])?,
            // A receiver's amounts only rise, so an old token cannot bring an event back. A payer's may fall.
            EventToken::Payment { channel, amount } => self.run(
                "UPDATE channel_hot SET notified = ?2 WHERE id = ?1 AND notified <> ?2 AND ?2 <= high
                 AND (role = 'payer' OR notified < ?2)",
                params![channel.0, sats(*amount)?],
            )?,
        };
        Ok(changed > 0)
    }
}

impl fmt::Display for EventToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queued(seq) => write!(f, "e:{seq}"),
            Self::Payment { channel, amount } => write!(f, "p:{channel}:{}", amount.to_sat()),
        }
    }
}

impl FromStr for EventToken {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let invalid = || StoreError::Invalid { what: "event token" };
        let token = match text.split_once(':').ok_or_else(invalid)? {
            ("e", seq) => Self::Queued(seq.parse().map_err(|_| invalid())?),
            ("p", rest) => {
                let (channel, amount) = rest.split_once(':').ok_or_else(invalid)?;
                Self::Payment {
                    channel: channel.parse().map_err(|_| invalid())?,
                    amount: Amount::from_sat(amount.parse().map_err(|_| invalid())?),
                }
            }
            _ => return Err(invalid()),
        };
        // One text a token: no leading zeros, signs or capitals.
        if token.to_string() == text { Ok(token) } else { Err(invalid()) }
    }
}
