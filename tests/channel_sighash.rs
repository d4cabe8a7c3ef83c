//! The messages that payments sign are those of BIP341, as rust-bitcoin computes them from whole transactions.

#[path = "common/pair.rs"]
#[allow(dead_code)]
mod pair;

use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{Amount, TapLeafHash, TapSighashType, Transaction, TxOut};
use pair::{Pair, sats};
use secp256k1::Message;
use secp256k1::rand::Rng;
use virtual_channels::channel::{Network, Unit};

fn by_bip341(tx: &Transaction, prevout: &TxOut, leaf: TapLeafHash) -> Message {
    let prevouts = [prevout];
    SighashCache::new(tx)
        .taproot_script_spend_signature_hash(0, &Prevouts::All(&prevouts), leaf, TapSighashType::Default)
        .unwrap()
        .into()
}

fn compare(pair: &Pair, amount: Amount) {
    let Pair { channel, close, .. } = pair;
    let exit = channel.exit_update(amount).unwrap();
    let leaf = channel.update_leaf().unwrap().hash;
    assert_eq!(channel.exit_sighash().message(amount), by_bip341(&exit, &channel.prevout(), leaf), "{amount}");

    let built = channel.close(&pair.script(), amount).unwrap();
    let expected = by_bip341(&built.ark, &close.checkpoint.output(), close.checkpoint.leaf.hash);
    assert_eq!(close.ark_sighash().message(amount), expected, "{amount}");
    assert_eq!(built.ark_sighash(0).unwrap(), expected);
    assert_eq!(built.checkpoints[0].tx.compute_txid(), close.checkpoint_txid());

    let checkpoint = &built.checkpoints[0];
    let expected = by_bip341(&checkpoint.tx, &channel.prevout(), checkpoint.vtxo_leaf.hash);
    assert_eq!(checkpoint.sighash().unwrap(), expected);
}

#[test]
fn messages_are_bip341s_for_random_channels_and_amounts() {
    let mut rng = pair::rng(0x5199);
    for round in 0..200 {
        let unit = if round % 2 == 0 { Unit::Seconds } else { Unit::Blocks };
        let network = if round % 3 == 0 { Network::Bitcoin } else { Network::Regtest };
        let bits = rng.gen_range(10..=50);
        let capacity = rng.gen_range(1_000..=(1u64 << bits)).min(2_100_000_000_000_000);
        let funding = pair::outpoint(&mut rng);
        let pair = Pair::at(&mut rng, network, unit, capacity, funding);
        // Zero, one sat, the whole capacity (no output for the payer), one less, and anything between.
        for amount in [0, 1, 330, capacity - 1, capacity, rng.gen_range(0..=capacity)] {
            compare(&pair, sats(amount));
        }
    }
}

#[test]
fn extreme_capacities_have_messages_too() {
    for capacity in [1, 329, 330, 2_100_000_000_000_000, u64::MAX] {
        let pair = Pair::new(capacity & 0xffff, Unit::Seconds, capacity);
        for amount in [0, 1, capacity / 2, capacity - 1, capacity] {
            compare(&pair, sats(amount));
        }
    }
}

#[test]
fn no_two_amounts_and_no_two_kinds_share_a_message() {
    let pair = Pair::new(3, Unit::Seconds, 5_000);
    let mut seen = std::collections::HashSet::new();
    for amount in 0..=5_000 {
        assert!(seen.insert(*pair.channel.exit_sighash().message(sats(amount)).as_ref()), "{amount}");
        assert!(seen.insert(*pair.close.ark_sighash().message(sats(amount)).as_ref()), "{amount}");
    }
}
