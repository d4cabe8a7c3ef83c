//! Taking part in a batch with an intent of our own.

use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use tokio::time::{Instant, timeout_at};

use super::plan::{delete_intent, party, register_intent, topics};
use super::send::{Signatures, batch_over, send_nonces, send_signatures};
use super::session::{Party, Session, Step};
use super::{BatchObserver, BatchOutcome, BatchPlan, InputKind};
use crate::log::note;
use crate::operator::Operator;
use crate::operator::error::{OperatorError, Phase};
use crate::operator::events::{BACKOFF, Event, EventStream};

/// Registers the plan's intent and sees one batch through. One attempt: a failed batch is an error, and the caller
/// decides whether to try again. [`OperatorError::OutcomeUnknown`] means that what can spend the inputs may
/// be in the operator's hands; every other error means that it is not.
pub async fn join(
    operator: &Operator,
    plan: &BatchPlan,
    observer: &mut dyn BatchObserver,
) -> Result<BatchOutcome, OperatorError> {
    let intent = register_intent(plan)?;
    let party = party(plan);
    let mut stream = EventStream::open(operator, topics(plan, &party)).await?;
    let intent_id = operator.register_intent(&intent).await?;
    let waited = wait(operator, plan, &party, &intent_id, &mut stream, observer).await;
    let mut session = match waited {
        Ok(session) => session,
        Err(error) => {
            // It would lock the inputs until it expires. That this may fail changes nothing of what went wrong.
            if let Ok(intent) = delete_intent(plan) {
                let _ = operator.delete_intent(&intent).await;
            }
            return Err(error);
        }
    };
    let mut sent = false;
    let followed = follow(operator, plan, &mut session, &mut stream, observer, &mut sent).await;
    followed.map_err(|cause| {
        // Inputs that need no signature beside the intent's can go as soon as the tree is signed.
        let unsigned = plan.inputs.iter().all(|input| input.kind == InputKind::Recoverable);
        if sent || unsigned && (session.signed || party.leaves.is_empty()) {
            OperatorError::OutcomeUnknown { commitment: session.commitment_txid(), cause: Box::new(cause) }
        } else {
            cause
        }
    })
}

/// Follows the batch to its end. `sent` is set before forfeits or signed commitment inputs leave.
async fn follow(
    operator: &Operator,
    plan: &BatchPlan,
    session: &mut Session<'_>,
    stream: &mut EventStream,
    observer: &mut dyn BatchObserver,
    sent: &mut bool,
) -> Result<BatchOutcome, OperatorError> {
    let mut deadline = Instant::now() + session_limit(operator);
    let mut outcome = None;
    loop {
        let late = || Err(OperatorError::StreamEnded { why: "no end of the batch came".into() });
        let event = stream.next(deadline).await.unwrap_or_else(late);
        match session.take(event?)? {
            Step::On | Step::Ours => {}
            Step::Nonces(nonces) => send_nonces(operator, nonces).await?,
            Step::Signatures(signatures) => {
                send_signatures(operator, signatures).await?;
                observer.signed();
            }
            Step::Finalized => {
                return outcome.ok_or_else(|| OperatorError::refuse("finalized before it was ready"));
            }
            Step::Ready(ready) => {
                let signatures = Signatures::of(plan, session, &ready)?;
                observer.ready(&ready.outcome)?;
                let signed = signatures.sign(operator, &ready)?;
                *sent = true;
                if signed.send(operator).await.is_err() {
                    // What has left may count all the same: only the batch's end tells, and that cannot be far.
                    let session = Duration::from_secs(operator.info().session_seconds.saturating_mul(2));
                    deadline = deadline.min(Instant::now() + session + Duration::from_secs(5));
                }
                outcome = Some(ready.outcome);
            }
        }
    }
}

/// Waits until a batch takes the intent, and confirms.
async fn wait<'a>(
    operator: &'a Operator,
    plan: &BatchPlan,
    party: &'a Party<'a>,
    intent_id: &str,
    stream: &mut EventStream,
    observer: &mut dyn BatchObserver,
) -> Result<Session<'a>, OperatorError> {
    observer.registered(intent_id)?;
    let hash = sha256::Hash::hash(intent_id.as_bytes()).to_string();
    let deadline = Instant::now() + plan.patience;
    let missed = || OperatorError::NoBatch { seconds: plan.patience.as_secs() };
    let mut failures = 0;
    loop {
        let event = match stream.next(deadline).await {
            None => return Err(missed()),
            Some(Ok(event)) => event,
            // Until a batch has started nothing is lost by a break.
            Some(Err(OperatorError::StreamEnded { why })) => {
                note!(Warn, "the event stream was dropped before a batch: {why}");
                let reopening = reopen(operator, topics(plan, party), &mut failures);
                *stream = timeout_at(deadline, reopening).await.map_err(|_| missed())?;
                continue;
            }
            Some(Err(error)) => return Err(error),
        };
        let Event::BatchStarted(event) = event else { continue };
        if !event.intent_id_hashes.contains(&hash) {
            continue;
        }
        let session = Session::new(operator.info().forfeit_key, party, &event)?;
        observer.started(&session.batch_id, session.expiry)?;
        let confirmed = operator.confirm_registration(intent_id).await;
        confirmed.map_err(|error| batch_over(error, Phase::Started))?;
        return Ok(session);
    }
}

/// Opens the stream again, with growing pauses, for as long as the caller waits.
pub(super) async fn reopen(operator: &Operator, topics: Vec<String>, failures: &mut usize) -> EventStream {
    loop {
        // At once after the first break: the others of a batch do not wait long.
        let pause = match *failures {
            0 => 0,
            failures => BACKOFF.get(failures - 1).or(BACKOFF.last()).copied().unwrap_or(1),
        };
        *failures += 1;
        tokio::time::sleep(Duration::from_secs(pause)).await;
        if let Ok(stream) = EventStream::open(operator, topics.clone()).await {
            return stream;
        }
    }
}

/// A batch that takes longer than this from its start is given up: three times what the operator promises.
pub(super) fn session_limit(operator: &Operator) -> Duration {
    Duration::from_secs(operator.info().session_seconds.saturating_mul(3).saturating_add(60))
}
