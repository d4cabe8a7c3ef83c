//! Requests and grants of a close: signed as a whole, bound to the channel, worth nothing from anybody else.

use virtual_channels::channel::message::{CloseGrant, CloseRequest, Grant};
use virtual_channels::channel::{Authorisation, ChannelError, Message, Receipt, Release, Unit, psbt};

use crate::messages::{close_grant, close_request, release_grant};
use crate::pair::{NOW, Pair, outpoint, rng, sats};

const UNITS: [Unit; 2] = [Unit::Seconds, Unit::Blocks];

/// Every single bit of a message on its way, behind the checksum of its text.
fn flipped(message: Message) -> impl Iterator<Item = Message> {
    let bytes = message.to_bytes();
    (8..bytes.len() * 8).filter_map(move |bit| {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        Message::from_bytes(&changed).ok().filter(|read| read.to_bytes() != bytes)
    })
}

#[test]
fn every_bit_of_a_request() {
    for unit in UNITS {
        let pair = Pair::new(81, unit, 100_000);
        let receiver = pair.channel.terms.receiver.key;
        for good in [close_request(&pair, 0), close_request(&pair, 5_000)] {
            good.check(&receiver, NOW).unwrap();
            let mut seen = 0;
            for message in flipped(Message::CloseRequest(Box::new(good))) {
                let Message::CloseRequest(request) = message else { panic!("another kind") };
                assert!(request.check(&receiver, NOW).is_err(), "{request:?}");
                seen += 1;
            }
            assert!(seen > 500, "{seen}");
        }
    }
}

#[test]
fn every_bit_of_a_grant() {
    for unit in UNITS {
        let pair = Pair::new(82, unit, 100_000);
        let terms = &pair.channel.terms;
        for (good, key) in [(close_grant(&pair), terms.payer.key), (release_grant(&pair), terms.receiver.key)] {
            good.check(&key).unwrap();
            let mut seen = 0;
            for message in flipped(Message::CloseGrant(Box::new(good))) {
                let Message::CloseGrant(grant) = message else { panic!("another kind") };
                assert!(grant.check(&key).is_err(), "{grant:?}");
                seen += 1;
            }
            assert!(seen > 1_000, "{seen}");
        }
    }
}

#[test]
fn by_another_key() {
    let pair = Pair::new(83, Unit::Seconds, 100_000);
    let terms = &pair.channel.terms;
    let request = Err(ChannelError::InvalidSignature { what: "close request signature" });
    for key in [terms.payer.key, terms.operator] {
        assert_eq!(close_request(&pair, 5_000).check(&key, NOW), request);
    }
    let grant = Err(ChannelError::InvalidSignature { what: "close grant signature" });
    assert_eq!(close_grant(&pair).check(&terms.receiver.key), grant);
    assert_eq!(release_grant(&pair).check(&terms.payer.key), grant);
}

#[test]
fn a_request_ends() {
    let pair = Pair::new(84, Unit::Seconds, 100_000);
    let request = close_request(&pair, 5_000);
    let key = pair.channel.terms.receiver.key;
    request.check(&key, request.expires_at - 1).unwrap();
    let ended = ChannelError::CloseRequestExpired { expires_at: request.expires_at, now: request.expires_at };
    assert_eq!(request.check(&key, request.expires_at), Err(ended));
}

/// A signature under something else is none under this.
#[test]
fn tags_of_their_own() {
    let pair = Pair::new(85, Unit::Seconds, 100_000);
    let receiver = pair.channel.terms.receiver.key;
    let receipt = Receipt::sign(pair.channel.id, sats(5_000), [0; 32], &pair.receiver).signature;
    let (request, grant) = (close_request(&pair, 5_000), release_grant(&pair));
    for signature in [receipt, grant.signature] {
        assert!(CloseRequest { signature, ..request.clone() }.check(&receiver, NOW).is_err());
    }
    for signature in [receipt, request.signature] {
        assert!(CloseGrant { signature, ..grant.clone() }.check(&receiver).is_err());
    }
}

/// What is granted is bound to the outpoint, whoever signs around it.
#[test]
fn parts_of_another_channel() {
    for unit in UNITS {
        let pair = Pair::new(86, unit, 100_000);
        let mut twin = pair.clone();
        let funding = outpoint(&mut rng(6));
        twin.channel = virtual_channels::channel::Channel::new(pair.channel.terms, funding).unwrap();
        let Grant::Release(foreign) = release_grant(&twin).grant else { panic!("a release") };
        assert!(foreign.verify(&pair.channel).is_err());
        let Grant::Release(good) = release_grant(&pair).grant else { panic!("a release") };
        good.verify(&pair.channel).unwrap();
        for wrong in [
            Release { checkpoint: foreign.checkpoint, ..good },
            Release { ark: foreign.ark, ..good },
            Release { pending: foreign.pending, ..good },
            Release { pending: [good.pending[1], good.pending[0]], ..good },
            Release { checkpoint: good.ark, ark: good.checkpoint, ..good },
            Release { script: pair.other_script(), ..good },
        ] {
            assert!(matches!(wrong.verify(&pair.channel), Err(ChannelError::InvalidSignature { .. })));
        }
        // The payer cannot release to itself.
        let own = Release::sign(&pair.channel, pair.script(), &pair.payer).unwrap();
        assert!(own.verify(&pair.channel).is_err());
    }
}

/// A release pays the whole capacity to the payer's own script, over the forfeit leaf, and nothing else.
#[test]
fn what_a_release_signs() {
    for unit in UNITS {
        let pair = Pair::new(87, unit, 100_000);
        let terms = &pair.channel.terms;
        let tx = pair.channel.release(&pair.script()).unwrap();
        let [back, anchor] = tx.ark.output.as_slice() else { panic!("{:?}", tx.ark.output) };
        assert_eq!((back.value, &back.script_pubkey), (terms.capacity, &terms.payer.ark_payout.script()));
        assert_eq!(*anchor, virtual_channels::channel::offchain::anchor());
        assert_eq!(tx.checkpoints.len(), 1);
        assert_eq!(tx.checkpoint(0).unwrap().tx, pair.close.checkpoint.tx, "the checkpoint of any close");
        let release = Release::sign(&pair.channel, pair.script(), &pair.receiver).unwrap();
        assert!(psbt::verify(&tx.ark_sighash(0).unwrap(), &terms.receiver.key, &release.ark));
        // Not good for a close at any amount.
        for amount in [0, 1, 330, 99_999, 100_000] {
            assert!(!psbt::verify(&pair.close.ark_sighash().message(sats(amount)), &terms.receiver.key, &release.ark));
        }
        let proof = release.pending_proof(&pair.channel, &pair.payer).unwrap();
        assert_eq!(proof.message(), r#"{"type":"get-pending-tx","expire_at":0}"#);
        assert!(proof.proof().inputs.iter().all(|input| input.tap_script_sigs.len() == 2));
    }
}

#[test]
fn a_grant_has_the_checkpoint_whatever_the_policy() {
    let pair = Pair::new(88, Unit::Seconds, 100_000);
    let grant = close_grant(&pair);
    let Grant::Close { update, authorisation } = grant.grant else { panic!("a close") };
    authorisation.verify(&pair.channel, &pair.close).unwrap();
    update.verify(&pair.channel, &[&pair.close]).unwrap();
    let text = grant.to_text().unwrap();
    assert!(text.starts_with("vcg") && text.len() < 2_000, "{}", text.len());
    let Grant::Close { authorisation: read, .. } = CloseGrant::parse(&text).unwrap().grant else { panic!("a close") };
    assert_eq!(read, authorisation);
    assert!(Authorisation::from_bytes(&read.to_bytes()).unwrap().checkpoint.is_some());
}
