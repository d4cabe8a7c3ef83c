//! Off-chain transactions as the operator builds them: a checkpoint for each VTXO, and the ark transaction over them.

use bitcoin::absolute::LockTime;
use bitcoin::psbt::Psbt;
use bitcoin::taproot::ControlBlock;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};

use super::psbt;
use super::script::{FIRST_TIME, Leaf, LeafTree, Lock, anchor};

/// One output to spend: where, how much, by which leaf of which tree.
#[derive(Clone, Debug)]
pub struct Spend {
    /// Where it is.
    pub outpoint: OutPoint,
    /// Sats.
    pub amount: u64,
    /// The leaf that spends it.
    pub leaf: Leaf,
    /// The leaf's way to the root, as the client gave it.
    pub control: ControlBlock,
    /// All scripts of the output.
    pub scripts: Vec<ScriptBuf>,
    /// The output's script.
    pub script_pubkey: ScriptBuf,
}

/// The rebuilt ark transaction and its checkpoints, in input order.
pub struct Rebuilt {
    /// Without signatures.
    pub ark: Psbt,
    /// Without signatures.
    pub checkpoints: Vec<Psbt>,
}

/// Builds both from the VTXOs and the wanted outputs (without the anchor).
pub fn rebuild(spends: Vec<Spend>, outputs: Vec<TxOut>, checkpoint_leaf: &ScriptBuf) -> Result<Rebuilt, String> {
    let operator_leaf = Leaf::parse(checkpoint_leaf)?;
    if !matches!(operator_leaf.lock, Lock::After(_)) {
        return Err("invalid signer unroll script".into());
    }
    let coming: u64 = spends.iter().map(|s| s.amount).sum();
    let going: u64 = outputs.iter().map(|o| o.value.to_sat()).sum();
    if coming != going {
        return Err("input amount is not equal to output amount".into());
    }
    let mut checkpoints = Vec::new();
    let mut next = Vec::new();
    for spend in spends {
        let tree = LeafTree::new(vec![operator_leaf.clone(), spend.leaf.clone()])?;
        let script_pubkey = tree.script_pubkey();
        let control = tree.control_block(&spend.leaf.script).ok_or("leaf is not in the checkpoint")?;
        let amount = spend.amount;
        let leaf = spend.leaf.clone();
        let output = TxOut { value: Amount::from_sat(amount), script_pubkey: script_pubkey.clone() };
        let checkpoint = transaction(&[spend], vec![output])?;
        next.push(Spend {
            outpoint: OutPoint::new(checkpoint.unsigned_tx.compute_txid(), 0),
            amount,
            leaf,
            control,
            scripts: tree.leaves.iter().map(|l| l.script.clone()).collect(),
            script_pubkey,
        });
        checkpoints.push(checkpoint);
    }
    Ok(Rebuilt { ark: transaction(&next, outputs)?, checkpoints })
}

fn transaction(spends: &[Spend], mut outputs: Vec<TxOut>) -> Result<Psbt, String> {
    let mut locktime = 0u32;
    let mut inputs = Vec::new();
    for spend in spends {
        let mut sequence = Sequence::MAX;
        if let Lock::Until(until) = spend.leaf.lock {
            if locktime != 0 && (locktime >= FIRST_TIME) != (until >= FIRST_TIME) {
                return Err("mixed absolute locktime types".into());
            }
            locktime = locktime.max(until);
            sequence = Sequence(0xffff_fffe);
        }
        inputs.push(TxIn {
            previous_output: spend.outpoint,
            script_sig: ScriptBuf::new(),
            sequence,
            witness: Witness::new(),
        });
    }
    outputs.push(anchor());
    let tx = Transaction {
        version: Version(3),
        lock_time: LockTime::from_consensus(locktime),
        input: inputs,
        output: outputs,
    };
    let mut packet = Psbt::from_unsigned_tx(tx).map_err(|e| e.to_string())?;
    for (input, spend) in packet.inputs.iter_mut().zip(spends) {
        input.witness_utxo =
            Some(TxOut { value: Amount::from_sat(spend.amount), script_pubkey: spend.script_pubkey.clone() });
        psbt::set_leaf(input, spend.control.clone(), spend.leaf.script.clone());
        psbt::reveal_scripts(input, &spend.scripts);
    }
    Ok(packet)
}
