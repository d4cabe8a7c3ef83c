//! Branches out of recorded batches: complete ones pass, anything changed in them does not.

use std::collections::HashMap;
use std::sync::Arc;

use bitcoin::hex::FromHex;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, Psbt, Transaction, TxOut, Witness, XOnlyPublicKey, consensus};
use serde_json::Value;
use virtual_channels::channel::branch::{Branch, BranchContext, BranchNode};
use virtual_channels::channel::{ChannelError, Delay, psbt, script};

use crate::recorded::{self, number, text, xonly};

/// A branch with all that it is checked against.
pub struct Case {
    pub branch: Branch,
    commitment_outputs: HashMap<OutPoint, TxOut>,
    forfeit_key: XOnlyPublicKey,
    expiry: Delay,
    target: OutPoint,
    expected: TxOut,
}

impl Case {
    fn verify(&self, branch: &Branch) -> Result<virtual_channels::channel::branch::BranchReport, ChannelError> {
        let context = BranchContext {
            commitment_outputs: &self.commitment_outputs,
            forfeit_key: self.forfeit_key,
            expiry: self.expiry,
        };
        branch.verify(&context, self.target, &self.expected)
    }

    fn refused(&self, change: impl FnOnce(&mut Branch)) {
        let mut branch = self.branch.clone();
        change(&mut branch);
        let error = self.verify(&branch).unwrap_err();
        let known = matches!(
            error,
            ChannelError::InvalidBranch { .. } | ChannelError::InvalidKey | ChannelError::BranchTooDeep { .. }
        );
        assert!(known, "{error:?}");
    }
}

/// Keys in arkd's cosigner fields of a tree transaction.
fn cosigners(psbt: &Psbt) -> Vec<PublicKey> {
    let fields = psbt.inputs[0].unknown.iter();
    let mut keys: Vec<_> = fields
        .filter(|(key, _)| key.type_value == psbt::ARK_FIELD && key.key.starts_with(b"cosigner"))
        .map(|(key, value)| (key.key.clone(), PublicKey::from_slice(value).unwrap()))
        .collect();
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    keys.into_iter().map(|(_, key)| key).collect()
}

fn with_witnesses(mut tx: Transaction, witnesses: Vec<Witness>) -> Transaction {
    for (input, witness) in tx.input.iter_mut().zip(witnesses) {
        input.witness = witness;
    }
    tx
}

/// The branch of the channel that was opened among several others.
fn many(name: &str) -> Case {
    let file = recorded::arkd(name);
    let events = file["many.events.payer"].as_array().unwrap();
    let of = |kind: &'static str| events.iter().filter_map(move |event| event.get(kind));
    let signatures: HashMap<&str, Vec<u8>> = of("treeSignature")
        .map(|event| (text(&event["txid"]), Vec::from_hex(text(&event["signature"])).unwrap()))
        .collect();
    let nodes: Vec<BranchNode> = of("treeTx")
        .filter(|event| number(&event["batchIndex"]) == 0)
        .map(|event| {
            let psbt = recorded::psbt(&event["tx"]);
            let signature = &signatures[psbt.unsigned_tx.compute_txid().to_string().as_str()];
            let witness = Witness::from_slice(&[signature]);
            BranchNode { cosigners: cosigners(&psbt).into(), tx: with_witnesses(psbt.unsigned_tx, vec![witness]) }
        })
        .collect();
    let commitment = recorded::psbt(&of("batchFinalization").next().unwrap()["commitmentTx"]).unsigned_tx;
    let expect = &file["many.expect"];
    let expected = TxOut {
        value: Amount::from_sat(number(&expect["amount"])),
        script_pubkey: recorded::script(&expect["script"]),
    };
    let leaf = &nodes.last().unwrap().tx;
    let vout = leaf.output.iter().position(|output| *output == expected).unwrap();
    Case {
        target: OutPoint::new(leaf.compute_txid(), vout as u32),
        branch: Branch { nodes },
        commitment_outputs: outputs(&commitment),
        forfeit_key: xonly(&expect["info"]["forfeitPubkey"]),
        expiry: Delay::from_arkd(number(&of("batchStarted").next().unwrap()["batchExpiry"]) as i64).unwrap(),
        expected,
    }
}

fn outputs(tx: &Transaction) -> HashMap<OutPoint, TxOut> {
    let txid = tx.compute_txid();
    (0..).map(|vout| OutPoint::new(txid, vout)).zip(tx.output.iter().cloned()).collect()
}

/// The witness of an input that the recorded PSBT signs by a leaf of checksigs.
fn leaf_witness(psbt: &Psbt, input: usize) -> Witness {
    let input = &psbt.inputs[input];
    let (control, (script, _)) = input.tap_scripts.first_key_value().unwrap();
    let mut witness = Witness::new();
    let keys = script.instructions().filter_map(|part| match part.unwrap() {
        bitcoin::script::Instruction::PushBytes(bytes) => XOnlyPublicKey::from_slice(bytes.as_bytes()).ok(),
        bitcoin::script::Instruction::Op(_) => None,
    });
    for key in keys.collect::<Vec<_>>().iter().rev() {
        let (_, signature) = input.tap_script_sigs.iter().find(|((signer, _), _)| signer == key).unwrap();
        witness.push(signature.serialize());
    }
    witness.push(script.as_bytes());
    witness.push(control.serialize());
    witness
}

/// The branch of the preconfirmed channel: a tree, a checkpoint, an ark transaction.
fn preconfirmed() -> Case {
    let file = recorded::arkd("drift-seconds");
    let psbts: Vec<Psbt> =
        file["virtual.preconfirmed"]["response"]["txs"].as_array().unwrap().iter().map(recorded::psbt).collect();
    let node = |psbt: &Psbt| {
        let cosigners = cosigners(psbt);
        let witness = match psbt.inputs[0].tap_key_sig {
            Some(signature) => Witness::from_slice(&[signature.serialize()]),
            None => leaf_witness(psbt, 0),
        };
        BranchNode { cosigners: cosigners.into(), tx: with_witnesses(psbt.unsigned_tx.clone(), vec![witness]) }
    };
    let mut nodes: Vec<BranchNode> = psbts.iter().map(node).collect();
    // Parents first.
    nodes.sort_by_key(|node| (node.cosigners.is_empty(), node.tx.output.len()));
    let channels = file["channels"].as_array().unwrap();
    let leaf = &nodes.last().unwrap().tx;
    let paid =
        |output: &TxOut| channels.iter().any(|channel| recorded::script(&channel["script"]) == output.script_pubkey);
    let vout = leaf.output.iter().position(paid).unwrap();
    let root = nodes[0].tx.input[0].previous_output;
    let info = &recorded::calls(&file, "/v1/info").next().unwrap()["answer"];
    let (forfeit_key, expiry) = (xonly(&info["forfeitPubkey"]), Delay::seconds(86016).unwrap());
    // The commitment transaction is not in the file; its output is what the tree's cosigners can spend.
    let root_output = TxOut {
        value: nodes[0].tx.output.iter().map(|output| output.value).sum(),
        script_pubkey: virtual_channels::channel::branch::tree_output_script(&nodes[0].cosigners, forfeit_key, expiry)
            .unwrap(),
    };
    Case {
        target: OutPoint::new(leaf.compute_txid(), vout as u32),
        expected: leaf.output[vout].clone(),
        commitment_outputs: HashMap::from([(root, root_output)]),
        forfeit_key,
        expiry,
        branch: Branch { nodes },
    }
}

fn cases() -> Vec<Case> {
    vec![many("batch-blocks"), many("batch-seconds"), preconfirmed()]
}

#[test]
fn recorded_branches_verify() {
    let [blocks, seconds, preconfirmed] = cases().try_into().ok().unwrap();
    for case in [&blocks, &seconds] {
        let report = case.verify(&case.branch).unwrap();
        assert_eq!((report.levels, report.commitments.len(), report.expiry), (4, 1, Some(case.expiry)));
        assert_eq!(report.weight, case.branch.nodes.iter().map(|node| node.tx.weight().to_wu()).sum::<u64>());
        assert_eq!(case.branch.outpoints().len(), 4);
    }
    let report = preconfirmed.verify(&preconfirmed.branch).unwrap();
    assert_eq!((report.levels, report.expiry), (3, Some(preconfirmed.expiry)));
}

#[test]
fn branches_that_bitcoin_core_accepted_have_our_tree_outputs() {
    for name in ["exit-blocks", "exit-seconds"] {
        let file = recorded::arkd(name);
        let info = recorded::calls(&file, "/v1/info").next().unwrap()["answer"].clone();
        let virtual_txs: Vec<&Value> = file["calls"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|call| text(&call["path"]).contains("/virtualTx/"))
            .collect();
        assert_eq!(virtual_txs.len(), 3);
        for call in virtual_txs {
            let psbt = recorded::psbt(&call["answer"]["txs"][0]);
            let txid = psbt.unsigned_tx.compute_txid().to_string();
            let accepted = recorded::transaction(&file[format!("branch.{}", &txid[..8])]["hex"]);
            let key = bitcoin::psbt::raw::Key { type_value: psbt::ARK_FIELD, key: b"expiry".to_vec() };
            let expiry = bitcoin::script::read_scriptint_non_minimal(&psbt.inputs[0].unknown[&key]).unwrap();
            let expiry = Delay::from_sequence(bitcoin::Sequence(expiry as u32)).unwrap();
            let forfeit_key = xonly(&info["forfeitPubkey"]);
            let cosigners = cosigners(&psbt);
            let root = TxOut {
                value: accepted.output.iter().map(|output| output.value).sum(),
                script_pubkey: virtual_channels::channel::branch::tree_output_script(&cosigners, forfeit_key, expiry)
                    .unwrap(),
            };
            let target = OutPoint::new(accepted.compute_txid(), 0);
            let case = Case {
                expected: accepted.output[0].clone(),
                commitment_outputs: HashMap::from([(accepted.input[0].previous_output, root)]),
                branch: Branch { nodes: vec![BranchNode { tx: accepted, cosigners: cosigners.into() }] },
                forfeit_key,
                expiry,
                target,
            };
            case.verify(&case.branch).unwrap();
        }
    }
}

#[test]
fn both_sides_co_signed_every_node() {
    for name in ["batch-blocks", "batch-seconds"] {
        let expect = &recorded::arkd(name)["many.expect"];
        let mut branch = many(name).branch;
        for side in ["payer_cosigner", "receiver_cosigner"] {
            let key: PublicKey = text(&expect[side]).parse().unwrap();
            assert!(branch.cosigned_by(&key));
            // One node without it is enough for the others to sign another tree.
            let others = branch.nodes[2].cosigners.clone();
            branch.nodes[2].cosigners = others.iter().copied().filter(|cosigner| *cosigner != key).collect();
            assert!(!branch.cosigned_by(&key));
            branch.nodes[2].cosigners = others;
        }
        let stranger = recorded::some_key(5).public_key(bitcoin::secp256k1::Parity::Even);
        assert!(!branch.cosigned_by(&stranger));
        assert!(!Branch::default().cosigned_by(&stranger));
    }
}

#[test]
fn one_bit_changed_anywhere_is_refused() {
    for case in cases() {
        for (index, node) in case.branch.nodes.iter().enumerate() {
            let bytes = consensus::serialize(&node.tx);
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(tx) = consensus::deserialize::<Transaction>(&bytes) else { continue };
                case.refused(|branch| branch.nodes[index].tx = tx);
            }
            for (position, cosigner) in node.cosigners.iter().enumerate() {
                for bit in 0..33 * 8 {
                    let mut bytes = cosigner.serialize();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    let Ok(key) = PublicKey::from_slice(&bytes) else { continue };
                    case.refused(|branch| Arc::make_mut(&mut branch.nodes[index].cosigners)[position] = key);
                }
            }
        }
    }
}

#[test]
fn missing_reordered_and_foreign_transactions_are_refused() {
    for case in cases() {
        for index in 0..case.branch.nodes.len() {
            case.refused(|branch| drop(branch.nodes.remove(index)));
            case.refused(|branch| branch.nodes[index].tx.input[0].witness.clear());
            if !case.branch.nodes[index].cosigners.is_empty() {
                case.refused(|branch| branch.nodes[index].cosigners = branch.nodes[index].cosigners[..1].into());
                let own = &case.branch.nodes[index].cosigners;
                let once_more: Arc<[PublicKey]> = own.iter().chain(own.first()).copied().collect();
                case.refused(|branch| branch.nodes[index].cosigners = once_more.clone());
            }
        }
        case.refused(|branch| branch.nodes.reverse());
        case.refused(|branch| branch.nodes.clear());
        case.refused(|branch| {
            let node = branch.nodes[0].clone();
            branch.nodes.resize(65, node);
        });
    }
}

#[test]
fn the_context_is_checked_too() {
    for case in cases() {
        let fails = |change: &dyn Fn(&mut Case)| {
            let mut other = Case {
                branch: case.branch.clone(),
                commitment_outputs: case.commitment_outputs.clone(),
                expected: case.expected.clone(),
                ..case
            };
            change(&mut other);
            assert!(other.verify(&other.branch).is_err());
        };
        fails(&|case| case.forfeit_key = recorded::some_key(9));
        fails(&|case| case.expiry = Delay::blocks(1).unwrap());
        fails(&|case| case.commitment_outputs.clear());
        fails(&|case| case.commitment_outputs.values_mut().for_each(|output| output.value += Amount::ONE_SAT));
        fails(&|case| {
            let script = bitcoin::ScriptBuf::from_bytes(script::ANCHOR_SCRIPT.to_vec());
            case.commitment_outputs.values_mut().for_each(|output| output.script_pubkey = script.clone());
        });
        fails(&|case| case.target.vout += 1);
        fails(&|case| case.target.txid = case.branch.nodes[0].tx.input[0].previous_output.txid);
        fails(&|case| case.expected.value += Amount::ONE_SAT);
    }
}

/// A node that does not name its cosigners could hang below any output of the payer's own.
#[test]
fn a_tree_without_cosigners_is_refused() {
    for case in cases() {
        let root = case.branch.nodes[0].tx.compute_txid();
        let mut branch = case.branch.clone();
        branch.nodes[0].cosigners = [].into();
        let what = format!("{root} spends a commitment transaction without cosigners");
        assert_eq!(case.verify(&branch), Err(ChannelError::InvalidBranch { what }));
    }
    let case = many("batch-seconds");
    let second = case.branch.nodes[1].tx.compute_txid();
    let mut branch = case.branch.clone();
    branch.nodes[1].cosigners = [].into();
    let what = format!("{second}: an input is not signed");
    assert_eq!(case.verify(&branch), Err(ChannelError::InvalidBranch { what }));
}
