//! Amounts: the payer's and the receiver's side of the same rule.

use bitcoin::Amount;
use virtual_channels::channel::amount::Limits;
use virtual_channels::channel::payer::PayerState;
use virtual_channels::channel::{ChannelError, ImpossibleAmount, Unit};

use crate::pair::{Pair, sats};

const LIMITS: Limits = Limits { min: Amount::from_sat(330), max: Amount::MAX_MONEY };

fn next(base: Option<u64>, capacity: u64, add: u64) -> Result<u64, ChannelError> {
    let pair = Pair::new(51, Unit::Seconds, capacity);
    let update = base.map(|amount| pair.update(0, amount));
    let high = base.map_or(Amount::ZERO, sats);
    PayerState { update, high }.next(sats(capacity), &LIMITS, sats(add)).map(Amount::to_sat)
}

fn impossible(amount: u64, capacity: u64, below: Option<u64>, above: Option<u64>) -> ChannelError {
    let (min, max) = (LIMITS.min, LIMITS.max);
    let (below, above) = (below.map(sats), above.map(sats));
    let error = ImpossibleAmount { amount: sats(amount), capacity: sats(capacity), min, max, below, above };
    ChannelError::ImpossibleAmount(error.into())
}

#[test]
fn first_payment_at_below_and_above_the_minimum() {
    assert_eq!(next(None, 10_000, 329), Err(impossible(329, 10_000, None, Some(330))));
    assert_eq!(next(None, 10_000, 1), Err(impossible(1, 10_000, None, Some(330))));
    assert_eq!(next(None, 10_000, 330), Ok(330));
    assert_eq!(next(None, 10_000, 331), Ok(331));
}

#[test]
fn one_sat_more() {
    assert_eq!(next(Some(330), 10_000, 1), Ok(331));
    assert_eq!(next(Some(9_669), 10_000, 1), Ok(9_670));
    assert_eq!(next(Some(330), 10_000, 0), Err(ChannelError::ZeroPayment));
    assert_eq!(next(None, 10_000, 0), Err(ChannelError::ZeroPayment));
}

#[test]
fn over_capacity_on_the_payers_side() {
    let over = |amount: u64| Err(ChannelError::OverCapacity { amount: sats(amount), capacity: sats(10_000) });
    assert_eq!(next(None, 10_000, 10_001), over(10_001));
    assert_eq!(next(Some(9_000), 10_000, 1_001), over(10_001));
    assert_eq!(next(Some(10_000), 10_000, 1), over(10_001));
}

#[test]
fn over_capacity_on_the_receivers_side() {
    let pair = Pair::new(52, Unit::Seconds, 10_000);
    for amount in [10_001, 2_100_000_000_000_000, u64::MAX] {
        let update = pair.update(0, amount);
        let error = ChannelError::OverCapacity { amount: sats(amount), capacity: sats(10_000) };
        assert_eq!(update.verify(&pair.channel, &[&pair.close]), Err(error.clone()));
        assert_eq!(update.exit_transaction(&pair.channel, &pair.receiver), Err(error.clone()));
        assert_eq!(pair.channel.exit_update(sats(amount)), Err(error.clone()));
        assert_eq!(pair.channel.close(&pair.script(), sats(amount)).map(|_| ()), Err(error.clone()));
        assert_eq!(LIMITS.check(sats(10_000), sats(amount)), Err(error));
    }
}

#[test]
fn remainder_zero() {
    assert_eq!(next(Some(5_000), 10_000, 5_000), Ok(10_000));
    assert_eq!(next(None, 10_000, 10_000), Ok(10_000));
    let pair = Pair::new(53, Unit::Seconds, 10_000);
    let update = pair.update(5_000, 10_000);
    update.verify(&pair.channel, &[&pair.close]).unwrap();
    // The payer has no output then: receiver and anchor only.
    let exit = update.exit_transaction(&pair.channel, &pair.receiver).unwrap();
    assert_eq!(exit.output.len(), 2);
    assert_eq!(exit.output[0].value, sats(10_000));
    assert_eq!(pair.channel.close(&pair.script(), sats(10_000)).unwrap().ark.output.len(), 2);
}

#[test]
fn remainder_below_dust() {
    assert_eq!(next(Some(5_000), 10_000, 4_671), Err(impossible(9_671, 10_000, Some(9_670), Some(10_000))));
    assert_eq!(next(Some(9_670), 10_000, 1), Err(impossible(9_671, 10_000, Some(9_670), Some(10_000))));
    assert_eq!(next(Some(5_000), 10_000, 4_999), Err(impossible(9_999, 10_000, Some(9_670), Some(10_000))));
    // A channel too small to be split can be paid in full only.
    assert_eq!(next(None, 659, 330), Err(impossible(330, 659, None, Some(659))));
    assert_eq!(next(None, 659, 659), Ok(659));
    assert_eq!(next(None, 660, 330), Ok(330));
}

#[test]
fn u64_extremes() {
    let capacity = sats(10_000);
    for add in [u64::MAX, u64::MAX - 1, 1 << 63, 2_100_000_000_000_001] {
        assert_eq!(next(None, 10_000, add), Err(ChannelError::OverCapacity { amount: sats(add), capacity }));
    }
    // An addition that overflows is more than the capacity, too.
    assert_eq!(next(Some(1), 10_000, u64::MAX), Err(ChannelError::OverCapacity { amount: Amount::MAX, capacity }));
    let all = Limits { min: Amount::ZERO, max: Amount::MAX };
    all.check(Amount::MAX, Amount::MAX).unwrap();
    all.check(Amount::MAX, Amount::ZERO).unwrap();
    let none = Limits { min: Amount::MAX, max: Amount::ZERO };
    assert!(none.check(Amount::MAX, Amount::MAX).is_err());
    assert!(LIMITS.check(Amount::MAX, Amount::ONE_SAT).is_err());
}

#[test]
fn an_operator_that_raises_its_limits_is_named_with_them() {
    let limits = Limits { min: sats(50_000), max: sats(60_000) };
    let error = |amount: u64, below: Option<u64>, above: Option<u64>| {
        let Limits { min, max } = limits;
        let (below, above) = (below.map(sats), above.map(sats));
        let error = ImpossibleAmount { amount: sats(amount), capacity: sats(100_000), min, max, below, above };
        ChannelError::ImpossibleAmount(error.into())
    };
    assert_eq!(limits.check(sats(100_000), sats(30_000)), Err(error(30_000, None, Some(50_000))));
    assert_eq!(limits.check(sats(100_000), sats(70_000)), Err(error(70_000, Some(50_000), None)));
    limits.check(sats(100_000), sats(50_000)).unwrap();
    let message = error(30_000, None, Some(50_000)).to_string();
    assert!(message.contains("50000 SAT") || message.contains("0.00050000 BTC"), "{message}");
}

/// The nearest amounts in errors are possible, and nothing nearer is: against trying all.
#[test]
fn nearest_amounts_are_the_nearest() {
    for (min, max) in [(3, 100), (3, 7), (5, 5), (1, 12), (4, 9), (13, 20)] {
        let limits = Limits { min: sats(min), max: sats(max) };
        for capacity in 0..30 {
            let possible: Vec<u64> = (0..=capacity)
                .filter(|amount| {
                    let within = |part: u64| part >= min && part <= max;
                    within(*amount) && (capacity == *amount || within(capacity - amount))
                })
                .collect();
            for amount in 0..=capacity {
                match limits.check(sats(capacity), sats(amount)) {
                    Ok(()) => assert!(possible.contains(&amount)),
                    Err(ChannelError::ImpossibleAmount(error)) => {
                        let (below, above) = (error.below, error.above);
                        assert!(!possible.contains(&amount));
                        let nearest_below = possible.iter().rev().find(|one| **one < amount).copied();
                        let nearest_above = possible.iter().find(|one| **one > amount).copied();
                        let context = format!("{min} to {max}, {amount} of {capacity}");
                        assert_eq!(below.map(Amount::to_sat), nearest_below, "{context}");
                        assert_eq!(above.map(Amount::to_sat), nearest_above, "{context}");
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }
}
