//! Relative and absolute locks, in blocks or in seconds.

use bitcoin::{Sequence, absolute, relative};

use super::ChannelError;

/// What an operator counts in: seconds in reality, blocks on regtest only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Unit {
    Blocks,
    Seconds,
}

impl Unit {
    /// The unit of an absolute lock (BIP65: below 500 000 000 is a height).
    pub fn of(locktime: absolute::LockTime) -> Self {
        if locktime.is_block_height() { Self::Blocks } else { Self::Seconds }
    }

    /// An hour in this unit: 6 blocks or 3600 seconds.
    pub fn hour(self) -> u64 {
        match self {
            Self::Blocks => 6,
            Self::Seconds => 3600,
        }
    }
}

/// A BIP68 relative delay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Delay(relative::LockTime);

impl Delay {
    /// A delay of so many blocks (at least one).
    pub fn blocks(blocks: u16) -> Result<Self, ChannelError> {
        if blocks == 0 {
            return Err(ChannelError::InvalidDelay { value: 0 });
        }
        Ok(Self(relative::LockTime::from_height(blocks)))
    }

    /// A delay in seconds: a multiple of 512 between 512 and 33 553 920.
    pub fn seconds(seconds: u32) -> Result<Self, ChannelError> {
        let units = u16::try_from(seconds / 512).ok().filter(|units| *units > 0 && seconds.is_multiple_of(512));
        units
            .map(|units| Self(relative::LockTime::from_512_second_intervals(units)))
            .ok_or(ChannelError::InvalidDelay { value: seconds.into() })
    }

    /// arkd's plain number: below 512 blocks, else seconds.
    pub fn from_arkd(value: i64) -> Result<Self, ChannelError> {
        let invalid = ChannelError::InvalidDelay { value };
        match u32::try_from(value) {
            Ok(blocks) if blocks < 512 => Self::blocks(blocks as u16),
            Ok(seconds) => Self::seconds(seconds),
            Err(_) => Err(invalid),
        }
    }

    /// The inverse of [`Delay::from_arkd`]; blocks from 512 on cannot be told from seconds there.
    pub fn to_arkd(self) -> i64 {
        self.value() as i64
    }

    /// The delay of a sequence number that is a BIP68 lock.
    pub fn from_sequence(sequence: Sequence) -> Result<Self, ChannelError> {
        let value = i64::from(sequence.to_consensus_u32());
        let delay = sequence.to_relative_lock_time().map(Self).ok_or(ChannelError::InvalidDelay { value })?;
        // Bits that BIP68 ignores would make two encodings of the same lock.
        if delay.value() == 0 || delay.sequence() != sequence {
            return Err(ChannelError::InvalidDelay { value });
        }
        Ok(delay)
    }

    /// The input sequence that carries this delay; also the number in front of `CHECKSEQUENCEVERIFY`.
    pub fn sequence(self) -> Sequence {
        self.0.to_sequence()
    }

    pub fn unit(self) -> Unit {
        if self.0.is_block_height() { Unit::Blocks } else { Unit::Seconds }
    }

    /// The length in [`Delay::unit`]: blocks or seconds.
    pub fn value(self) -> u64 {
        match self.0 {
            relative::LockTime::Blocks(height) => u64::from(height.value()),
            relative::LockTime::Time(time) => u64::from(time.value()) * 512,
        }
    }

    /// The shortest delay of `unit` that is at least `value` long.
    pub fn at_least(unit: Unit, value: u64) -> Result<Self, ChannelError> {
        let invalid = ChannelError::InvalidDelay { value: i64::try_from(value).unwrap_or(i64::MAX) };
        match unit {
            Unit::Blocks => u16::try_from(value.max(1)).map_err(|_| invalid).and_then(Self::blocks),
            Unit::Seconds => {
                let seconds = value.max(1).checked_next_multiple_of(512).and_then(|value| u32::try_from(value).ok());
                seconds.ok_or(invalid).and_then(Self::seconds)
            }
        }
    }
}

/// An absolute lock of `unit` at `value` (a height or a unix time).
pub fn locktime(unit: Unit, value: u64) -> Result<absolute::LockTime, ChannelError> {
    let invalid = || ChannelError::InvalidLocktime { value };
    let value32 = u32::try_from(value).map_err(|_| invalid())?;
    match unit {
        Unit::Blocks => absolute::LockTime::from_height(value32).map_err(|_| invalid()),
        Unit::Seconds => absolute::LockTime::from_time(value32).map_err(|_| invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arkd_numbers() {
        assert_eq!(Delay::from_arkd(20).unwrap().unit(), Unit::Blocks);
        assert_eq!(Delay::from_arkd(1024).unwrap().value(), 1024);
        for bad in [0, -1, 513, 1000, i64::MAX] {
            assert!(Delay::from_arkd(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sequences_with_stray_bits_are_refused() {
        let delay = Delay::seconds(1024).unwrap();
        assert_eq!(Delay::from_sequence(delay.sequence()).unwrap(), delay);
        assert!(Delay::from_sequence(Sequence::from_consensus(delay.sequence().0 | 1 << 20)).is_err());
        assert!(Delay::from_sequence(Sequence::MAX).is_err());
        assert!(Delay::from_sequence(Sequence::ZERO).is_err());
    }

    #[test]
    fn rounds_up() {
        assert_eq!(Delay::at_least(Unit::Seconds, 1025).unwrap().value(), 1536);
        assert_eq!(Delay::at_least(Unit::Blocks, 7).unwrap().value(), 7);
        assert!(Delay::at_least(Unit::Blocks, 70_000).is_err());
        assert!(Delay::at_least(Unit::Seconds, 65_536 * 512).is_err());
        assert!(Delay::at_least(Unit::Seconds, u64::MAX).is_err());
    }
}
