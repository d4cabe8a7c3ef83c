//! The last payment ids of a channel, so that the same payment is not made twice.

use super::StoreError;
use crate::channel::terms::tagged_hash;

/// Half of a hash of a payment id.
pub type PaymentHash = [u8; 16];

/// How many ids a ring remembers.
const SIZE: usize = 64;
const HASH: usize = 16;

/// The hashes of the last 64 payment ids; the oldest gives way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    hashes: [PaymentHash; SIZE],
    /// Where the next one goes.
    next: u8,
    /// How many there are.
    count: u8,
}

impl Default for Ring {
    fn default() -> Self {
        Self { hashes: [[0; HASH]; SIZE], next: 0, count: 0 }
    }
}

impl Ring {
    /// What stands for a payment id, which may be of any length.
    pub fn hash(payment_id: &[u8]) -> PaymentHash {
        let full = tagged_hash(b"virtual-channels/payment-id", payment_id);
        let mut half = [0; HASH];
        half.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        half
    }

    /// Whether this id is among the last ones.
    pub fn contains(&self, hash: &PaymentHash) -> bool {
        self.hashes.iter().take(self.count.into()).any(|held| held == hash)
    }

    /// Remembers an id.
    pub fn push(&mut self, hash: PaymentHash) {
        if let Some(place) = self.hashes.get_mut(usize::from(self.next)) {
            *place = hash;
        }
        self.next = (self.next + 1) % SIZE as u8;
        self.count = (self.count + 1).min(SIZE as u8);
    }

    /// Forgets the id that came last: its payment does not count, so it may be made again.
    pub fn forget_newest(&mut self) {
        let newest = (usize::from(self.next) + SIZE - 1) % SIZE;
        if let Some(place) = self.hashes.get_mut(newest) {
            *place = [0; HASH];
        }
    }

    pub fn len(&self) -> usize {
        self.count.into()
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Always of the same length, so that the row it is in never grows.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2 + SIZE * HASH);
        bytes.extend([self.next, self.count]);
        self.hashes.iter().for_each(|hash| bytes.extend(hash));
        bytes
    }

    /// A receiver has no ring; its column is empty.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let corrupt = || StoreError::corrupt("the ring of payment ids");
        let ([next, count], hashes) = bytes.split_first_chunk::<2>().ok_or_else(corrupt)?;
        let (chunks, rest) = hashes.as_chunks::<HASH>();
        let hashes = chunks.try_into().map_err(|_| corrupt())?;
        let full = usize::from(*count) == SIZE && usize::from(*next) < SIZE;
        let filling = usize::from(*count) < SIZE && next == count;
        if !rest.is_empty() || !(full || filling) {
            return Err(corrupt());
        }
        Ok(Self { hashes, next: *next, count: *count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_64_are_known() {
        let mut ring = Ring::default();
        let ids: Vec<PaymentHash> = (0..200u32).map(|i| Ring::hash(&i.to_be_bytes())).collect();
        for (i, id) in ids.iter().enumerate() {
            assert!(!ring.contains(id));
            ring.push(*id);
            assert_eq!(ring.len(), (i + 1).min(SIZE));
            let from = (i + 1).saturating_sub(SIZE);
            assert!(ids[from..=i].iter().all(|id| ring.contains(id)));
            assert!(ids[..from].iter().all(|id| !ring.contains(id)));
            assert_eq!(Ring::decode(&ring.encode()).unwrap(), ring);
        }
        assert_eq!(ring.encode().len(), Ring::default().encode().len());
    }

    #[test]
    fn the_newest_can_be_forgotten() {
        let mut ring = Ring::default();
        ring.forget_newest();
        assert_eq!(ring, Ring::default());
        for i in 0..130u32 {
            ring.push(Ring::hash(&i.to_be_bytes()));
            let (newest, before) = (Ring::hash(&i.to_be_bytes()), Ring::hash(&i.saturating_sub(1).to_be_bytes()));
            let mut other = ring.clone();
            other.forget_newest();
            assert!(!other.contains(&newest));
            assert_eq!(other.contains(&before), i > 0);
            assert_eq!(Ring::decode(&other.encode()).unwrap(), other);
        }
    }

    #[test]
    fn an_empty_ring_knows_nothing() {
        assert!(!Ring::default().contains(&[0; 16]));
        assert!(Ring::decode(&[]).unwrap().is_empty());
    }

    #[test]
    fn damage_is_noticed() {
        let good = Ring::default().encode();
        for bad in [&good[..1], &good[..good.len() - 1], &[good.as_slice(), &[0]].concat()] {
            assert!(Ring::decode(bad).is_err());
        }
        for (next, count) in [(64, 64), (0, 65), (1, 0), (0, 1), (255, 255)] {
            let mut bad = good.clone();
            bad[0] = next;
            bad[1] = count;
            assert!(Ring::decode(&bad).is_err(), "{next} {count}");
        }
    }
}
