//! What the payer signs once.

use bitcoin::secp256k1::schnorr::Signature;
use virtual_channels::channel::{Authorisation, AuthorisationPolicy, Channel, ChannelError, ChannelTerms, Unit, psbt};

use crate::pair::{Pair, outpoint, rng};

const UNITS: [Unit; 2] = [Unit::Seconds, Unit::Blocks];

fn flips(signature: Signature) -> impl Iterator<Item = Signature> {
    let bytes: [u8; 64] = *signature.as_ref();
    (0..512).map(move |bit| {
        let mut bytes = bytes;
        bytes[bit / 8] ^= 1 << (bit % 8);
        Signature::from_slice(&bytes).unwrap()
    })
}

const CHECKPOINT: Result<(), ChannelError> =
    Err(ChannelError::InvalidSignature { what: "authorisation: checkpoint signature" });
const PROOF: Result<(), ChannelError> = Err(ChannelError::InvalidSignature { what: "intent proof" });

#[test]
fn every_input_of_each_proof_flipped() {
    let pair = Pair::new(71, Unit::Seconds, 100_000);
    let good = pair.authorisation();
    let verify = |authorisation: &Authorisation| authorisation.verify(&pair.channel, &pair.close);
    verify(&good).unwrap();
    for checkpoint in flips(good.checkpoint.unwrap()) {
        assert_eq!(verify(&Authorisation { checkpoint: Some(checkpoint), ..good }), CHECKPOINT);
    }
    for input in [0, 1] {
        for signature in flips(good.pending[input]) {
            let mut pending = good.pending;
            pending[input] = signature;
            assert_eq!(verify(&Authorisation { pending, ..good }), PROOF);
        }
        for signature in flips(good.delete[input]) {
            let mut delete = good.delete;
            delete[input] = signature;
            assert_eq!(verify(&Authorisation { delete, ..good }), PROOF);
        }
    }
}

#[test]
fn signatures_in_each_others_place() {
    for unit in UNITS {
        let pair = Pair::new(72, unit, 100_000);
        let good = pair.authorisation();
        let verify = |authorisation: Authorisation| authorisation.verify(&pair.channel, &pair.close);
        let [first, second] = good.pending;
        assert_eq!(verify(Authorisation { pending: [second, first], ..good }), PROOF);
        assert_eq!(verify(Authorisation { pending: [first, first], ..good }), PROOF);
        assert_eq!(verify(Authorisation { pending: good.delete, ..good }), PROOF);
        assert_eq!(verify(Authorisation { delete: good.pending, ..good }), PROOF);
        assert_eq!(verify(Authorisation { checkpoint: Some(first), ..good }), CHECKPOINT);
        assert_eq!(verify(Authorisation { pending: [good.checkpoint.unwrap(), second], ..good }), PROOF);
    }
}

#[test]
fn authorisation_for_another_checkpoint_script() {
    for unit in UNITS {
        let pair = Pair::new(73, unit, 100_000);
        let other = Authorisation::sign(&pair.channel, pair.other_script(), &pair.payer).unwrap();
        let unknown = Err(ChannelError::UnknownCheckpointScript { channel_id: pair.channel.id });
        assert_eq!(other.verify(&pair.channel, &pair.close), unknown);
        // Renamed it is a signature over another checkpoint.
        assert_eq!(Authorisation { script: pair.script(), ..other }.verify(&pair.channel, &pair.close), CHECKPOINT);
        let close = pair.channel.close_template(pair.other_script()).unwrap();
        other.verify(&pair.channel, &close).unwrap();
    }
}

#[test]
fn authorisation_by_another_key_or_for_another_channel() {
    for unit in UNITS {
        let pair = Pair::new(74, unit, 100_000);
        for key in [&pair.receiver, &pair.operator] {
            let other = Authorisation::sign(&pair.channel, pair.script(), key).unwrap();
            assert_eq!(other.verify(&pair.channel, &pair.close), CHECKPOINT);
        }
        let mut twin = pair.clone();
        let funding = outpoint(&mut rng(5));
        twin.channel = virtual_channels::channel::Channel::new(pair.channel.terms, funding).unwrap();
        assert_eq!(twin.authorisation().verify(&pair.channel, &pair.close), CHECKPOINT);
        // Each part is bound to the outpoint, the proofs too.
        let (good, foreign) = (pair.authorisation(), twin.authorisation());
        let mixed = Authorisation { pending: foreign.pending, ..good };
        assert_eq!(mixed.verify(&pair.channel, &pair.close), PROOF);
        let mixed = Authorisation { delete: foreign.delete, ..good };
        assert_eq!(mixed.verify(&pair.channel, &pair.close), PROOF);
    }
}

/// Without the checkpoint only where the terms say so; with it always, and then it must be right.
#[test]
fn the_checkpoint_is_kept_until_the_close_where_the_terms_say_so() {
    for unit in UNITS {
        let pair = Pair::new(77, unit, 100_000);
        let without = Authorisation { checkpoint: None, ..pair.authorisation() };
        let missing = Err(ChannelError::MissingAuthorisation { channel_id: pair.channel.id });
        assert_eq!(without.verify(&pair.channel, &pair.close), missing);

        let terms = ChannelTerms { authorisation: AuthorisationPolicy::OnClose, ..pair.channel.terms };
        let channel = Channel::new(terms, pair.channel.funding).unwrap();
        assert_ne!(channel.id, pair.channel.id, "the policy is part of what both sides agree on");
        assert_eq!(ChannelTerms::from_canonical(&terms.canonical()).unwrap(), terms);
        let kept = Authorisation::sign(&channel, pair.script(), &pair.payer).unwrap();
        assert_eq!(kept.checkpoint, None);
        kept.verify(&channel, &pair.close).unwrap();
        assert_eq!(Authorisation::from_bytes(&kept.to_bytes()).unwrap(), kept);
        let granted = Authorisation::grant(&channel, pair.script(), &pair.payer).unwrap();
        granted.verify(&channel, &pair.close).unwrap();
        let wrong = Authorisation { checkpoint: Some(granted.pending[0]), ..granted };
        assert_eq!(wrong.verify(&channel, &pair.close), CHECKPOINT);
        let wrong = Authorisation { delete: granted.pending, ..kept };
        assert_eq!(wrong.verify(&channel, &pair.close), PROOF);
    }
}

#[test]
fn the_pending_proof_never_expires_and_the_delete_proof_with_the_locktime() {
    for unit in UNITS {
        let pair = Pair::new(75, unit, 100_000);
        let authorisation = pair.authorisation();
        let pending = authorisation.pending_proof(&pair.channel, &pair.receiver).unwrap();
        assert_eq!(pending.message(), r#"{"type":"get-pending-tx","expire_at":0}"#);
        let delete = authorisation.delete_proof(&pair.channel, &pair.receiver).unwrap();
        let until = match unit {
            Unit::Seconds => pair.channel.terms.locktime.to_consensus_u32(),
            Unit::Blocks => 0,
        };
        assert_eq!(delete.message(), format!(r#"{{"type":"delete","expire_at":{until}}}"#));
        // Both carry payer's and receiver's valid signatures on both inputs, and nobody else's.
        let terms = &pair.channel.terms;
        for intent in [pending, delete] {
            assert_eq!(intent.input_count(), 2);
            for (index, input) in intent.proof().inputs.iter().enumerate() {
                assert_eq!(input.tap_script_sigs.len(), 2);
                for ((key, _), signature) in &input.tap_script_sigs {
                    assert!([terms.payer.key, terms.receiver.key].contains(key));
                    let message = intent.sighash(index).unwrap();
                    assert_eq!(signature.sighash_type, bitcoin::TapSighashType::Default);
                    assert!(psbt::verify(&message, key, &signature.signature));
                }
            }
        }
    }
}

/// The payer's signatures alone are worth nothing: the forfeit leaf asks for three keys.
#[test]
fn the_forfeit_leaf_needs_all_three() {
    let pair = Pair::new(76, Unit::Seconds, 100_000);
    let leaf = &pair.close.checkpoint.vtxo_leaf;
    let terms = &pair.channel.terms;
    let keys = [terms.payer.key, terms.receiver.key, terms.operator];
    assert_eq!(leaf.script, virtual_channels::channel::script::multisig(&keys));
    assert_eq!(pair.close.checkpoint.leaf.script, leaf.script);
}
