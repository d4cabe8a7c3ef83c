//! A channel with its funding outpoint: the four transactions that can spend it.

use bitcoin::{Amount, OutPoint, Transaction, TxOut, Txid, absolute};

use super::offchain::{Checkpoint, OffchainInput, OffchainTx, anchor, unsigned_input, version3};
use super::script::{CheckpointScript, Leaf};
use super::sighash::SplitSighash;
use super::terms::leaf;
use super::{ChannelError, ChannelId, ChannelTerms, Payout, TapTree, psbt};

/// Terms plus funding outpoint, with everything computed once that payments need.
#[derive(Clone)]
pub struct Channel {
    pub id: ChannelId,
    pub terms: ChannelTerms,
    pub funding: OutPoint,
    tree: TapTree,
    exit: SplitSighash,
}

/// The checkpoint on the forfeit leaf for one checkpoint script, and the ark transactions over it.
#[derive(Clone)]
pub struct CloseTemplate {
    pub script: CheckpointScript,
    pub checkpoint: Checkpoint,
    pub(super) ark: SplitSighash,
}

impl Channel {
    pub fn new(terms: ChannelTerms, funding: OutPoint) -> Result<Self, ChannelError> {
        let tree = terms.tree()?;
        let id = terms.channel_id(&funding);
        let update = tree.leaf(leaf::UPDATE)?;
        let template =
            version3(absolute::LockTime::ZERO, vec![unsigned_input(funding, terms.d1.sequence())], Vec::new());
        let prevout = TxOut { value: terms.capacity, script_pubkey: tree.script_pubkey() };
        let (receiver, payer) = (terms.receiver.chain_payout, terms.payer.chain_payout);
        let exit = SplitSighash::new(&template, &prevout, update.hash, receiver, payer, terms.capacity);
        Ok(Self { id, terms, funding, tree, exit })
    }

    pub fn tree(&self) -> &TapTree {
        &self.tree
    }

    /// The funding output.
    pub fn prevout(&self) -> TxOut {
        TxOut { value: self.terms.capacity, script_pubkey: self.tree.script_pubkey() }
    }

    /// The messages of exit updates.
    pub fn exit_sighash(&self) -> &SplitSighash {
        &self.exit
    }

    fn input(&self, leaf: usize, locktime: Option<absolute::LockTime>) -> OffchainInput {
        let (outpoint, amount) = (self.funding, self.terms.capacity);
        OffchainInput { outpoint, amount, tree: self.tree.clone(), leaf, locktime }
    }

    /// The close under one checkpoint script.
    pub fn close_template(&self, script: CheckpointScript) -> Result<CloseTemplate, ChannelError> {
        let checkpoint = Checkpoint::new(&self.input(leaf::FORFEIT, None), &script)?;
        let outpoint = OutPoint::new(checkpoint.tx.compute_txid(), 0);
        let input = unsigned_input(outpoint, bitcoin::Sequence::MAX);
        let template = version3(absolute::LockTime::ZERO, vec![input], Vec::new());
        let (receiver, payer) = (self.terms.receiver.ark_payout, self.terms.payer.ark_payout);
        let capacity = self.terms.capacity;
        let ark = SplitSighash::new(&template, &checkpoint.output(), checkpoint.leaf.hash, receiver, payer, capacity);
        Ok(CloseTemplate { script, checkpoint, ark })
    }

    /// The cooperative close at `amount`: checkpoint and ark transaction, unsigned.
    pub fn close(&self, script: &CheckpointScript, amount: Amount) -> Result<OffchainTx, ChannelError> {
        let outputs = self.split(amount, self.terms.receiver.ark_payout, self.terms.payer.ark_payout)?;
        OffchainTx::new(&[self.input(leaf::FORFEIT, None)], script, outputs)
    }

    /// The release of a channel in which nothing was paid, through the operator: everything to the payer, unsigned.
    pub fn release(&self, script: &CheckpointScript) -> Result<OffchainTx, ChannelError> {
        let output = TxOut { value: self.terms.capacity, script_pubkey: self.terms.payer.ark_payout.script() };
        OffchainTx::new(&[self.input(leaf::FORFEIT, None)], script, vec![output])
    }

    /// The checkpoint of a refund: what a VTXO that was refunded is spent by.
    pub fn refund_checkpoint(&self, script: &CheckpointScript) -> Result<Checkpoint, ChannelError> {
        Checkpoint::new(&self.input(leaf::REFUND, Some(self.terms.locktime)), script)
    }

    /// The refund after the locktime, through the operator: the whole capacity to `outputs` (without the anchor).
    pub fn refund(&self, script: &CheckpointScript, outputs: Vec<TxOut>) -> Result<OffchainTx, ChannelError> {
        OffchainTx::new(&[self.input(leaf::REFUND, Some(self.terms.locktime))], script, outputs)
    }

    /// The exit update at `amount`, unsigned: valid on chain d1 after the funding output.
    pub fn exit_update(&self, amount: Amount) -> Result<Transaction, ChannelError> {
        let mut outputs = self.split(amount, self.terms.receiver.chain_payout, self.terms.payer.chain_payout)?;
        outputs.push(anchor());
        let input = unsigned_input(self.funding, self.terms.d1.sequence());
        Ok(version3(absolute::LockTime::ZERO, vec![input], outputs))
    }

    /// The payer's way out alone, unsigned: valid on chain d2 after the funding output.
    pub fn unilateral_refund(&self) -> Transaction {
        let output = TxOut { value: self.terms.capacity, script_pubkey: self.terms.payer.chain_payout.script() };
        let input = unsigned_input(self.funding, self.terms.d2.sequence());
        version3(absolute::LockTime::ZERO, vec![input], vec![output, anchor()])
    }

    /// The leaf of the exit update.
    pub fn update_leaf(&self) -> Result<Leaf, ChannelError> {
        self.tree.leaf(leaf::UPDATE)
    }

    /// The leaf of the unilateral refund.
    pub fn unilateral_leaf(&self) -> Result<Leaf, ChannelError> {
        self.tree.leaf(leaf::UNILATERAL)
    }

    /// The unilateral refund with the payer's signature: ready to broadcast.
    pub fn signed_unilateral_refund(&self, payer: &secp256k1::Keypair) -> Result<Transaction, ChannelError> {
        let mut tx = self.unilateral_refund();
        let leaf = self.unilateral_leaf()?;
        let signature = psbt::sign(&psbt::sighash(&tx, 0, &[self.prevout()], &leaf)?, payer);
        set_witness(&mut tx, psbt::witness(&leaf, &[signature]));
        Ok(tx)
    }

    /// Receiver, payer unless zero; the anchor is added by the caller.
    fn split(&self, amount: Amount, receiver: Payout, payer: Payout) -> Result<Vec<TxOut>, ChannelError> {
        let capacity = self.terms.capacity;
        let rest = capacity.checked_sub(amount).ok_or(ChannelError::OverCapacity { amount, capacity })?;
        let mut outputs = vec![TxOut { value: amount, script_pubkey: receiver.script() }];
        if rest > Amount::ZERO {
            outputs.push(TxOut { value: rest, script_pubkey: payer.script() });
        }
        Ok(outputs)
    }
}

impl CloseTemplate {
    pub fn checkpoint_txid(&self) -> Txid {
        self.checkpoint.tx.compute_txid()
    }

    /// The messages of ark transactions over this checkpoint.
    pub fn ark_sighash(&self) -> &SplitSighash {
        &self.ark
    }
}

/// Gives a one-input transaction its witness.
pub fn set_witness(tx: &mut Transaction, witness: bitcoin::Witness) {
    if let Some(input) = tx.input.first_mut() {
        input.witness = witness;
    }
}
