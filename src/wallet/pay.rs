//! Paying: two signatures and one durable commit.

use bitcoin::Amount;
use bitcoin::hashes::{Hash, sha256};

use super::coins::sum;
use super::error::Result;
use super::loaded::{LoadedChannel, limits};
use super::{Wallet, WalletError};
use crate::channel::payer::PayerState;
use crate::channel::{Authorisation, ChannelError, ChannelId, ChannelUpdate, OperatorInfo, Receipt, UpdateMessage};
use crate::log::note;
use crate::store::{ChannelState, Db, HotRow, Ring, Role};

/// The longest payment id in bytes.
pub const MAX_PAYMENT_ID: usize = 256;

/// A payment, ready to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    pub channel_id: ChannelId,
    /// All that has been paid in the channel.
    pub amount: Amount,
    /// What is left to be paid.
    pub remaining: Amount,
    /// For the receiver, by any transport.
    pub message: UpdateMessage,
    /// Whether this payment id had been paid before: nothing was added.
    pub repeated: bool,
}

impl Wallet {
    /// Adds `amount` to what has been paid. The update is durable before this returns. The same `payment_id` again
    /// (among the last 64 of the channel) adds nothing and answers the latest update.
    pub fn pay(&self, id: &ChannelId, amount: Amount, payment_id: &str, memo: Option<&str>) -> Result<Payment> {
        let payment = self.add_payment(id, amount, payment_id, memo);
        match &payment {
            Ok(paid) if paid.repeated => {
                note!(Debug, "channel {id}: had been paid, {} sats in all", paid.amount.to_sat())
            }
            Ok(paid) => note!(Debug, "channel {id}: pays {} sats, {} in all", amount.to_sat(), paid.amount.to_sat()),
            Err(error) => note!(Warn, "channel {id}: does not pay {} sats: {error}", amount.to_sat()),
        }
        payment
    }

    fn add_payment(&self, id: &ChannelId, amount: Amount, payment_id: &str, memo: Option<&str>) -> Result<Payment> {
        if payment_id.is_empty() || payment_id.len() > MAX_PAYMENT_ID {
            return Err(Box::new(WalletError::InvalidPaymentId { limit: MAX_PAYMENT_ID }));
        }
        check_memo(memo)?;
        let loaded = self.loaded(id)?;
        loaded.check_role(Role::Payer)?;
        let info = self.info()?;
        let now = self.now();
        let cutoff = info.check_signer(&loaded.channel.terms.operator, now.unix())?;
        let id_hash = Ring::hash(payment_id.as_bytes());
        let payment = self.store.write(|db| {
            let hot = db.hot(id)?.ok_or(WalletError::NotFound)?;
            if hot.ring.contains(&id_hash) {
                let update = hot.update.ok_or(WalletError::NotFound)?;
                let authorisation = self.unacknowledged(db, &hot)?;
                return Ok(loaded.payment(update, authorisation, memo, true));
            }
            require_open(&hot)?;
            loaded.check_caught_up(db)?;
            loaded.check_close_by(&now, cutoff)?;
            loaded.channel.terms.check_delay(&info)?;
            let mut ring = hot.ring.clone();
            ring.push(id_hash);
            let state = PayerState { update: hot.update, high: hot.high };
            let amount = state.next(loaded.record.capacity, &limits(&info), amount)?;
            let (update, authorisation) = self.sign_update(db, &loaded, &hot, &info, state, amount, Some(&ring))?;
            Ok::<_, Box<WalletError>>(loaded.payment(update, authorisation, memo, false))
        })?;
        self.events.ring();
        Ok(payment)
    }

    /// Signs `amount` and stores it, with a new Authorisation where the operator's checkpoint script changed.
    #[allow(clippy::too_many_arguments)]
    fn sign_update(
        &self,
        db: &Db<'_>,
        loaded: &LoadedChannel,
        hot: &HotRow,
        info: &OperatorInfo,
        state: PayerState,
        amount: Amount,
        ring: Option<&Ring>,
    ) -> Result<(ChannelUpdate, Option<Authorisation>)> {
        let (authorised, new) = match self.authorised(db, loaded, hot)? {
            Some(known) if known.authorisation.script == info.checkpoint => (known, None),
            _ => {
                info.checkpoint.check(info.network, &info.forfeit_key)?;
                let new = Authorisation::sign(&loaded.channel, info.checkpoint, &loaded.keypair)?;
                let bytes = new.to_bytes();
                let hash = sha256::Hash::hash(&bytes).to_byte_array();
                (loaded.remember(hash, new)?, Some(bytes))
            }
        };
        let previous = state.base();
        let update = ChannelUpdate::sign(&loaded.channel, &authorised.close, &loaded.keypair, previous, amount);
        let high = state.high.max(amount);
        db.put_update(&hot.id, &update, high, ring, new.as_deref())?;
        if new.is_some() {
            // Receipts for less may be of updates that were signed before.
            let least = if amount > hot.high { amount } else { sum([hot.high, Amount::ONE_SAT]) };
            db.set_meta(&proof_key(&hot.id), &least.to_sat().to_le_bytes())?;
        }
        let send = (new.is_some() || !hot.acknowledged).then_some(authorised.authorisation);
        Ok((update, send))
    }

    /// The latest update again, with the Authorisation: whoever asks for it may have lost that, too.
    pub fn latest_update(&self, id: &ChannelId) -> Result<Payment> {
        let loaded = self.loaded(id)?;
        self.store.read(|db| {
            let hot = db.hot(id)?.ok_or(WalletError::NotFound)?;
            let update = hot.update.ok_or(ChannelError::NothingPaid)?;
            let authorisation = match loaded.record.role {
                Role::Payer => db.authorisation(id)?.map(|bytes| Authorisation::from_bytes(&bytes)).transpose()?,
                Role::Receiver => None,
            };
            Ok(loaded.payment(update, authorisation, None, true))
        })
    }

    /// Signs the latest amount again for the operator's present checkpoint script: what a receiver asks for after
    /// [`WalletError::ReauthorisationNeeded`]. The Authorisation goes along even when it had been acknowledged, for a
    /// receiver that lost it. Goes online for the operator's info.
    pub async fn reauthorise(&self, id: &ChannelId) -> Result<Payment> {
        let loaded = self.loaded(id)?;
        loaded.check_role(Role::Payer)?;
        let info = self.fresh_info().await?;
        info.check_signer(&loaded.channel.terms.operator, self.now().unix())?;
        self.store.write(|db| {
            let hot = db.hot(id)?.ok_or(WalletError::NotFound)?;
            require_open(&hot)?;
            let latest = hot.update.ok_or(ChannelError::NothingPaid)?;
            let base = ChannelUpdate { amount: latest.previous, ..latest };
            let state = PayerState { update: Some(base), high: hot.high };
            let (update, _) = self.sign_update(db, &loaded, &hot, &info, state, latest.amount, None)?;
            let authorisation = db.authorisation(id)?.map(|bytes| Authorisation::from_bytes(&bytes)).transpose()?;
            Ok(loaded.payment(update, authorisation, None, true))
        })
    }

    /// Takes over the update that the receiver showed (in a stale or forked answer) when it is this payer's own by its
    /// signature: the next payment adds to it. Answers the amount that is now the base.
    ///
    /// The payment that was refused may be made again under its id when the base is less than its amount: what the receiver
    /// shows cannot contain it. When it is more (stale), the payment may have been made before, by the wallet this one was
    /// restored from: only a new id pays once more. When it is the same, nothing was forgotten, and the receiver shows the
    /// very payment that it refuses, or one of the same amount: whether to pay once more only a person can say.
    ///
    /// A channel that came out of a backup pays again from then on. What the receiver shows is believed to be the latest:
    /// one that shows less than it has leaves this payer with too low a liability, and refuses the next payment.
    pub fn catch_up(&self, shown: &UpdateMessage) -> Result<Amount> {
        let id = shown.update.channel_id;
        let loaded = self.loaded(&id)?;
        loaded.check_role(Role::Payer)?;
        let base = self.store.write(|db| {
            let hot = db.hot(&id)?.ok_or(WalletError::NotFound)?;
            let state = PayerState { update: hot.update, high: hot.high };
            let caught_up = state.catch_up(&loaded.channel, shown.update)?;
            if let Some(update) = caught_up.update.filter(|_| caught_up != state) {
                let mut ring = hot.ring.clone();
                if update.amount < hot.amount() {
                    ring.forget_newest();
                }
                db.put_update(&id, &update, caught_up.high, Some(&ring), None)?;
            }
            loaded.caught_up(db)?;
            Ok::<_, Box<WalletError>>(caught_up.base())
        })?;
        self.unload_restored(&loaded);
        Ok(base)
    }

    /// Verifies a receipt. From then on updates travel without the Authorisation, where it is for an amount that only
    /// updates with the present one can have brought.
    pub fn acknowledge(&self, receipt: &Receipt) -> Result<()> {
        let loaded = self.loaded(&receipt.channel_id)?;
        loaded.check_role(Role::Payer)?;
        receipt.verify(&loaded.channel.terms.receiver.key)?;
        self.store.write(|db| {
            let hot = db.hot(&receipt.channel_id)?.ok_or(WalletError::NotFound)?;
            if hot.acknowledged || hot.update.is_none() {
                return Ok(());
            }
            let key = proof_key(&receipt.channel_id);
            let least = db.meta(&key)?.and_then(|bytes| bytes.try_into().ok()).map(u64::from_le_bytes);
            if receipt.amount >= least.map_or(hot.amount(), Amount::from_sat) {
                db.set_acknowledged(&receipt.channel_id)?;
                db.delete_meta(&key)?;
            }
            Ok(())
        })
    }

    fn unacknowledged(&self, db: &Db<'_>, hot: &HotRow) -> Result<Option<Authorisation>> {
        if hot.acknowledged {
            return Ok(None);
        }
        Ok(db.authorisation(&hot.id)?.map(|bytes| Authorisation::from_bytes(&bytes)).transpose()?)
    }
}

impl LoadedChannel {
    fn payment(
        &self,
        update: ChannelUpdate,
        authorisation: Option<Authorisation>,
        memo: Option<&str>,
        repeated: bool,
    ) -> Payment {
        let remaining = self.record.capacity.checked_sub(update.amount).unwrap_or(Amount::ZERO);
        let message = UpdateMessage { update, authorisation, memo: memo.map(str::to_owned) };
        Payment { channel_id: self.channel.id, amount: update.amount, remaining, message, repeated }
    }

    pub fn check_role(&self, needed: Role) -> Result<()> {
        let role = self.record.role;
        if role == needed {
            Ok(())
        } else {
            Err(Box::new(WalletError::WrongRole { channel_id: self.channel.id, role }))
        }
    }
}

/// The least amount of a receipt that tells of the present Authorisation: a receipt names nothing but its amount.
fn proof_key(id: &ChannelId) -> String {
    format!("acknowledged-from:{id}")
}

/// Only an open channel takes payments.
pub(super) fn require_open(hot: &HotRow) -> Result<()> {
    if hot.state == ChannelState::Open {
        return Ok(());
    }
    Err(Box::new(WalletError::WrongState { channel_id: hot.id, state: hot.state, what: "a payment" }))
}

pub(super) fn check_memo(memo: Option<&str>) -> Result<()> {
    let (size, limit) = (memo.map_or(0, str::len), crate::channel::message::MAX_MEMO);
    if size > limit { Err(ChannelError::TooLarge { size, limit }.into()) } else { Ok(()) }
}
