//! From a plan to the intent that arkd takes.

use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, TxOut};

use super::session::Party;
use super::{BatchOutput, BatchPlan, InputKind};
use crate::channel::intent::{Intent, IntentInput, IntentMessage};
use crate::operator::error::OperatorError;

/// Inputs and outputs of one intent.
const MAX_ENDS: usize = 256;

pub(super) fn party(plan: &BatchPlan) -> Party<'_> {
    let (mut leaves, mut onchain) = (Vec::new(), Vec::new());
    for output in &plan.outputs {
        match output {
            BatchOutput::Offchain(output) => leaves.push(output.clone()),
            BatchOutput::Onchain(output) => onchain.push(output.clone()),
        }
    }
    Party { cosigner: &plan.cosigner, others: &plan.other_cosigners, leaves, onchain }
}

pub(super) fn topics(plan: &BatchPlan, party: &Party<'_>) -> Vec<String> {
    let mut topics: Vec<String> = plan.inputs.iter().map(|input| input.coin.outpoint.to_string()).collect();
    if !party.leaves.is_empty() {
        topics.push(party.cosigner.public_key().to_string());
    }
    topics
}

/// The signed intent of a plan that arkd can take.
pub(super) fn register_intent(plan: &BatchPlan) -> Result<Intent, OperatorError> {
    let refuse = |what: String| Err(OperatorError::Plan { what });
    if plan.inputs.is_empty() || plan.inputs.len() > MAX_ENDS {
        return refuse(format!("{} inputs", plan.inputs.len()));
    }
    if plan.outputs.is_empty() || plan.outputs.len() > MAX_ENDS {
        return refuse(format!("{} outputs", plan.outputs.len()));
    }
    let mut outpoints: Vec<OutPoint> = plan.inputs.iter().map(|input| input.coin.outpoint).collect();
    outpoints.sort_unstable();
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
pub(super) fn delete_intent(plan: &BatchPlan) -> Result<Intent, OperatorError> {
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
    use std::time::Duration;

    use bitcoin::Amount;
    use bitcoin::psbt::raw;

    use super::super::BatchInput;
    use super::*;
    use crate::channel::Delay;
    use crate::channel::script::default_vtxo;
    use crate::operator::decode;
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
