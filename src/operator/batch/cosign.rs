//! Co-signing a batch that somebody else's intent asks for.

use bitcoin::TxOut;
use tokio::time::{Instant, timeout_at};

use super::join::{reopen, session_limit};
use super::send::{send_nonces, send_signatures};
use super::session::{Party, Session, Step};
use super::{BatchObserver, BatchOutcome, CosignPlan};
use crate::operator::Operator;
use crate::operator::error::OperatorError;
use crate::operator::events::{Event, EventStream};

/// An open stream of a co-signer: from now on no batch with its key is missed.
pub struct CosignStream {
    stream: EventStream,
}

/// Opens the stream; when this returns, the other party may register.
pub async fn open_cosign_stream(operator: &Operator, plan: &CosignPlan) -> Result<CosignStream, OperatorError> {
    Ok(CosignStream { stream: EventStream::open(operator, topics(plan)).await? })
}

fn topics(plan: &CosignPlan) -> Vec<String> {
    let mut topics: Vec<String> = plan.payer_inputs.iter().map(ToString::to_string).collect();
    topics.push(plan.cosigner.public_key().to_string());
    topics
}

/// Co-signs until a batch with our leaf is finalized. A batch that fails, or whose tree is not as agreed, is left; the
/// next one gets fresh nonces. Batches that start after `deadline` are not taken; then the error of the last one that
/// was, or [`OperatorError::NoBatch`].
///
/// Nothing of the co-signer's is spent, so no error here puts its money at risk. But a batch whose end is not seen may
/// have gone through: [`OperatorError::OutcomeUnknown`] once its branch was handed to `observer`.
pub async fn cosign(
    operator: &Operator,
    stream: CosignStream,
    plan: &CosignPlan,
    deadline: std::time::Instant,
    observer: &mut dyn BatchObserver,
) -> Result<BatchOutcome, OperatorError> {
    let opened = Instant::now();
    let deadline = Instant::from_std(deadline);
    let leaves: Vec<TxOut> = vec![plan.leaf.clone()];
    let party = Party { cosigner: &plan.cosigner, others: &plan.other_cosigners, leaves, onchain: Vec::new() };
    let mut stream = stream.stream;
    let mut failures = 0;
    let mut last_error = None;
    // The running batch, when it must have ended, and what it came to.
    let mut running: Option<(Session<'_>, Instant)> = None;
    let mut outcome: Option<BatchOutcome> = None;
    loop {
        let limit = running.as_ref().filter(|(session, _)| session.is_ours()).map(|(_, limit)| *limit);
        let event = match stream.next(limit.unwrap_or(deadline)).await {
            Some(Ok(event)) => event,
            None if limit.is_none() => {
                let seconds = opened.elapsed().as_secs();
                return Err(last_error.unwrap_or(OperatorError::NoBatch { seconds }));
            }
            broken => {
                let error = match broken {
                    Some(Err(error)) => error,
                    _ => OperatorError::StreamEnded { why: "no end of the batch came".into() },
                };
                if let Some(outcome) = outcome {
                    let commitment = Some(outcome.commitment_txid);
                    return Err(OperatorError::OutcomeUnknown { commitment, cause: Box::new(error) });
                }
                // Its nonces are gone with it: the next batch gets new ones.
                running = None;
                last_error = Some(error);
                if let Ok(reopened) = timeout_at(deadline, reopen(operator, topics(plan), &mut failures)).await {
                    stream = reopened;
                }
                continue;
            }
        };
        if let Event::BatchStarted(event) = &event {
            // Events of different batches may overtake each other: one that is only waiting for its end is kept.
            if outcome.is_some() {
                continue;
            }
            running = match Session::new(operator.info().forfeit_key, &party, event) {
                Ok(session) => Some((session, Instant::now() + session_limit(operator))),
                Err(error) => {
                    last_error = Some(error);
                    None
                }
            };
            continue;
        }
        let Some((session, _)) = &mut running else { continue };
        let step = match session.take(event) {
            // What cannot be sent ends this batch for us.
            Ok(Step::Nonces(nonces)) => send_nonces(operator, nonces).await.map(|()| Step::On),
            Ok(Step::Signatures(signatures)) => send_signatures(operator, signatures).await.map(|()| {
                observer.signed();
                Step::On
            }),
            step => step,
        };
        match step {
            Ok(Step::On | Step::Nonces(_) | Step::Signatures(_)) => {}
            Ok(Step::Ours) => observer.started(&session.batch_id, session.expiry)?,
            Ok(Step::Ready(ready)) => {
                observer.ready(&ready.outcome)?;
                outcome = Some(ready.outcome);
            }
            Ok(Step::Finalized) => match outcome {
                Some(outcome) => return Ok(outcome),
                None => running = None,
            },
            Err(error) => {
                outcome = None;
                running = None;
                last_error = Some(error);
            }
        }
    }
}
