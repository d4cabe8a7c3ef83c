//! What held a secret holds none once it was dropped.

use std::mem::MaybeUninit;
use std::ptr;

use bip39::Mnemonic;
use virtual_channels::channel::Network;
use virtual_channels::wallet::{KeyUse, Keys, SecretKeypair};

use crate::world::World;

/// Where a value is, read before and after it is dropped there.
struct Place<T>(Box<MaybeUninit<T>>);

#[allow(unsafe_code)] // Nothing else can read what a dropped value leaves.
impl<T> Place<T> {
    fn new(value: T) -> Self {
        Self(Box::new(MaybeUninit::new(value)))
    }

    fn holds(&self, secret: &[u8]) -> bool {
        let start = self.0.as_ptr().cast::<u8>();
        // SAFETY: within the box, which is there as long as `self`; volatile, since some of it may never have been written.
        let bytes: Vec<u8> = (0..size_of::<T>()).map(|at| unsafe { ptr::read_volatile(start.add(at)) }).collect();
        bytes.windows(secret.len()).any(|window| window == secret)
    }

    fn drop_value(&mut self) {
        // SAFETY: it was made with a value, and the callers drop it once.
        unsafe { self.0.assume_init_drop() }
    }
}

fn keys() -> Keys {
    Keys::from_mnemonic(&World::mnemonic("payer"), Network::Regtest).unwrap()
}

#[test]
fn the_seed() {
    let seed = World::mnemonic("payer").parse::<Mnemonic>().unwrap().to_seed("");
    let mut place = Place::new(keys());
    assert!(seed.chunks(16).all(|part| place.holds(part)), "it is kept as it is");
    place.drop_value();
    assert!(seed.chunks(4).all(|part| !place.holds(part)));
}

#[test]
fn a_key() {
    for key_use in [KeyUse::Payer, KeyUse::Cosigner, KeyUse::Onchain] {
        let keypair: SecretKeypair = keys().keypair(key_use, 3).unwrap();
        let secret = keypair.secret_bytes();
        let mut place = Place::new(keypair);
        // In libsecp256k1's own order or turned round.
        let turned: Vec<u8> = secret.iter().rev().copied().collect();
        assert!(place.holds(&secret) || place.holds(&turned));
        place.drop_value();
        for part in secret.chunks(4).chain(turned.chunks(4)) {
            assert!(!place.holds(part), "{key_use:?}");
        }
    }
}
