//! Recorded streams, played to a session from beginning to end.

use std::collections::HashMap;

use prost::Message;
use serde_json::Value;

use super::BatchOutcome;
use super::session::{Party, Session, Step};
use super::tests::{Recorded, cosigner_names};
use crate::operator::error::{OperatorError, Phase};
use crate::operator::events::Event;
use crate::operator::recorded::{UNITS, keypair, load};
use crate::operator::{recorded, wire};

/// Plays a recorded stream to a session, with our own fresh nonces in the place of the recorded ones.
fn replay(
    file: &Value,
    events: &str,
    side: usize,
    spoil: &mut dyn FnMut(usize, Event) -> Option<Event>,
) -> Result<Option<BatchOutcome>, OperatorError> {
    let batch = Recorded::new(file, events);
    let names = cosigner_names(events);
    let own = keypair(&file["keys"][&names[side]]);
    let others = [keypair(&file["keys"][&names[1 - side]]).public_key()];
    let party = Party { cosigner: &own, others: &others, leaves: vec![batch.leaf.clone()], onchain: Vec::new() };
    let mut session = None;
    let mut nonces = HashMap::new();
    let mut outcome = None;
    let mut signed = 0;
    for (index, event) in recorded::frames(file, events).into_iter().enumerate() {
        let Some(mut event) = spoil(index, event) else { continue };
        if let Event::BatchStarted(event) = &event {
            session = Some(Session::new(batch.info.forfeit_key, &party, event)?);
        }
        if let Event::TreeNonces(event) = &mut event
            && let Some(nonce) = nonces.get(&event.txid)
        {
            event.nonces.insert(own.x_only_public_key().0.to_string(), String::clone(nonce));
        }
        let Some(session) = &mut session else { continue };
        match session.take(event)? {
            Step::Nonces(request) => {
                assert!(nonces.is_empty(), "nonces are sent once");
                nonces = request.tree_nonces;
            }
            Step::Signatures(request) => {
                assert_eq!(request.tree_signatures.len(), nonces.len());
                signed += 1;
                assert_eq!(signed, 1, "signatures are sent once");
            }
            Step::Ready(ready) => outcome = Some(ready.outcome),
            Step::Finalized => {
                assert!(outcome.is_some());
                return Ok(outcome);
            }
            Step::On | Step::Ours => {}
        }
    }
    Ok(None)
}

#[test]
fn recorded_sessions_end_with_the_same_branch_on_both_sides() {
    for unit in UNITS {
        for (name, prefix) in [("life", ""), ("batch", "many.")] {
            let file = load(&format!("{name}-{unit}"));
            let outcomes = ["payer", "receiver"].iter().enumerate().map(|(side, name)| {
                replay(&file, &format!("{prefix}events.{name}"), side, &mut |_, event| Some(event)).unwrap().unwrap()
            });
            let outcomes: Vec<_> = outcomes.collect();
            assert_eq!(outcomes[0], outcomes[1]);
        }
    }
}

#[test]
fn a_failed_batch_is_told_with_its_reason() {
    let file = load("batch-blocks");
    let failed = replay(&file, "unsigned1.events.payer", 0, &mut |_, event| Some(event)).unwrap_err();
    let OperatorError::BatchFailed { reason, phase } = failed else { panic!("{failed}") };
    assert!(reason.contains("SIGNING_SESSION_TIMED_OUT"), "{reason}");
    assert_eq!(phase, Phase::Signing);
}

/// Any event lost, doubled or changed: never an outcome other than the agreed one, never a panic.
#[test]
fn no_change_in_a_stream_leads_to_another_outcome() {
    let file = load("life-seconds");
    let good = replay(&file, "events.payer", 0, &mut |_, event| Some(event)).unwrap().unwrap();
    let frames: Vec<Vec<u8>> = file["events.payer.frames"].as_array().unwrap().iter().map(recorded::base64).collect();
    let mut done = 0;
    for (index, frame) in frames.iter().enumerate() {
        let lost = replay(&file, "events.payer", 0, &mut |at, event| (at != index).then_some(event));
        assert!(lost.is_err() || lost.as_ref().is_ok_and(|outcome| outcome.as_ref().is_none_or(|o| *o == good)));
        for bit in (0..frame.len() * 8).step_by(23) {
            let mut bytes = frame.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(wire::GetEventStreamResponse { event: Some(changed) }) =
                wire::GetEventStreamResponse::decode(&*bytes)
            else {
                continue;
            };
            let mut changed = Some(changed);
            let result = replay(&file, "events.payer", 0, &mut |at, event| match at == index {
                true => changed.take(),
                false => Some(event),
            });
            if let Ok(Some(outcome)) = result {
                // Without the batch's own name, which is only a name.
                assert_eq!(BatchOutcome { batch_id: good.batch_id.clone(), ..outcome }, good, "{index} {bit}");
            }
            done += 1;
        }
    }
    assert!(done > 300, "{done}");
}

#[test]
fn another_commitment_at_the_end_is_refused() {
    let file = load("life-blocks");
    let other = load("batch-blocks");
    let commitment = recorded::frames(&other, "many.events.payer").into_iter().find_map(|event| match event {
        Event::BatchFinalization(event) => Some(event.commitment_tx),
        _ => None,
    });
    let result = replay(&file, "events.payer", 0, &mut |_, event| match event {
        Event::BatchFinalization(event) => {
            let commitment_tx = commitment.clone().unwrap();
            Some(Event::BatchFinalization(wire::BatchFinalizationEvent { commitment_tx, ..event }))
        }
        event => Some(event),
    });
    assert!(matches!(result, Err(OperatorError::TreeRefused { .. })));
}

#[test]
fn a_missing_signature_at_the_end_is_refused() {
    let file = load("batch-seconds");
    let result = replay(&file, "many.events.receiver", 1, &mut |_, event| match event {
        Event::TreeSignature(_) => None,
        event => Some(event),
    });
    assert!(matches!(result, Err(OperatorError::TreeRefused { .. })));
}
