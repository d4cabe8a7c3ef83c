//! Which splits of a channel are possible: every output must be able to live in Ark and on chain.

use bitcoin::Amount;

use super::{ChannelError, ImpossibleAmount, OperatorInfo};

/// Below this a P2TR output is dust on chain; a zero-fee transaction may carry only one, and that is the anchor.
pub const CHAIN_DUST: Amount = Amount::from_sat(330);

/// Bounds of a single output: what the operator takes, and what can be on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub min: Amount,
    pub max: Amount,
}

impl Limits {
    pub fn of(info: &OperatorInfo) -> Self {
        Self { min: info.min_amount().max(CHAIN_DUST), max: info.max_amount() }
    }

    /// Whether a channel of `capacity` can stand at `amount` to the receiver: `amount` within the limits, and the
    /// payer's remainder zero or within them too. The error names the nearest amounts that are possible.
    pub fn check(&self, capacity: Amount, amount: Amount) -> Result<(), ChannelError> {
        if amount > capacity {
            return Err(ChannelError::OverCapacity { amount, capacity });
        }
        if self.allows(capacity, amount) {
            return Ok(());
        }
        let (below, above) = self.nearest(capacity, amount);
        let refused = ImpossibleAmount { amount, capacity, min: self.min, max: self.max, below, above };
        Err(ChannelError::ImpossibleAmount(Box::new(refused)))
    }

    fn allows(&self, capacity: Amount, amount: Amount) -> bool {
        let within = |amount: Amount| amount >= self.min && amount <= self.max;
        let rest = capacity.checked_sub(amount).unwrap_or(Amount::ZERO);
        amount <= capacity && within(amount) && (rest == Amount::ZERO || within(rest))
    }

    /// The nearest possible amounts below and above `amount`.
    fn nearest(&self, capacity: Amount, amount: Amount) -> (Option<Amount>, Option<Amount>) {
        // The possible amounts are one interval, and the capacity itself.
        let low = self.min.max(capacity.checked_sub(self.max).unwrap_or(Amount::ZERO));
        let high = capacity.checked_sub(self.min).map(|rest| rest.min(self.max)).filter(|high| *high >= low);
        let whole = (capacity >= self.min && capacity <= self.max).then_some(capacity);
        let interval = high.map(|high| (low, high));
        let below = whole
            .filter(|whole| *whole <= amount)
            .or_else(|| interval.filter(|(low, _)| *low <= amount).map(|(_, high)| high.min(amount)));
        let above = interval
            .filter(|(_, high)| *high >= amount)
            .map(|(low, _)| low.max(amount))
            .or_else(|| whole.filter(|whole| *whole >= amount));
        (below, above)
    }
}

/// Whether a channel of this capacity can be opened at all.
pub fn check_capacity(capacity: Amount, info: &OperatorInfo) -> Result<(), ChannelError> {
    let limits = Limits::of(info);
    if capacity < limits.min || capacity > limits.max {
        return Err(ChannelError::CapacityOutOfBounds { capacity, min: limits.min, max: limits.max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { min: Amount::from_sat(330), max: Amount::from_sat(80_000) };

    fn check(capacity: u64, amount: u64) -> Result<(), ChannelError> {
        LIMITS.check(Amount::from_sat(capacity), Amount::from_sat(amount))
    }

    fn nearest(capacity: u64, amount: u64) -> (Option<u64>, Option<u64>) {
        match check(capacity, amount) {
            Err(ChannelError::ImpossibleAmount(error)) => {
                (error.below.map(Amount::to_sat), error.above.map(Amount::to_sat))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_first_payment_is_at_least_the_minimum_and_later_ones_can_be_one_sat() {
        assert_eq!(nearest(10_000, 329), (None, Some(330)));
        for amount in [330, 331, 9_670, 10_000] {
            check(10_000, amount).unwrap();
        }
    }

    #[test]
    fn a_remainder_of_dust_is_refused_with_the_nearest_amounts() {
        assert_eq!(nearest(10_000, 9_671), (Some(9_670), Some(10_000)));
        assert_eq!(nearest(10_000, 9_999), (Some(9_670), Some(10_000)));
        // The remainder may be too large, too.
        assert_eq!(nearest(100_000, 10_000), (None, Some(20_000)));
        assert_eq!(nearest(100_000, 90_000), (Some(80_000), None));
    }

    #[test]
    fn extremes() {
        assert!(matches!(check(10_000, 10_001), Err(ChannelError::OverCapacity { .. })));
        assert!(matches!(check(10_000, u64::MAX), Err(ChannelError::OverCapacity { .. })));
        assert!(check(10_000, 0).is_err());
        assert_eq!(nearest(400, 100), (None, Some(400)));
    }
}
