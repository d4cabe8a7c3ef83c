//! Amounts of money, as a type of their own: nobody passes a height or a timestamp for one.

use std::fmt;

use bitcoin::Amount;

/// An amount of bitcoin in satoshis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sats(pub u64);

uniffi::custom_newtype!(Sats, u64);

impl fmt::Display for Sats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Amount> for Sats {
    fn from(amount: Amount) -> Self {
        Self(amount.to_sat())
    }
}

impl From<Sats> for Amount {
    fn from(sats: Sats) -> Self {
        Self::from_sat(sats.0)
    }
}
