//! When somebody must act at the latest. All moments and lengths are in the channel's unit: heights or unix seconds.

use super::{ChannelError, ChannelTerms, Unit};

/// The margins that follow from the length of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Margins {
    /// Time to get one level of a branch confirmed: min(1 h, E/168).
    pub level: u64,
    /// Time for things to go wrong: min(6 h, E/28).
    pub slack: u64,
    /// How long before `exit_by` the receiver begins to close: min(12 h, E/14).
    pub reserve: u64,
    /// How long before the batch's expiry the default locktime is: min(24 h, E/7).
    pub lead: u64,
}

impl Margins {
    /// `batch_expiry` is E, the length of a batch.
    pub fn of(unit: Unit, batch_expiry: u64) -> Self {
        let hour = unit.hour();
        let share = |hours: u64, parts: u64| (hours * hour).min(batch_expiry.div_ceil(parts));
        Self { level: share(1, 168), slack: share(6, 28), reserve: share(12, 14), lead: share(24, 7) }
    }
}

/// What the deadlines of a channel rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub unit: Unit,
    /// E, the length of the batch.
    pub batch_expiry: u64,
    /// When the VTXO expires: the earliest of what chain, sweep leaves and operator say.
    pub expiry: u64,
    /// The refund locktime.
    pub locktime: u64,
    /// d1.
    pub update_delay: u64,
    /// Levels of the branch.
    pub levels: u64,
    /// Cutoff of a deprecated signer, where there is one.
    pub cutoff: Option<u64>,
}

/// The three deadlines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From then on the receiver must be on its way on chain.
    pub exit_by: u64,
    /// From then on the receiver closes by itself and takes no more updates.
    pub close_by: u64,
    /// Before then a payer whose VTXO is spent, but whose outputs do not exist, unrolls.
    pub payer_exit_by: u64,
}

impl Timing {
    /// The timing of `terms` in a VTXO that expires at `expiry`.
    pub fn of(terms: &ChannelTerms, batch_expiry: u64, expiry: u64, levels: u64, cutoff: Option<u64>) -> Self {
        let locktime = u64::from(terms.locktime.to_consensus_u32());
        let (unit, update_delay) = (terms.unit(), terms.d1.value());
        Self { unit, batch_expiry, expiry, locktime, update_delay, levels, cutoff }
    }

    pub fn margins(&self) -> Margins {
        Margins::of(self.unit, self.batch_expiry)
    }

    pub fn deadlines(&self) -> Deadlines {
        let margins = self.margins();
        let unrolling = self.levels.saturating_mul(margins.level);
        let end = self.locktime.min(self.expiry);
        let exit_by = end.saturating_sub(self.update_delay.saturating_add(unrolling).saturating_add(margins.slack));
        let close_from = self.cutoff.map_or(exit_by, |cutoff| exit_by.min(cutoff));
        Deadlines {
            exit_by,
            close_by: close_from.saturating_sub(margins.reserve),
            payer_exit_by: self.expiry.saturating_sub(unrolling.saturating_add(margins.slack)),
        }
    }

    /// Whether a channel with this timing may be opened at `now`.
    pub fn check(&self, now: u64) -> Result<Deadlines, ChannelError> {
        let margins = self.margins();
        let deadlines = self.deadlines();
        let payer_fits = self.locktime.saturating_add(margins.slack) < deadlines.payer_exit_by;
        let receiver_fits = deadlines.close_by >= now.saturating_add(margins.reserve);
        if payer_fits && receiver_fits {
            return Ok(deadlines);
        }
        Err(ChannelError::DeadlinesDoNotFit {
            locktime: self.locktime,
            expiry: self.expiry,
            payer_exit_by: deadlines.payer_exit_by,
            close_by: deadlines.close_by,
            now,
        })
    }
}

/// The locktime to propose for a VTXO that expires at `expiry`.
pub fn default_locktime(unit: Unit, batch_expiry: u64, expiry: u64) -> u64 {
    expiry.saturating_sub(Margins::of(unit, batch_expiry).lead)
}

/// A batch's length where nothing better is known: seven days.
pub fn assumed_batch_expiry(unit: Unit) -> u64 {
    7 * 24 * unit.hour()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn timing(delay_hours: u64, expiry_hours: u64, levels: u64) -> Timing {
        let expiry = expiry_hours * HOUR;
        Timing {
            unit: Unit::Seconds,
            batch_expiry: expiry,
            expiry,
            locktime: default_locktime(Unit::Seconds, expiry, expiry),
            update_delay: delay_hours * HOUR,
            levels,
            cutoff: None,
        }
    }

    #[test]
    fn hours_that_a_channel_takes_payments() {
        for (delay, expiry, hours) in [(24, 168, 102), (24, 720, 654), (168, 720, 510)] {
            for levels in [0, 1, 3, 11] {
                let deadlines = timing(delay, expiry, levels).check(0).unwrap();
                assert_eq!(deadlines.close_by, (hours - levels) * HOUR, "{delay} {expiry} {levels}");
            }
        }
        assert!(matches!(timing(168, 168, 1).check(0), Err(ChannelError::DeadlinesDoNotFit { .. })));
    }

    #[test]
    fn blocks_are_rounded_up() {
        let margins = Margins::of(Unit::Blocks, 400);
        assert_eq!(margins, Margins { level: 3, slack: 15, reserve: 29, lead: 58 });
        assert_eq!(Margins::of(Unit::Blocks, 100_000), Margins { level: 6, slack: 36, reserve: 72, lead: 144 });
    }

    #[test]
    fn a_cutoff_moves_only_closing() {
        let mut timing = timing(24, 168, 1);
        let before = timing.deadlines();
        timing.cutoff = Some(50 * HOUR);
        let after = timing.deadlines();
        assert_eq!(after.exit_by, before.exit_by);
        assert_eq!(after.close_by, 38 * HOUR);
    }

    #[test]
    fn expiry_counts_as_hard_as_the_locktime() {
        let mut timing = timing(24, 168, 1);
        timing.locktime = 1_000 * HOUR;
        assert_eq!(timing.deadlines().exit_by, (168 - 24 - 1 - 6) * HOUR);
        assert!(timing.check(0).is_err(), "the locktime must be before the payer's own deadline");
    }
}
