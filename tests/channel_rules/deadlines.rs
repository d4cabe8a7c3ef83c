//! The deadlines of a channel, with their figures.

use virtual_channels::channel::deadline::{Margins, Timing, assumed_batch_expiry, default_locktime};
use virtual_channels::channel::{ChannelError, Unit};

use crate::pair::{HEIGHT, NOW, Pair};

/// A channel opened at `now` with the default locktime; lengths in hours.
fn timing(unit: Unit, now: u64, delay: u64, batch: u64, levels: u64) -> Timing {
    let hour = unit.hour();
    let (batch_expiry, expiry) = (batch * hour, now + batch * hour);
    Timing {
        unit,
        batch_expiry,
        expiry,
        locktime: default_locktime(unit, batch_expiry, expiry),
        update_delay: delay * hour,
        levels,
        cutoff: None,
    }
}

#[test]
fn hours_a_channel_takes_payments() {
    for (unit, now) in [(Unit::Seconds, NOW), (Unit::Blocks, HEIGHT), (Unit::Seconds, 0), (Unit::Blocks, 0)] {
        for levels in 0..=11 {
            for (delay, batch, hours) in [(24, 7 * 24, 102), (24, 30 * 24, 654), (7 * 24, 30 * 24, 510)] {
                let deadlines = timing(unit, now, delay, batch, levels).check(now).unwrap();
                let context = format!("{unit:?} {delay} h, {batch} h, {levels} levels");
                assert_eq!(deadlines.close_by, now + (hours - levels) * unit.hour(), "{context}");
                assert_eq!(deadlines.exit_by, deadlines.close_by + 12 * unit.hour(), "{context}");
                assert_eq!(deadlines.payer_exit_by, now + (batch - levels - 6) * unit.hour(), "{context}");
            }
        }
    }
}

#[test]
fn seven_days_delay_in_seven_days_batches_is_impossible() {
    let timing = timing(Unit::Seconds, NOW, 7 * 24, 7 * 24, 1);
    let deadlines = timing.deadlines();
    let error = ChannelError::DeadlinesDoNotFit {
        locktime: NOW + 144 * 3600,
        expiry: NOW + 168 * 3600,
        payer_exit_by: NOW + 161 * 3600,
        close_by: deadlines.close_by,
        now: NOW,
    };
    assert_eq!(timing.check(NOW), Err(error));
    assert_eq!(deadlines.exit_by, NOW - (24 + 1 + 6) * 3600);
}

#[test]
fn a_branch_deeper_than_eleven_levels_does_not_fit_a_week() {
    timing(Unit::Seconds, NOW, 24, 7 * 24, 11).check(NOW).unwrap();
    assert!(timing(Unit::Seconds, NOW, 24, 7 * 24, 12).check(NOW).is_err());
}

#[test]
fn margins_shrink_with_short_batches() {
    let hour = 3600;
    let full = Margins { level: hour, slack: 6 * hour, reserve: 12 * hour, lead: 24 * hour };
    assert_eq!(Margins::of(Unit::Seconds, 7 * 24 * hour), full);
    assert_eq!(Margins::of(Unit::Seconds, 365 * 24 * hour), full);
    let half = Margins { level: 1800, slack: 3 * hour, reserve: 6 * hour, lead: 12 * hour };
    assert_eq!(Margins::of(Unit::Seconds, 84 * hour), half);
    // What the recorded operators use: 86 016 seconds; and, in blocks, rounded up.
    let short = Margins { level: 512, slack: 3_072, reserve: 6_144, lead: 12_288 };
    assert_eq!(Margins::of(Unit::Seconds, 86_016), short);
    assert_eq!(Margins::of(Unit::Blocks, 100), Margins { level: 1, slack: 4, reserve: 8, lead: 15 });
    assert_eq!(Margins::of(Unit::Blocks, 1_008), Margins { level: 6, slack: 36, reserve: 72, lead: 144 });
    assert_eq!(assumed_batch_expiry(Unit::Seconds), 7 * 24 * hour);
    assert_eq!(assumed_batch_expiry(Unit::Blocks), 1_008);
}

#[test]
fn a_channel_is_refused_from_the_first_moment_it_does_not_fit() {
    let timing = timing(Unit::Seconds, NOW, 24, 7 * 24, 2);
    let deadlines = timing.deadlines();
    let reserve = 12 * 3600;
    assert_eq!(timing.check(deadlines.close_by - reserve), Ok(deadlines));
    let now = deadlines.close_by - reserve + 1;
    let error = ChannelError::DeadlinesDoNotFit {
        locktime: timing.locktime,
        expiry: timing.expiry,
        payer_exit_by: deadlines.payer_exit_by,
        close_by: deadlines.close_by,
        now,
    };
    assert_eq!(timing.check(now), Err(error));
    assert!(timing.check(u64::MAX).is_err());
}

#[test]
fn a_locktime_at_the_payers_own_deadline_is_refused() {
    let mut timing = timing(Unit::Seconds, NOW, 24, 7 * 24, 2);
    let slack = 6 * 3600;
    timing.locktime = timing.deadlines().payer_exit_by - slack - 1;
    timing.check(NOW).unwrap();
    timing.locktime += 1;
    assert!(matches!(timing.check(NOW), Err(ChannelError::DeadlinesDoNotFit { .. })));
}

#[test]
fn the_earlier_of_locktime_and_expiry_counts() {
    let base = timing(Unit::Seconds, NOW, 24, 7 * 24, 1);
    let exit_by = |locktime: u64, expiry: u64| Timing { locktime, expiry, ..base }.deadlines().exit_by;
    let away = (24 + 1 + 6) * 3600;
    assert_eq!(exit_by(NOW + 400_000, NOW + 500_000), NOW + 400_000 - away);
    assert_eq!(exit_by(NOW + 500_000, NOW + 400_000), NOW + 400_000 - away);
}

#[test]
fn a_deprecated_signers_cutoff_moves_closing_and_not_the_exit() {
    let plain = timing(Unit::Seconds, NOW, 24, 7 * 24, 1).deadlines();
    let with = |cutoff| Timing { cutoff: Some(cutoff), ..timing(Unit::Seconds, NOW, 24, 7 * 24, 1) }.deadlines();
    assert_eq!(with(plain.exit_by), plain);
    assert_eq!(with(u64::MAX), plain);
    let earlier = with(NOW + 100_000);
    assert_eq!(earlier.close_by, NOW + 100_000 - 12 * 3600);
    assert_eq!((earlier.exit_by, earlier.payer_exit_by), (plain.exit_by, plain.payer_exit_by));
}

#[test]
fn extremes_neither_overflow_nor_fit() {
    for value in [0, 1, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
        for other in [0, 1, 1_000_000, u64::MAX] {
            for unit in [Unit::Seconds, Unit::Blocks] {
                let timing = Timing {
                    unit,
                    batch_expiry: value,
                    expiry: other,
                    locktime: value,
                    update_delay: other,
                    levels: value,
                    cutoff: Some(other),
                };
                let _ = timing.check(value);
                let _ = timing.check(other);
                assert!(timing.deadlines().close_by <= timing.deadlines().exit_by);
                assert!(default_locktime(unit, value, other) <= other);
            }
        }
    }
}

#[test]
fn timing_is_taken_from_the_terms() {
    for unit in [Unit::Seconds, Unit::Blocks] {
        let pair = Pair::new(91, unit, 10_000);
        let terms = &pair.channel.terms;
        let timing = Timing::of(terms, 100, 200, 3, Some(5));
        assert_eq!(timing.unit, unit);
        assert_eq!(timing.locktime, u64::from(terms.locktime.to_consensus_u32()));
        assert_eq!(timing.update_delay, terms.d1.value());
        assert_eq!((timing.batch_expiry, timing.expiry, timing.levels, timing.cutoff), (100, 200, 3, Some(5)));
    }
}
