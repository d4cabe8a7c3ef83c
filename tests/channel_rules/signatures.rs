//! An update's two signatures: everything that is not exactly them.

use bitcoin::secp256k1::schnorr::Signature;
use secp256k1::Keypair;
use virtual_channels::channel::{Channel, ChannelError, ChannelTerms, ChannelUpdate, Unit, psbt};

use crate::pair::{self, Pair, sats};

fn pair() -> Pair {
    Pair::new(61, Unit::Seconds, 100_000)
}

fn verify(pair: &Pair, update: &ChannelUpdate) -> Result<usize, ChannelError> {
    update.verify(&pair.channel, &[&pair.close])
}

const EXIT: Result<usize, ChannelError> = Err(ChannelError::InvalidSignature { what: "exit signature" });

/// An ark signature that fits nothing may be for a checkpoint script that is not known here.
fn ark(pair: &Pair) -> Result<usize, ChannelError> {
    Err(ChannelError::UnknownCheckpointScript { channel_id: pair.channel.id })
}

fn flips(signature: &Signature) -> impl Iterator<Item = Signature> {
    let bytes: [u8; 64] = *signature.as_ref();
    (0..512).map(move |bit| {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        Signature::from_slice(&bytes).unwrap()
    })
}

#[test]
fn each_signature_bit_flipped() {
    let pair = pair();
    let update = pair.update(0, 5_000);
    assert_eq!(verify(&pair, &update), Ok(0));
    for exit_signature in flips(&update.exit_signature) {
        assert_eq!(verify(&pair, &ChannelUpdate { exit_signature, ..update }), EXIT);
    }
    for ark_signature in flips(&update.ark_signature) {
        assert_eq!(verify(&pair, &ChannelUpdate { ark_signature, ..update }), ark(&pair));
    }
}

#[test]
fn signatures_swapped() {
    let pair = pair();
    let update = pair.update(0, 5_000);
    let (ark_signature, exit_signature) = (update.exit_signature, update.ark_signature);
    assert_eq!(verify(&pair, &ChannelUpdate { ark_signature, exit_signature, ..update }), EXIT);
    assert_eq!(verify(&pair, &ChannelUpdate { ark_signature, ..update }), ark(&pair));
    assert_eq!(verify(&pair, &ChannelUpdate { exit_signature, ..update }), EXIT);
}

#[test]
fn signatures_from_another_amount() {
    let pair = pair();
    let (update, other) = (pair.update(0, 5_000), pair.update(0, 5_001));
    let mixed = ChannelUpdate { exit_signature: other.exit_signature, ..update };
    assert_eq!(verify(&pair, &mixed), EXIT);
    let mixed = ChannelUpdate { ark_signature: other.ark_signature, ..update };
    assert_eq!(verify(&pair, &mixed), ark(&pair));
    for amount in [0, 330, 4_999, 5_001, 100_000] {
        assert_eq!(verify(&pair, &ChannelUpdate { amount: sats(amount), ..update }), EXIT);
    }
}

#[test]
fn signatures_by_another_key() {
    let pair = pair();
    let update = pair.update(0, 5_000);
    let by = |key: &Keypair| ChannelUpdate::sign(&pair.channel, &pair.close, key, sats(0), sats(5_000));
    for key in [&pair.receiver, &pair.operator, &pair.forfeit, &pair::keypair(&mut pair::rng(2))] {
        assert_eq!(verify(&pair, &by(key)), EXIT);
        let mixed = ChannelUpdate { ark_signature: by(key).ark_signature, ..update };
        assert_eq!(verify(&pair, &mixed), ark(&pair));
    }
}

/// Signatures over other sighash types: the 64 bytes alone never verify, and a 65th byte has no place in an update.
#[test]
fn signatures_with_another_sighash_byte() {
    use bitcoin::TapSighashType as Type;
    use bitcoin::sighash::{Prevouts, SighashCache};
    let pair = pair();
    let update = pair.update(0, 5_000);
    let exit = pair.channel.exit_update(sats(5_000)).unwrap();
    let built = pair.channel.close(&pair.script(), sats(5_000)).unwrap();
    for kind in [
        Type::All,
        Type::None,
        Type::Single,
        Type::AllPlusAnyoneCanPay,
        Type::NonePlusAnyoneCanPay,
        Type::SinglePlusAnyoneCanPay,
    ] {
        let sign = |tx: &bitcoin::Transaction, prevout: bitcoin::TxOut, leaf| {
            let message = SighashCache::new(tx)
                .taproot_script_spend_signature_hash(0, &Prevouts::All(&[prevout]), leaf, kind)
                .unwrap();
            psbt::sign(&message.into(), &pair.payer)
        };
        let exit_signature = sign(&exit, pair.channel.prevout(), pair.channel.update_leaf().unwrap().hash);
        assert_eq!(verify(&pair, &ChannelUpdate { exit_signature, ..update }), EXIT);
        let checkpoint = &built.checkpoints[0];
        let ark_signature = sign(&built.ark, checkpoint.output(), checkpoint.leaf.hash);
        assert_eq!(verify(&pair, &ChannelUpdate { ark_signature, ..update }), ark(&pair));
    }
}

#[test]
fn update_for_another_channel() {
    let (pair, other) = (pair(), Pair::new(62, Unit::Seconds, 100_000));
    let update = other.update(0, 5_000);
    let error = ChannelError::OtherChannel { expected: pair.channel.id.into(), got: other.channel.id.into() };
    assert_eq!(verify(&pair, &update), Err(error));
    // With the id changed its signatures still are not for this channel.
    assert_eq!(verify(&pair, &ChannelUpdate { channel_id: pair.channel.id, ..update }), EXIT);
}

#[test]
fn update_for_another_outpoint_with_the_same_terms() {
    let pair = pair();
    let mut twin = pair.clone();
    let mut funding = pair.channel.funding;
    funding.vout += 1;
    twin.channel = Channel::new(pair.channel.terms, funding).unwrap();
    twin.close = twin.channel.close_template(pair.script()).unwrap();
    assert_eq!(twin.channel.terms.address().unwrap(), pair.channel.terms.address().unwrap());
    let update = twin.update(0, 5_000);
    verify(&twin, &update).unwrap();
    let error = ChannelError::OtherChannel { expected: pair.channel.id.into(), got: twin.channel.id.into() };
    assert_eq!(verify(&pair, &update), Err(error));
    assert_eq!(verify(&pair, &ChannelUpdate { channel_id: pair.channel.id, ..update }), EXIT);
}

/// Whoever changes a payout changes the channel: no signature carries over.
#[test]
fn update_for_other_payouts() {
    let pair = pair();
    let terms = pair.channel.terms;
    let update = pair.update(0, 5_000);
    let mut others: [ChannelTerms; 4] = [terms; 4];
    others[0].receiver.ark_payout = terms.payer.ark_payout;
    others[1].receiver.chain_payout = terms.payer.chain_payout;
    others[2].payer.ark_payout = terms.receiver.ark_payout;
    others[3].payer.chain_payout = terms.receiver.chain_payout;
    for terms in others {
        let channel = Channel::new(terms, pair.channel.funding).unwrap();
        let close = channel.close_template(pair.script()).unwrap();
        assert!(matches!(update.verify(&channel, &[&close]), Err(ChannelError::OtherChannel { .. })));
        let renamed = ChannelUpdate { channel_id: channel.id, ..update };
        assert!(renamed.verify(&channel, &[&close]).is_err());
    }
}

#[test]
fn an_ark_signature_may_fit_any_known_checkpoint_script() {
    let pair = pair();
    let other = pair.channel.close_template(pair.other_script()).unwrap();
    let update = pair.update(0, 5_000);
    assert_eq!(update.verify(&pair.channel, &[&other, &pair.close]), Ok(1));
    assert_eq!(update.verify(&pair.channel, &[&pair.close, &other]), Ok(0));
    assert_eq!(update.verify(&pair.channel, &[&other]).map(|_| 0), ark(&pair));
    assert_eq!(update.verify(&pair.channel, &[]).map(|_| 0), ark(&pair));
}

/// The exit update that the receiver would broadcast carries both signatures, each valid over it.
#[test]
fn the_exit_transaction_is_completely_signed() {
    for unit in [Unit::Seconds, Unit::Blocks] {
        let pair = Pair::new(63, unit, 100_000);
        let tx = pair.update(0, 40_000).exit_transaction(&pair.channel, &pair.receiver).unwrap();
        assert_eq!(tx.version.0, 3);
        assert_eq!(tx.input[0].sequence, pair.channel.terms.d1.sequence());
        let leaf = pair.channel.update_leaf().unwrap();
        let witness = &tx.input[0].witness;
        assert_eq!(witness.len(), 4);
        assert_eq!(&witness[2], leaf.script.as_bytes());
        let message = psbt::sighash(&tx, 0, &[pair.channel.prevout()], &leaf).unwrap();
        let keys = [pair.channel.terms.receiver.key, pair.channel.terms.payer.key];
        for (key, signature) in keys.iter().zip([&witness[0], &witness[1]]) {
            assert!(psbt::verify(&message, key, &Signature::from_slice(signature).unwrap()));
        }
    }
}
