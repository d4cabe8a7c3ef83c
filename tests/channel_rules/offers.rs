//! Invite, offer, accept.

use bitcoin::{Amount, ScriptBuf};
use virtual_channels::channel::message::Funding;
use virtual_channels::channel::{
    Accept, ChannelError, ChannelTerms, Delay, Invite, Network, Offer, Payout, Receipt, Unit, time,
};

use crate::messages::{self, now};
use crate::pair::{self, NOW, Pair, sats};

const UNITS: [Unit; 2] = [Unit::Seconds, Unit::Blocks];

fn all() -> impl Iterator<Item = (Pair, Invite, Offer)> {
    UNITS.into_iter().map(|unit| {
        let pair = Pair::new(31, unit, 100_000);
        let invite = messages::invite(&pair);
        let offer = messages::offer(&pair, &invite, 2);
        (pair, invite, offer)
    })
}

/// What both sides say to changed terms: the operator's rules, then the invite's.
fn checked(pair: &Pair, invite: &Invite, terms: &ChannelTerms) -> Result<(), ChannelError> {
    let unit = pair.channel.terms.unit();
    terms.check(&pair.info, NOW)?;
    let offer = Offer { terms: *terms, ..messages::offer(pair, invite, 1) };
    offer.check_invite(invite, now(unit))
}

#[test]
fn a_good_offer_passes() {
    for (pair, invite, offer) in all() {
        checked(&pair, &invite, &offer.terms).unwrap();
        invite.check_expiry(NOW).unwrap();
        Accept::sign(offer.id(), NOW + 120, &pair.receiver).check(&offer, NOW).unwrap();
    }
}

#[test]
fn wrong_network() {
    for (pair, invite, offer) in all() {
        let terms = ChannelTerms { network: Network::Signet, ..offer.terms };
        let error = ChannelError::WrongNetwork { expected: Network::Regtest, got: Network::Signet };
        assert_eq!(terms.check(&pair.info, NOW), Err(error.clone()));
        assert_eq!(invite.check_terms(&terms, now(terms.unit())), Err(error));
    }
}

#[test]
fn wrong_operator_key() {
    for (pair, invite, offer) in all() {
        let got = pair::keypair(&mut pair::rng(1)).x_only_public_key().0;
        let terms = ChannelTerms { operator: got, ..offer.terms };
        let error = ChannelError::WrongOperator { expected: pair.info.signer.into(), got: got.into() };
        assert_eq!(terms.check(&pair.info, NOW), Err(error.clone()));
        assert_eq!(invite.check_terms(&terms, now(terms.unit())), Err(error));
    }
}

#[test]
fn capacity_below_and_above_bounds() {
    for (pair, invite, offer) in all() {
        let bounds = &invite.bounds;
        let (min, max) = (bounds.min_capacity, bounds.max_capacity);
        for (capacity, fits) in
            [(min, true), (max, true), (min - Amount::ONE_SAT, false), (max + Amount::ONE_SAT, false)]
        {
            let result = checked(&pair, &invite, &ChannelTerms { capacity, ..offer.terms });
            let refused = Err(ChannelError::CapacityOutOfBounds { capacity, min, max });
            assert_eq!(result, if fits { Ok(()) } else { refused });
        }
    }
}

#[test]
fn sub_dust_and_zero_capacity() {
    for (mut pair, invite, offer) in all() {
        for capacity in [0, 1, 329] {
            let terms = ChannelTerms { capacity: sats(capacity), ..offer.terms };
            let (min, max) = (sats(330), Amount::MAX_MONEY);
            let error = ChannelError::CapacityOutOfBounds { capacity: sats(capacity), min, max };
            assert_eq!(terms.check(&pair.info, NOW), Err(error));
        }
        ChannelTerms { capacity: sats(330), ..offer.terms }.check(&pair.info, NOW).unwrap();
        // Below the chain's dust nothing is possible, whatever the operator says.
        (pair.info.dust, pair.info.vtxo_min) = (sats(1), sats(1));
        let (min, max) = (sats(330), Amount::MAX_MONEY);
        let error = ChannelError::CapacityOutOfBounds { capacity: sats(329), min, max };
        assert_eq!(ChannelTerms { capacity: sats(329), ..offer.terms }.check(&pair.info, NOW), Err(error));
        // The operator's own limits.
        (pair.info.vtxo_min, pair.info.vtxo_max) = (sats(5_000), Some(sats(60_000)));
        for capacity in [4_999, 60_001, u64::MAX] {
            let terms = ChannelTerms { capacity: sats(capacity), ..offer.terms };
            let (min, max) = (sats(5_000), sats(60_000));
            let error = ChannelError::CapacityOutOfBounds { capacity: sats(capacity), min, max };
            assert_eq!(terms.check(&pair.info, NOW), Err(error));
        }
        let _ = invite;
    }
}

#[test]
fn locktime_too_near_and_too_far() {
    for (pair, invite, offer) in all() {
        let unit = offer.terms.unit();
        let (min, max) = (invite.bounds.min_lifetime, invite.bounds.max_lifetime);
        for (ahead, fits) in [(min, true), (max, true), (min - 1, false), (max + 1, false)] {
            let locktime = time::locktime(unit, now(unit) + ahead).unwrap();
            let result = checked(&pair, &invite, &ChannelTerms { locktime, ..offer.terms });
            let refused = Err(ChannelError::LocktimeOutOfBounds { ahead, min, max });
            assert_eq!(result, if fits { Ok(()) } else { refused });
        }
        // In the past.
        let locktime = time::locktime(unit, now(unit) - 1).unwrap();
        let result = checked(&pair, &invite, &ChannelTerms { locktime, ..offer.terms });
        assert_eq!(result, Err(ChannelError::LocktimeOutOfBounds { ahead: 0, min, max }));
    }
}

#[test]
fn d1_below_the_operators_exit_delay() {
    for (pair, invite, offer) in all() {
        let minimum = pair.info.unilateral_exit_delay.value();
        let step = if offer.terms.unit() == Unit::Seconds { 512 } else { 1 };
        let d1 = Delay::at_least(offer.terms.unit(), minimum - step).unwrap();
        let result = checked(&pair, &invite, &ChannelTerms { d1, ..offer.terms });
        assert_eq!(result, Err(ChannelError::DelayTooShort { delay: minimum - step, minimum }));
    }
}

#[test]
fn d1_outside_what_the_invite_takes() {
    for (mut pair, mut invite, offer) in all() {
        let unit = offer.terms.unit();
        let d1 = offer.terms.d1.value();
        invite.bounds.min_d1 = Delay::at_least(unit, d1 + 1).unwrap();
        let minimum = invite.bounds.min_d1.value();
        assert_eq!(
            invite.check_terms(&offer.terms, now(unit)),
            Err(ChannelError::DelayTooShort { delay: d1, minimum })
        );
        let invite = messages::invite(&pair);
        let maximum = invite.bounds.max_d1.value();
        let longer = Delay::at_least(unit, maximum + 1).unwrap();
        let terms = ChannelTerms { d1: longer, d2: Delay::at_least(unit, 3 * longer.value()).unwrap(), ..offer.terms };
        pair.info.unilateral_exit_delay = offer.terms.d1;
        let refused = Err(ChannelError::DelayTooLong { delay: longer.value(), maximum });
        assert_eq!(checked(&pair, &invite, &terms), refused);
    }
}

#[test]
fn d1_not_shorter_than_d2() {
    for (pair, invite, offer) in all() {
        let (d1, d2) = (offer.terms.d1, offer.terms.d2);
        for (first, second) in [(d1, d1), (d2, d1)] {
            let result = checked(&pair, &invite, &ChannelTerms { d1: first, d2: second, ..offer.terms });
            assert_eq!(result, Err(ChannelError::DelayOrder { d1: first.value(), d2: second.value() }));
        }
    }
}

#[test]
fn less_time_between_d1_and_d2_than_the_invite_asks() {
    for (pair, mut invite, offer) in all() {
        let (d1, d2) = (offer.terms.d1.value(), offer.terms.d2.value());
        invite.bounds.min_gap = d2 - d1;
        checked(&pair, &invite, &offer.terms).unwrap();
        invite.bounds.min_gap += 1;
        let result = checked(&pair, &invite, &offer.terms);
        assert_eq!(result, Err(ChannelError::DelayTooShort { delay: d2, minimum: d2 + 1 }));
        invite.bounds.min_gap = u64::MAX;
        let result = checked(&pair, &invite, &offer.terms);
        assert_eq!(result, Err(ChannelError::DelayTooShort { delay: d2, minimum: u64::MAX }));
    }
}

#[test]
fn unit_mix_of_blocks_and_seconds() {
    for (pair, invite, offer) in all() {
        let terms = offer.terms;
        let other = if terms.unit() == Unit::Seconds { Unit::Blocks } else { Unit::Seconds };
        let delay = Delay::at_least(other, 30_000).unwrap();
        let locktime = time::locktime(other, if other == Unit::Blocks { 900_000 } else { NOW + 500_000 }).unwrap();
        for terms in [
            ChannelTerms { d1: delay, ..terms },
            ChannelTerms { d2: delay, ..terms },
            ChannelTerms { locktime, ..terms },
            ChannelTerms { locktime, d1: delay, d2: Delay::at_least(other, 60_000).unwrap(), ..terms },
        ] {
            assert_eq!(terms.check(&pair.info, NOW), Err(ChannelError::UnitMix));
        }
        let terms = ChannelTerms { d1: delay, ..terms };
        assert_eq!(invite.check_terms(&terms, now(offer.terms.unit())), Err(ChannelError::UnitMix));
    }
}

#[test]
fn csv_not_a_multiple_of_512_seconds() {
    for seconds in [0, 1, 511, 513, 86_400, 65_536 * 512] {
        assert_eq!(Delay::seconds(seconds), Err(ChannelError::InvalidDelay { value: seconds.into() }));
    }
    assert_eq!(Delay::from_arkd(86_400), Err(ChannelError::InvalidDelay { value: 86_400 }));
    assert_eq!(Delay::blocks(0), Err(ChannelError::InvalidDelay { value: 0 }));
    // In a message a delay is a sequence number: bits that BIP68 ignores are refused there.
    for sequence in [0u32, 1 << 31, 1 << 22, u32::MAX, 1 << 22 | 1 << 16 | 5] {
        let error = ChannelError::InvalidDelay { value: sequence.into() };
        assert_eq!(Delay::from_sequence(bitcoin::Sequence(sequence)), Err(error));
    }
}

#[test]
fn equal_keys() {
    for (pair, invite, offer) in all() {
        let terms = offer.terms;
        let with = |payer, receiver, operator| {
            let mut terms = terms;
            (terms.payer.key, terms.receiver.key, terms.operator) = (payer, receiver, operator);
            terms
        };
        let (payer, receiver, operator) = (terms.payer.key, terms.receiver.key, terms.operator);
        for terms in [with(payer, payer, operator), with(operator, receiver, operator), with(payer, operator, operator)]
        {
            assert_eq!(terms.check(&pair.info, NOW), Err(ChannelError::EqualKeys));
        }
        let offer = Offer { cosigner: invite.cosigner, ..offer };
        assert_eq!(offer.check_invite(&invite, now(terms.unit())), Err(ChannelError::EqualKeys));
    }
}

#[test]
fn expired_invite() {
    for (_, invite, _) in all() {
        invite.check_expiry(invite.expires_at - 1).unwrap();
        for now in [invite.expires_at, invite.expires_at + 1, u64::MAX] {
            let error = ChannelError::InviteExpired { expired_at: invite.expires_at, now };
            assert_eq!(invite.check_expiry(now), Err(error));
        }
    }
}

#[test]
fn offer_for_another_invite() {
    for (_, invite, offer) in all() {
        let moment = now(offer.terms.unit());
        let changed = Invite { expires_at: invite.expires_at + 1, ..invite.clone() };
        assert_eq!(offer.check_invite(&changed, moment), Err(ChannelError::OtherInvite));
        for bit in 0..256 {
            let mut offer = offer.clone();
            offer.invite_id[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(offer.check_invite(&invite, moment), Err(ChannelError::OtherInvite));
        }
    }
}

#[test]
fn offer_that_changes_the_receivers_side() {
    let what = "the receiver's key or payout scripts";
    for (_, invite, offer) in all() {
        let moment = now(offer.terms.unit());
        let payer = offer.terms.payer;
        let mut others = [offer.terms.receiver; 3];
        others[0].key = payer.key;
        others[1].ark_payout = payer.ark_payout;
        others[2].chain_payout = payer.chain_payout;
        for receiver in others {
            let terms = ChannelTerms { receiver, ..offer.terms };
            let offer = Offer { terms, ..offer.clone() };
            assert_eq!(offer.check_invite(&invite, moment), Err(ChannelError::OfferMismatch { what }));
        }
    }
}

#[test]
fn funding_kind_that_the_invite_does_not_take() {
    for (pair, mut invite, _) in all() {
        let moment = now(pair.channel.terms.unit());
        invite.bounds.batch_funding = false;
        let offer = messages::offer(&pair, &invite, 1);
        let kind = "in a batch";
        assert_eq!(offer.check_invite(&invite, moment), Err(ChannelError::FundingKindRefused { kind }));
        let offchain = Offer { funding: Funding::Offchain { outpoint: pair.channel.funding }, ..offer };
        offchain.check_invite(&invite, moment).unwrap();
        invite.bounds.offchain_funding = false;
        let offchain = Offer { invite_id: invite.id(), ..offchain };
        let kind = "off chain";
        assert_eq!(offchain.check_invite(&invite, moment), Err(ChannelError::FundingKindRefused { kind }));
    }
}

#[test]
fn accept_signature_wrong() {
    let wrong = Err(ChannelError::InvalidSignature { what: "accept signature" });
    for (pair, _, offer) in all() {
        let accept = Accept::sign(offer.id(), NOW + 120, &pair.receiver);
        for other in [&pair.payer, &pair.operator, &pair.forfeit] {
            assert_eq!(Accept::sign(offer.id(), NOW + 120, other).check(&offer, NOW), wrong);
        }
        // The moment is signed, too.
        let longer = Accept { valid_until: NOW + 121, ..accept.clone() };
        assert_eq!(longer.check(&offer, NOW), wrong);
        for bit in 0..512 {
            let mut signature: [u8; 64] = *accept.signature.as_ref();
            signature[bit / 8] ^= 1 << (bit % 8);
            let signature = bitcoin::secp256k1::schnorr::Signature::from_slice(&signature).unwrap();
            assert_eq!(Accept { signature, ..accept.clone() }.check(&offer, NOW), wrong);
        }
        // Signatures of one kind are none of another.
        let receipt = Receipt::sign(pair.channel.id, sats(1), offer.id(), &pair.receiver);
        assert_eq!(Accept { signature: receipt.signature, ..accept }.check(&offer, NOW), wrong);
    }
}

#[test]
fn accept_for_another_offer_or_too_late() {
    for (pair, _, offer) in all() {
        let accept = Accept::sign(offer.id(), NOW + 120, &pair.receiver);
        let mut other = offer.clone();
        other.terms.capacity += Amount::ONE_SAT;
        assert_eq!(accept.check(&other, NOW), Err(ChannelError::OtherOffer));
        let (valid_until, now) = (NOW + 120, NOW + 120);
        accept.check(&offer, now - 1).unwrap();
        assert_eq!(accept.check(&offer, now), Err(ChannelError::AcceptExpired { valid_until, now }));
    }
}

#[test]
fn payout_script_not_p2tr_or_with_an_invalid_key() {
    let key = [2u8; 32];
    let script = |bytes: &[&[u8]]| ScriptBuf::from_bytes(bytes.concat());
    let off_curve = [0xffu8; 32];
    let refused = [
        script(&[&[]]),
        script(&[&[0x51, 0x20], &off_curve]),
        script(&[&[0x51, 0x20], &[0; 32]]),
        script(&[&[0x51, 0x20], &key[..31]]),
        script(&[&[0x51, 0x20], &key, &[0x51]]),
        script(&[&[0x51, 0x21, 0x02], &key]),
        script(&[&[0x00, 0x20], &key]),
        script(&[&[0x00, 0x14], &key[..20]]),
        script(&[&[0x52, 0x20], &key]),
        script(&[&[0x51, 0x02, 0x4e, 0x73]]),
        script(&[&[0x6a, 0x20], &key]),
        script(&[&[0x76, 0xa9, 0x14], &key[..20], &[0x88, 0xac]]),
    ];
    for script in refused {
        let error = ChannelError::InvalidPayout { script: script.to_hex_string() };
        assert_eq!(Payout::from_script(&script), Err(error));
    }
    for (pair, ..) in all() {
        let payout = pair.channel.terms.payer.ark_payout;
        assert_eq!(Payout::from_script(&payout.script()), Ok(payout));
    }
}

#[test]
fn receipts_are_the_receivers_word_for_one_amount_and_memo() {
    let wrong = Err(ChannelError::InvalidSignature { what: "receipt signature" });
    for (pair, ..) in all() {
        let key = pair.channel.terms.receiver.key;
        let receipt = Receipt::sign(pair.channel.id, sats(700), [7; 32], &pair.receiver);
        receipt.verify(&key).unwrap();
        assert_eq!(receipt.verify(&pair.channel.terms.payer.key), wrong);
        assert_eq!(Receipt { amount: sats(701), ..receipt.clone() }.verify(&key), wrong);
        assert_eq!(Receipt { memo_hash: [8; 32], ..receipt.clone() }.verify(&key), wrong);
        let mut channel_id = receipt.channel_id;
        channel_id.0[0] ^= 1;
        assert_eq!(Receipt { channel_id, ..receipt }.verify(&key), wrong);
    }
}
