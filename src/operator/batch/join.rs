//! Taking part in a batch with an intent of our own.

use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, TxOut};
use tokio::time::{Instant, timeout_at};

use super::session::{Party, Ready, Session, Step, batch_over};
use super::{BatchInput, BatchObserver, BatchOutcome, BatchOutput, BatchPlan, InputKind, commitment, forfeit};
use crate::channel::intent::{Intent, IntentInput, IntentMessage};
use crate::operator::client::ArkClient;
use crate::operator::error::{OperatorError, Phase};
use crate::operator::events::{BACKOFF, Event, EventStream};
use crate::operator::{Operator, decode, wire};

/// Sending forfeits: arkd checks them all before it answers.
const FORFEIT_LIMIT: Duration = Duration::from_secs(30);

/// Inputs and outputs of one intent.
const MAX_ENDS: usize = 256;

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
        match session.take(event?).await? {
            Step::On | Step::Ours => {}
            Step::Signed => observer.signed(),
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
            Some(Err(OperatorError::StreamEnded { .. })) => {
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
        let session = Session::new(operator, party, &event)?;
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

/// What is needed to sign the inputs away, collected and checked before the observer says yes.
struct Signatures<'a> {
    forfeits: Vec<(&'a BatchInput, super::connectors::Connector)>,
    boarding: Vec<&'a BatchInput>,
}

impl<'a> Signatures<'a> {
    fn of(plan: &'a BatchPlan, session: &Session<'_>, ready: &Ready) -> Result<Self, OperatorError> {
        let of_kind = |kind| plan.inputs.iter().filter(move |input| input.kind == kind);
        let vtxos: Vec<OutPoint> = of_kind(InputKind::Vtxo).map(|input| input.coin.outpoint).collect();
        let connectors = session.connectors.assign(&vtxos, &ready.outcome.commitment)?;
        let boarding: Vec<&BatchInput> = of_kind(InputKind::Boarding).collect();
        let spent = |outpoint: &OutPoint| {
            ready.outcome.commitment.input.iter().filter(|input| input.previous_output == *outpoint).count()
        };
        if let Some(input) = boarding.iter().find(|input| spent(&input.coin.outpoint) != 1) {
            return Err(OperatorError::refuse(format!("{} is not spent", input.coin.outpoint)));
        }
        Ok(Self { forfeits: of_kind(InputKind::Vtxo).zip(connectors).collect(), boarding })
    }

    fn sign(&self, operator: &Operator, ready: &Ready) -> Result<Signed, OperatorError> {
        let forfeit_script = operator.info().forfeit_script.clone();
        let forfeits = self
            .forfeits
            .iter()
            .map(|(input, connector)| forfeit::sign(input, connector, &forfeit_script))
            .map(|psbt| psbt.map(|psbt| decode::encode_psbt(&psbt)));
        Ok(Signed {
            forfeits: forfeits.collect::<Result<Vec<_>, OperatorError>>()?,
            commitment: commitment::sign_boarding(&ready.commitment, &self.boarding)?
                .map(|psbt| decode::encode_psbt(&psbt))
                .unwrap_or_default(),
        })
    }
}

/// Base64 PSBTs, on their way out.
struct Signed {
    forfeits: Vec<String>,
    commitment: String,
}

impl Signed {
    async fn send(self, operator: &Operator) -> Result<(), OperatorError> {
        if self.forfeits.is_empty() && self.commitment.is_empty() {
            return Ok(());
        }
        let request = wire::SubmitSignedForfeitTxsRequest {
            signed_forfeit_txs: self.forfeits,
            signed_commitment_tx: self.commitment,
        };
        let send = |mut client: ArkClient| {
            let request = request.clone();
            async move { client.submit_signed_forfeit_txs(request).await }
        };
        operator.call("SubmitSignedForfeitTxs", FORFEIT_LIMIT, send).await.map(drop)
    }
}

fn party(plan: &BatchPlan) -> Party<'_> {
    let (mut leaves, mut onchain) = (Vec::new(), Vec::new());
    for output in &plan.outputs {
        match output {
            BatchOutput::Offchain(output) => leaves.push(output.clone()),
            BatchOutput::Onchain(output) => onchain.push(output.clone()),
        }
    }
    Party { cosigner: &plan.cosigner, others: &plan.other_cosigners, leaves, onchain }
}

fn topics(plan: &BatchPlan, party: &Party<'_>) -> Vec<String> {
    let mut topics: Vec<String> = plan.inputs.iter().map(|input| input.coin.outpoint.to_string()).collect();
    if !party.leaves.is_empty() {
        topics.push(party.cosigner.public_key().to_string());
    }
    topics
}

/// The signed intent of a plan that arkd can take.
fn register_intent(plan: &BatchPlan) -> Result<Intent, OperatorError> {
    let refuse = |what: String| Err(OperatorError::Plan { what });
    if plan.inputs.is_empty() || plan.inputs.len() > MAX_ENDS {
        return refuse(format!("{} inputs", plan.inputs.len()));
    }
    if plan.outputs.is_empty() || plan.outputs.len() > MAX_ENDS {
        return refuse(format!("{} outputs", plan.outputs.len()));
    }
    let mut outpoints: Vec<OutPoint> = plan.inputs.iter().map(|input| input.coin.outpoint).collect();
    outpoints.sort();
    outpoints.dedup();
    if outpoints.len() != plan.inputs.len() {
        return refuse("an input comes twice".into());
    }
    let onchain = |output: &&BatchOutput| matches!(output, BatchOutput::Onchain(_));
    let boards = plan.inputs.iter().any(|input| input.kind == InputKind::Boarding);
    if boards && plan.outputs.iter().any(|output| onchain(&output)) {
        return refuse("boarding coins cannot be paid out on chain in the same batch".into());
    }
    let total = |values: &mut dyn Iterator<Item = &TxOut>| values.map(|output| output.value.to_sat()).sum::<u64>();
    let (inputs, outputs) = (
        total(&mut plan.inputs.iter().map(|input| &input.coin.prevout)),
        total(&mut plan.outputs.iter().map(BatchOutput::txout)),
    );
    if outputs > inputs {
        return refuse(format!("{outputs} sats go out, {inputs} come in"));
    }
    let mut cosigners: Vec<PublicKey> = Vec::new();
    if plan.outputs.iter().any(|output| !onchain(&output)) {
        cosigners.push(plan.cosigner.public_key());
        cosigners.extend(&plan.other_cosigners);
    }
    let mut keys: Vec<_> = cosigners.iter().map(|key| key.x_only_public_key().0).collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.len() != cosigners.len() {
        return refuse("two co-signers have the same key".into());
    }
    let outputs = plan.outputs.iter().enumerate();
    let message = IntentMessage::Register {
        onchain_outputs: outputs.filter(|(_, output)| onchain(output)).map(|(index, _)| index as u32).collect(),
        valid_at: 0,
        expire_at: plan.expire_at,
        cosigners,
    };
    signed(plan, &message, plan.outputs.iter().map(|output| output.txout().clone()).collect())
}

/// The proof that takes back what the plan registered.
fn delete_intent(plan: &BatchPlan) -> Result<Intent, OperatorError> {
    signed(plan, &IntentMessage::Delete { expire_at: plan.expire_at }, Vec::new())
}

/// An intent over the plan's inputs, each signed by its owner.
fn signed(plan: &BatchPlan, message: &IntentMessage, outputs: Vec<TxOut>) -> Result<Intent, OperatorError> {
    let coins: Vec<IntentInput> = plan.inputs.iter().map(|input| input.coin.clone()).collect();
    let mut intent = Intent::new(message, &coins, outputs)?;
    // Proof input 0 stands for the message and is signed like the first coin.
    let owners = plan.inputs.first().into_iter().chain(&plan.inputs);
    for (index, owner) in owners.enumerate() {
        intent.sign_input(index, &owner.keypair)?;
    }
    Ok(intent)
}

#[cfg(test)]
mod tests {
    use bitcoin::Amount;
    use bitcoin::psbt::raw;

    use super::*;
    use crate::channel::Delay;
    use crate::channel::script::default_vtxo;
    use crate::operator::recorded::{UNITS, keypair, load, psbt, script, text};

    /// The payer's plan of the recorded opening.
    fn plan(file: &serde_json::Value) -> (BatchPlan, bitcoin::Psbt) {
        let recorded = psbt(&file["intent.register"]["proof"]);
        let info = &file["GetInfo"]["response"];
        let owner = keypair(&file["keys"]["payer"]);
        let operator = decode::public_key("", text(&info["signerPubkey"])).unwrap().x_only_public_key().0;
        let delay = Delay::from_arkd(text(&info["unilateralExitDelay"]).parse().unwrap()).unwrap();
        let tree = default_vtxo(owner.x_only_public_key().0, operator, delay).unwrap();
        let value = recorded.inputs[1].witness_utxo.as_ref().unwrap().value;
        let outpoint = recorded.unsigned_tx.input[1].previous_output;
        let keys = [&file["keys"]["payer_cosigner"], &file["keys"]["receiver_cosigner"]].map(keypair);
        let first = &file["intent.register"]["message"]["cosigners_public_keys"][0];
        let (own, other) =
            if text(first) == keys[0].public_key().to_string() { (keys[0], keys[1]) } else { (keys[1], keys[0]) };
        let plan = BatchPlan {
            inputs: vec![BatchInput {
                coin: IntentInput::unlocked(outpoint, value, tree, 0),
                kind: InputKind::Vtxo,
                keypair: owner,
            }],
            outputs: recorded.unsigned_tx.output.iter().cloned().map(BatchOutput::Offchain).collect(),
            cosigner: own,
            other_cosigners: vec![other.public_key()],
            expire_at: 0,
            patience: Duration::from_secs(1),
        };
        (plan, recorded)
    }

    #[test]
    fn the_intent_of_a_plan_equals_the_recorded_one() {
        for unit in UNITS {
            let file = load(&format!("life-{unit}"));
            let (plan, recorded) = plan(&file);
            let intent = register_intent(&plan).unwrap();
            assert_eq!(intent.proof().unsigned_tx, recorded.unsigned_tx);
            let message = recorded.unknown[&raw::Key { type_value: 9, key: Vec::new() }].clone();
            assert_eq!(intent.message().as_bytes(), message);
            assert!(intent.proof().inputs.iter().all(|input| input.tap_script_sigs.len() == 1));
            let party = party(&plan);
            assert_eq!(party.leaves[0].script_pubkey, script(&file["terms"]["script"]));
            assert_eq!(
                topics(&plan, &party),
                [plan.inputs[0].coin.outpoint.to_string(), plan.cosigner.public_key().to_string()]
            );
            assert!(delete_intent(&plan).unwrap().message().contains("delete"));
        }
    }

    #[test]
    fn impossible_plans_are_refused() {
        type Spoil = fn(&mut BatchPlan);
        let spoils: [Spoil; 7] = [
            |plan| plan.inputs.clear(),
            |plan| plan.outputs.clear(),
            |plan| plan.inputs.push(plan.inputs[0].clone()),
            |plan| plan.other_cosigners.push(plan.cosigner.public_key()),
            |plan| plan.other_cosigners.push(plan.cosigner.public_key().negate(secp256k1::SECP256K1)),
            |plan| {
                plan.inputs[0].kind = InputKind::Boarding;
                plan.outputs.push(BatchOutput::Onchain(plan.outputs[0].txout().clone()));
            },
            |plan| plan.inputs[0].coin.prevout.value = Amount::ONE_SAT,
        ];
        for spoil in spoils {
            let (mut plan, _) = plan(&load("life-seconds"));
            spoil(&mut plan);
            assert!(matches!(register_intent(&plan), Err(OperatorError::Plan { .. })));
        }
    }

    #[test]
    fn paid_out_on_chain_only_needs_no_cosigner() {
        let (mut plan, _) = plan(&load("life-seconds"));
        plan.outputs = vec![BatchOutput::Onchain(plan.outputs[0].txout().clone())];
        let intent = register_intent(&plan).unwrap();
        assert!(intent.message().contains("\"onchain_output_indexes\":[0]"));
        assert!(intent.message().contains("\"cosigners_public_keys\":[]"));
        assert_eq!(topics(&plan, &party(&plan)).len(), 1);
    }
}
