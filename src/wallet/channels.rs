//! What a wallet shows of its channels.

use bitcoin::{Amount, OutPoint, Txid, absolute};

use super::Wallet;
use super::WalletError;
use super::error::Result;
use super::sound::{Damaged, is_damage};
use crate::channel::deadline::Margins;
use crate::channel::{Authorisation, AuthorisationPolicy, ChannelId, Delay, Unit};
use crate::log::note;
use crate::store::{ChannelRow, ChannelState, FundingKind, Role};

/// An exit update: one input by a two-signature leaf, two P2TR outputs and the anchor.
const EXIT_VBYTES: u64 = 240;

/// A child that spends an anchor and a P2TR coin to a P2TR output.
pub(super) const CHILD_VBYTES: u64 = 155;

/// A channel as an app shows it. Moments and delays are in `unit`: unix seconds, or heights and blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelInfo {
    pub id: ChannelId,
    pub role: Role,
    pub state: ChannelState,
    /// Off chain: preconfirmed, payer and operator together could still double-spend it.
    pub funding_kind: FundingKind,
    pub funding: OutPoint,
    pub unit: Unit,
    pub capacity: Amount,
    /// All that has been paid, by the latest update.
    pub amount: Amount,
    /// The most the receiver may be able to claim (payer), or what it can claim (receiver).
    pub high: Amount,
    /// What can still be paid.
    pub remaining: Amount,
    pub locktime: absolute::LockTime,
    pub d1: Delay,
    pub d2: Delay,
    /// When the operator may sweep.
    pub expiry: u64,
    /// From then on no update is taken and the receiver should close.
    pub close_by: u64,
    /// From then on the receiver must be on its way on chain.
    pub exit_by: u64,
    /// Before then the payer of a channel that is spent but not closed must be on its way on chain.
    pub payer_exit_by: u64,
    /// As receiver: until when new money is taken without another look at the chain (unix seconds).
    pub takes_money_until: Option<u64>,
    /// Transactions that a unilateral exit must confirm one after the other.
    pub levels: u32,
    /// What a unilateral exit puts on chain, in virtual bytes: the branch, the exit itself, and a fee-paying child each.
    pub exit_vbytes: u64,
    /// How long that takes at least, beside d1 (receiver) or d2 (payer).
    pub exit_time: u64,
    /// As receiver: by then the chain must have been looked at again, or an unrolled channel may be answered too late
    /// (unix seconds).
    pub watch_by: Option<u64>,
    /// It came out of a backup and waits for its latest update: a payer pays nothing, a receiver can claim nothing until
    /// the other side has shown it.
    pub awaits_update: bool,
    /// When the payer gives what closing needs.
    pub authorisation: AuthorisationPolicy,
    /// Whether the receiver is known to be able to close alone.
    pub acknowledged: bool,
    /// The transaction that ended the channel.
    pub result: Option<Txid>,
    pub created_at: u64,
}

impl Wallet {
    /// All channels that can be read, oldest first: one that is damaged in the file hides no other. The log names it, and
    /// [`Wallet::maintain`] reports it. A backup that was made before brings it back, in a new file.
    pub fn channels(&self) -> Result<Vec<ChannelInfo>> {
        let (rows, damaged) = self.sound_and_damaged()?;
        for Damaged { id, error } in damaged {
            note!(Error, "channel {} cannot be read: {error}", id.map_or_else(|| "?".into(), |id| id.to_string()));
        }
        let mut channels = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.record.id;
            match self.channel_info(row) {
                Err(error) if is_damage(&error) => note!(Error, "channel {id} cannot be read: {error}"),
                info => channels.push(info?),
            }
        }
        Ok(channels)
    }

    pub fn channel(&self, id: &ChannelId) -> Result<ChannelInfo> {
        let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
        self.channel_info(row)
    }

    pub(super) fn channel_info(&self, row: ChannelRow) -> Result<ChannelInfo> {
        let loaded = self.loaded(&row.record.id)?;
        let terms = &loaded.channel.terms;
        let now = self.now();
        let cutoff = self.info()?.check_signer(&terms.operator, now.unix()).unwrap_or(Some(0));
        let deadlines = loaded.deadlines(&now, cutoff);
        let amount = row.hot.amount();
        let takes_money_until = match (row.hot.role, &row.authorisation) {
            (Role::Receiver, Some(bytes)) if row.hot.state == ChannelState::Open => {
                let script = Authorisation::from_bytes(bytes)?.script;
                Some(row.hot.last_watch.saturating_add(self.max_blind(&loaded, script.delay)))
            }
            _ => None,
        };
        let branch = self.store.read(|db| db.sound_branch(&row.record.funding))?.unwrap_or_default();
        let transactions = branch.nodes.len() as u64 + 1;
        let branch_weight: u64 = branch.nodes.iter().map(|node| node.tx.weight().to_wu()).sum();
        let margins = Margins::of(loaded.unit(), row.record.batch_expiry.value());
        let seconds = |length: u64| if loaded.unit() == Unit::Blocks { length * 600 } else { length };
        let answer_in = seconds(terms.d2.value().saturating_sub(margins.slack));
        let watch_by = (row.hot.role == Role::Receiver && row.hot.state == ChannelState::Open)
            .then(|| row.hot.last_watch.saturating_add(answer_in));
        Ok(ChannelInfo {
            exit_vbytes: branch_weight.div_ceil(4) + EXIT_VBYTES + transactions * CHILD_VBYTES,
            exit_time: u64::from(row.record.levels) * margins.level,
            watch_by,
            id: row.record.id,
            role: row.hot.role,
            state: row.hot.state,
            funding_kind: row.record.funding_kind,
            funding: row.record.funding,
            unit: loaded.unit(),
            capacity: row.record.capacity,
            amount,
            high: row.hot.high,
            remaining: row.record.capacity.checked_sub(amount).unwrap_or(Amount::ZERO),
            locktime: terms.locktime,
            d1: terms.d1,
            d2: terms.d2,
            expiry: loaded.expiry(&now),
            close_by: deadlines.close_by,
            exit_by: deadlines.exit_by,
            payer_exit_by: deadlines.payer_exit_by,
            takes_money_until,
            levels: row.record.levels,
            awaits_update: loaded.was_restored()
                && matches!(row.hot.state, ChannelState::Confirming | ChannelState::Open),
            authorisation: terms.authorisation,
            acknowledged: row.hot.acknowledged,
            result: row.result.map(|result| result.txid),
            created_at: row.record.created_at,
        })
    }
}
