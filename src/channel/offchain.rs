//! Off-chain transactions: one checkpoint an input, and the ark transaction that spends the checkpoints.

use bitcoin::secp256k1::schnorr;
use bitcoin::{
    Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, XOnlyPublicKey, absolute,
    transaction,
};
use secp256k1::{Keypair, Message};

use super::script::{ANCHOR_SCRIPT, CheckpointScript, Leaf};
use super::{ChannelError, TapTree, psbt};

/// The 0-sat pay-to-anchor output that every virtual transaction ends with.
pub fn anchor() -> TxOut {
    TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(ANCHOR_SCRIPT.to_vec()) }
}

/// A version 3 transaction.
pub fn version3(lock_time: absolute::LockTime, input: Vec<TxIn>, output: Vec<TxOut>) -> Transaction {
    Transaction { version: transaction::Version::non_standard(3), lock_time, input, output }
}

/// An unsigned input.
pub fn unsigned_input(previous_output: OutPoint, sequence: Sequence) -> TxIn {
    TxIn { previous_output, sequence, script_sig: ScriptBuf::new(), witness: Witness::new() }
}

fn sequence_for(locktime: Option<absolute::LockTime>) -> Sequence {
    locktime.map_or(Sequence::MAX, |_| Sequence::ENABLE_LOCKTIME_NO_RBF)
}

/// A VTXO to spend off chain.
#[derive(Debug, Clone)]
pub struct OffchainInput {
    pub outpoint: OutPoint,
    pub amount: Amount,
    pub tree: TapTree,
    /// Index of the leaf to spend by: one without a CSV.
    pub leaf: usize,
    /// The CLTV of that leaf, if it has one.
    pub locktime: Option<absolute::LockTime>,
}

/// One checkpoint: the VTXO's amount, to the same leaf or the operator after a delay.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The unsigned transaction.
    pub tx: Transaction,
    /// The VTXO it spends.
    pub prevout: TxOut,
    pub vtxo_tree: TapTree,
    /// How the checkpoint spends the VTXO.
    pub vtxo_leaf: Leaf,
    /// The tree of the checkpoint's output 0.
    pub tree: TapTree,
    /// How the ark transaction spends the checkpoint (the same script in another tree).
    pub leaf: Leaf,
}

impl Checkpoint {
    pub fn new(input: &OffchainInput, script: &CheckpointScript) -> Result<Self, ChannelError> {
        let vtxo_leaf = input.tree.leaf(input.leaf)?;
        // arkd writes its own leaf first.
        let tree = TapTree::new(vec![script.script(), vtxo_leaf.script.clone()])?;
        let leaf = tree.leaf(1)?;
        let output = TxOut { value: input.amount, script_pubkey: tree.script_pubkey() };
        let tx = version3(
            input.locktime.unwrap_or(absolute::LockTime::ZERO),
            vec![unsigned_input(input.outpoint, sequence_for(input.locktime))],
            vec![output, anchor()],
        );
        let prevout = TxOut { value: input.amount, script_pubkey: input.tree.script_pubkey() };
        Ok(Self { tx, prevout, vtxo_tree: input.tree.clone(), vtxo_leaf, tree, leaf })
    }

    /// What the owners sign.
    pub fn sighash(&self) -> Result<Message, ChannelError> {
        psbt::sighash(&self.tx, 0, std::slice::from_ref(&self.prevout), &self.vtxo_leaf)
    }

    /// The output the ark transaction spends.
    pub fn output(&self) -> TxOut {
        TxOut { value: self.prevout.value, script_pubkey: self.tree.script_pubkey() }
    }

    /// The PSBT for SubmitTx, without signatures.
    pub fn psbt(&self) -> Result<Psbt, ChannelError> {
        let mut psbt = psbt::new(self.tx.clone())?;
        psbt::describe(&mut psbt, 0, &self.prevout, &self.vtxo_tree, &self.vtxo_leaf)?;
        Ok(psbt)
    }
}

/// An off-chain transaction, unsigned.
#[derive(Debug, Clone)]
pub struct OffchainTx {
    pub checkpoints: Vec<Checkpoint>,
    pub ark: Transaction,
}

/// The operator's signatures from the answer of SubmitTx, checked against our own transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorSignatures {
    /// On the ark transaction, by input.
    pub ark: Vec<schnorr::Signature>,
    /// On the checkpoints, in our order.
    pub checkpoints: Vec<schnorr::Signature>,
}

impl OffchainTx {
    /// Builds the transactions; `outputs` without the anchor.
    pub fn new(
        inputs: &[OffchainInput],
        script: &CheckpointScript,
        mut outputs: Vec<TxOut>,
    ) -> Result<Self, ChannelError> {
        let checkpoints =
            inputs.iter().map(|input| Checkpoint::new(input, script)).collect::<Result<Vec<_>, ChannelError>>()?;
        let locks: Vec<_> = inputs.iter().filter_map(|input| input.locktime).collect();
        if locks.iter().zip(locks.iter().skip(1)).any(|(lock, next)| !lock.is_same_unit(*next)) {
            return Err(ChannelError::UnitMix);
        }
        let locktime = locks.into_iter().max_by_key(|lock| lock.to_consensus_u32());
        let ark_inputs = checkpoints
            .iter()
            .zip(inputs)
            .map(|(checkpoint, input)| {
                unsigned_input(OutPoint::new(checkpoint.tx.compute_txid(), 0), sequence_for(input.locktime))
            })
            .collect();
        outputs.push(anchor());
        let ark = version3(locktime.unwrap_or(absolute::LockTime::ZERO), ark_inputs, outputs);
        Ok(Self { checkpoints, ark })
    }

    pub fn txid(&self) -> Txid {
        self.ark.compute_txid()
    }

    fn prevouts(&self) -> Vec<TxOut> {
        self.checkpoints.iter().map(Checkpoint::output).collect()
    }

    /// What the owners of input `index` sign on the ark transaction.
    pub fn ark_sighash(&self, index: usize) -> Result<Message, ChannelError> {
        psbt::sighash(&self.ark, index, &self.prevouts(), &self.checkpoint(index)?.leaf)
    }

    /// The checkpoint of input `index`.
    pub fn checkpoint(&self, index: usize) -> Result<&Checkpoint, ChannelError> {
        self.checkpoints.get(index).ok_or(ChannelError::MalformedTransaction { what: "input missing" })
    }

    /// The PSBT of the ark transaction, without signatures.
    pub fn ark_psbt(&self) -> Result<Psbt, ChannelError> {
        let mut psbt = psbt::new(self.ark.clone())?;
        for (index, checkpoint) in self.checkpoints.iter().enumerate() {
            psbt::describe(&mut psbt, index, &checkpoint.output(), &checkpoint.tree, &checkpoint.leaf)?;
        }
        Ok(psbt)
    }

    /// Signs the ark transaction's input `index` into `psbt`.
    pub fn sign_ark(&self, psbt: &mut Psbt, index: usize, keypair: &Keypair) -> Result<(), ChannelError> {
        let signature = psbt::sign(&self.ark_sighash(index)?, keypair);
        let leaf = &self.checkpoint(index)?.leaf;
        psbt::add_signature(psbt, index, leaf, keypair.x_only_public_key().0, signature)
    }

    /// Checks the answer of SubmitTx (or GetPendingTx): the same transactions, each with the operator's valid
    /// signature. Checkpoints may come in any order.
    pub fn check_answer(
        &self,
        ark: &Psbt,
        checkpoints: &[Psbt],
        operator: XOnlyPublicKey,
    ) -> Result<OperatorSignatures, ChannelError> {
        let expected = self.txid();
        let got = ark.unsigned_tx.compute_txid();
        if got != expected {
            return Err(ChannelError::OtherTransaction { expected: expected.into(), got: got.into() });
        }
        let prevouts = self.prevouts();
        let ark_signatures = self.checkpoints.iter().enumerate().map(|(index, checkpoint)| {
            psbt::verified_signature(ark, index, &self.ark, &prevouts, &checkpoint.leaf, operator)
        });
        let ark_signatures = ark_signatures.collect::<Result<Vec<_>, _>>()?;
        let checkpoint_signatures = self.checkpoints.iter().map(|checkpoint| {
            let txid = checkpoint.tx.compute_txid();
            let answer = checkpoints
                .iter()
                .find(|answer| answer.unsigned_tx.compute_txid() == txid)
                .ok_or(ChannelError::MissingCheckpoint { txid })?;
            let prevouts = std::slice::from_ref(&checkpoint.prevout);
            psbt::verified_signature(answer, 0, &checkpoint.tx, prevouts, &checkpoint.vtxo_leaf, operator)
        });
        Ok(OperatorSignatures {
            ark: ark_signatures,
            checkpoints: checkpoint_signatures.collect::<Result<Vec<_>, _>>()?,
        })
    }
}
