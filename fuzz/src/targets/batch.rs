//! A batch session, both as the one whose intent it is and as a co-signer: the operator's events, in any order, with
//! anything in them.
//!
//! The recorded batch is the ground: its co-signer keys are known, so a session gets to its end. Whatever comes, nonces
//! and signatures leave once, what spends an input leaves after the branch was handed over, and the branch that is handed
//! over leads to the output that was agreed on.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::OutPoint;
use prost::Message;
use virtual_channels::channel::branch::BranchContext;
use virtual_channels::operator::{BatchObserver, BatchOutcome, InputKind, Veto, cosign, join, open_cosign_stream};

use super::Writer;
use super::batch_recorded::{Recorded, recorded};
use super::grpc::{Answer, Part, World, frame};
use super::input::Input;
use crate::wire;
use crate::wire::get_event_stream_response::Event;

/// More events than any batch has.
const MOST: usize = 40;

thread_local! {
    static WORLD: &'static World = Box::leak(Box::new(World::new(recorded().info.clone())));
}

/// What left, in its order.
#[derive(Default)]
struct Left {
    nonces: HashMap<String, String>,
    batches_with_nonces: Vec<String>,
    batches_with_signatures: Vec<String>,
    handed_over: bool,
}

type Ledger = Arc<Mutex<Left>>;

fn with<R>(ledger: &Ledger, act: impl FnOnce(&mut Left) -> R) -> R {
    act(&mut ledger.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Watches the session from inside.
struct Observer {
    ledger: Ledger,
    veto: bool,
}

impl BatchObserver for Observer {
    fn ready(&mut self, outcome: &BatchOutcome) -> Result<(), Veto> {
        check(outcome);
        with(&self.ledger, |left| left.handed_over = true);
        if self.veto { Err(Veto("enough".to_owned())) } else { Ok(()) }
    }
}

/// A branch that is handed over is the way to the agreed output.
fn check(outcome: &BatchOutcome) {
    let recorded = recorded();
    assert_eq!(outcome.commitment_txid, outcome.commitment.compute_txid());
    assert_eq!(outcome.leaves.first().map(|leaf| &leaf.output), Some(&recorded.leaf));
    let root = OutPoint::new(outcome.commitment_txid, 0);
    let commitment_outputs = HashMap::from([(root, outcome.commitment.output[0].clone())]);
    let context = BranchContext {
        commitment_outputs: &commitment_outputs,
        forfeit_key: recorded.forfeit_key,
        expiry: outcome.expiry,
    };
    for leaf in &outcome.leaves {
        leaf.branch.verify(&context, leaf.outpoint, &leaf.output).expect("a branch that leads there");
        assert!(leaf.branch.cosigned_by(&recorded.payer_cosigner.public_key()));
    }
}

pub fn run(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let how = input.byte();
    let mut events = Vec::new();
    while !input.is_empty() && events.len() < MOST {
        events.extend(event(&mut input));
    }
    let ledger = Ledger::default();
    let handler = handler(ledger.clone(), events);
    let mut observer = Observer { ledger: ledger.clone(), veto: how & 0x40 != 0 };
    let ended = WORLD.with(|world| {
        let recorded = recorded();
        if how & 1 == 0 {
            let plan = recorded.cosign_plan();
            let deadline = Instant::now() + Duration::from_secs(60);
            world.run(handler, async {
                let stream = open_cosign_stream(&world.operator, &plan).await?;
                cosign(&world.operator, stream, &plan, deadline, &mut observer).await
            })
        } else {
            let kinds = [InputKind::Vtxo, InputKind::Boarding, InputKind::Recoverable];
            let plan = recorded.plan(kinds[usize::from(how >> 1) % 3]);
            world.run(handler, join(&world.operator, &plan, &mut observer))
        }
    });
    with(&ledger, |left| {
        for batches in [&left.batches_with_nonces, &left.batches_with_signatures] {
            // A co-signer may see several batches, whose names the operator makes; within one it answers once.
            assert!(how & 1 == 0 || batches.len() <= 1, "{batches:?}");
        }
        assert!(left.batches_with_signatures.iter().all(|batch| left.batches_with_nonces.contains(batch)));
    });
    match ended {
        Some(Ok(outcome)) => {
            check(&outcome);
            assert!(with(&ledger, |left| left.handed_over));
            true
        }
        _ => false,
    }
}

/// An event as it goes over the wire, or one that needs the nonces which the client has sent by then.
enum Said {
    Bytes(Vec<u8>),
    Nonces(wire::TreeNoncesEvent),
}

/// Answers of the operator to a session. Only the first stream tells anything.
fn handler(ledger: Ledger, events: Vec<Said>) -> impl FnMut(&str, &[u8]) -> Answer + Send + 'static {
    let mut events = Some(events);
    move |call, request| match call {
        "GetEventStream" => match events.take() {
            Some(events) => Answer { parts: stream(&ledger, events), ..Answer::default() },
            None => Answer::error(13),
        },
        "RegisterIntent" => Answer::message(&wire::RegisterIntentResponse { intent_id: recorded().intent_id.clone() }),
        "SubmitTreeNonces" => {
            let request = wire::SubmitTreeNoncesRequest::decode(request).expect("a request");
            with(&ledger, |left| {
                left.batches_with_nonces.push(request.batch_id);
                left.nonces = request.tree_nonces;
            });
            Answer::messages([Vec::new()])
        }
        "SubmitTreeSignatures" => {
            let request = wire::SubmitTreeSignaturesRequest::decode(request).expect("a request");
            with(&ledger, |left| left.batches_with_signatures.push(request.batch_id));
            Answer::messages([Vec::new()])
        }
        "SubmitSignedForfeitTxs" => {
            assert!(with(&ledger, |left| left.handed_over), "forfeits leave before the branch was handed over");
            Answer::messages([Vec::new()])
        }
        _ => Answer::messages([Vec::new()]),
    }
}

fn stream(ledger: &Ledger, events: Vec<Said>) -> Vec<Part> {
    let greeting = wire_event(Event::StreamStarted(wire::StreamStartedEvent::default()));
    let said = events.into_iter().map(|event| match event {
        Said::Bytes(bytes) => Part::Bytes(frame(&bytes)),
        Said::Nonces(mut event) => {
            let ledger = ledger.clone();
            Part::Later(Box::new(move || {
                let own = with(&ledger, |left| left.nonces.get(&event.txid).cloned());
                let key = recorded().payer_cosigner.x_only_public_key().0.to_string();
                event.nonces.extend(own.map(|nonce| (key, nonce)));
                frame(&wire_event(Event::TreeNonces(event)))
            }))
        }
    });
    [Part::Bytes(frame(&greeting))].into_iter().chain(said).collect()
}

fn wire_event(event: Event) -> Vec<u8> {
    wire::GetEventStreamResponse { event: Some(event) }.encode_to_vec()
}

/// The next event of an input.
fn event(input: &mut Input<'_>) -> Option<Said> {
    let recorded: &Recorded = recorded();
    let id = recorded.batch_id.clone();
    let psbt = |bytes: &[u8]| STANDARD.encode(bytes);
    let event = match input.byte() % 10 {
        0 => return Some(Said::Bytes(input.piece().to_vec())),
        1 => {
            let batch_index = i32::from(input.byte() % 3);
            let topic = if input.byte() & 1 == 0 { recorded.topics.clone() } else { Vec::new() };
            Event::TreeTx(wire::TreeTxEvent { id, topic, batch_index, tx: psbt(input.piece()), ..Default::default() })
        }
        2 => {
            let unsigned_commitment_tx = psbt(input.piece());
            Event::TreeSigningStarted(wire::TreeSigningStartedEvent {
                id,
                unsigned_commitment_tx,
                ..Default::default()
            })
        }
        3 => {
            let mut event = recorded.nonces.clone();
            let spoil = input.byte();
            if spoil & 1 != 0 {
                event.nonces.clear();
            }
            if spoil & 2 != 0 {
                let nonce = String::from_utf8_lossy(input.piece()).into_owned();
                event.nonces.values_mut().for_each(|value| value.clone_from(&nonce));
            }
            if spoil & 4 != 0 {
                event.txid = String::from_utf8_lossy(input.piece()).into_owned();
            }
            return Some(Said::Nonces(event));
        }
        4 => {
            let mut event = recorded.signature.clone();
            let (at, bit) = (usize::from(input.byte()), input.byte());
            let mut signature = event.signature.into_bytes();
            if let Some(digit) = signature.get_mut(at).filter(|_| bit != 0) {
                *digit = b"0123456789abcdef"[usize::from(bit % 16)];
            }
            event.signature = String::from_utf8_lossy(&signature).into_owned();
            Event::TreeSignature(event)
        }
        5 => Event::BatchFinalization(wire::BatchFinalizationEvent { id, commitment_tx: psbt(input.piece()) }),
        6 => {
            let commitment_txid = String::from_utf8_lossy(input.piece()).into_owned();
            Event::BatchFinalized(wire::BatchFinalizedEvent { id, commitment_txid })
        }
        7 => Event::BatchFailed(wire::BatchFailedEvent {
            id,
            reason: String::from_utf8_lossy(input.piece()).into_owned(),
        }),
        8 => {
            let batch_expiry = i64::from(input.number());
            let id = if input.byte() & 1 == 0 { id } else { "another".to_owned() };
            Event::BatchStarted(wire::BatchStartedEvent {
                id,
                intent_id_hashes: recorded.intent_hashes.clone(),
                batch_expiry,
            })
        }
        _ => {
            let frames = &recorded.frames;
            let frame = &frames[usize::from(input.byte()) % frames.len()];
            let event = wire::GetEventStreamResponse::decode(frame.as_slice()).ok()?.event?;
            match event {
                Event::TreeNonces(event) => return Some(Said::Nonces(event)),
                other => other,
            }
        }
    };
    Some(Said::Bytes(wire_event(event)))
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let recorded = recorded();
    let all = recorded.frames.len() as u8;
    let played = |how: u8| (0..all).fold(Writer::default().bytes(&[how]), |seed, frame| seed.bytes(&[9, frame]));
    let mut seeds = vec![
        ("cosign".to_owned(), played(0)),
        ("cosign-veto".to_owned(), played(0x40)),
        ("join-vtxo".to_owned(), played(1)),
        ("join-boarding".to_owned(), played(3)),
        ("join-recoverable".to_owned(), played(5)),
    ];
    // The same batch with its transactions as bytes that can be changed.
    for (name, how) in [("cosign-parts", 0), ("join-parts", 1)] {
        seeds.push((name.to_owned(), recorded.parts(Writer::default().bytes(&[how]))));
    }
    seeds.push(("failed".to_owned(), played(0).bytes(&[7]).piece(b"a reason")));
    seeds.into_iter().map(|(name, seed)| (name, seed.0)).collect()
}
