//! The payer's side of paying: what it may sign next, and how it catches up with its receiver.

use std::cmp::Ordering;

use bitcoin::Amount;

use super::amount::Limits;
use super::{Channel, ChannelError, ChannelUpdate};

/// What the payer keeps of a channel's payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PayerState {
    /// The latest update: the base of the next payment.
    pub update: Option<ChannelUpdate>,
    /// The highest amount ever signed: what the receiver may be able to claim.
    pub high: Amount,
}

impl PayerState {
    /// The amount the next payment adds to.
    pub fn base(&self) -> Amount {
        self.update.map_or(Amount::ZERO, |update| update.amount)
    }

    /// The amount of the update that pays `add` more.
    pub fn next(&self, capacity: Amount, limits: &Limits, add: Amount) -> Result<Amount, ChannelError> {
        if add == Amount::ZERO {
            return Err(ChannelError::ZeroPayment);
        }
        let base = self.base();
        let amount = base.checked_add(add).ok_or(ChannelError::OverCapacity { amount: add, capacity })?;
        limits.check(capacity, amount)?;
        Ok(amount)
    }

    /// The state once `update` has been signed.
    pub fn signed(&self, update: ChannelUpdate) -> Self {
        Self { update: Some(update), high: self.high.max(update.amount) }
    }

    /// The state after the receiver showed `shown`: adopted when it is the payer's own by its exit signature and the
    /// payer has forgotten it. A receiver that shows less than the payer built on has simply not seen the latest yet.
    /// The same amount is the payer's latest, whatever the receiver says that it was built on: nobody has signed that.
    pub fn catch_up(&self, channel: &Channel, shown: ChannelUpdate) -> Result<Self, ChannelError> {
        shown.verify_exit(channel)?;
        let Some(own) = self.update else { return Ok(self.signed(shown)) };
        let forgotten = match shown.amount.cmp(&own.amount) {
            Ordering::Greater => true,
            Ordering::Equal => false,
            Ordering::Less => own.previous < shown.amount,
        };
        Ok(if forgotten { self.signed(shown) } else { *self })
    }
}
