//! One batch as an event after the other: collect, check, nonces, signatures, outcome.

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Psbt, Transaction, TxOut, Txid, XOnlyPublicKey};
use secp256k1::Keypair;

use super::commitment::check_outputs;
use super::connectors::Connectors;
use super::signer::TreeSigner;
use super::tree::{SigningTree, TreeNodes, TreeTerms};
use super::{BatchOutcome, FundedLeaf};
use crate::channel::Delay;
use crate::operator::error::{OperatorError, Phase, short};
use crate::operator::events::Event;
use crate::operator::{decode, wire};

/// A node of the tree in base64: a thousand co-signers and a few outputs.
const MAX_NODE: usize = 512 << 10;

/// What a party wants of a batch.
pub(super) struct Party<'a> {
    pub(super) cosigner: &'a Keypair,
    pub(super) others: &'a [PublicKey],
    /// VTXOs that the tree must hold.
    pub(super) leaves: Vec<TxOut>,
    /// Outputs that the commitment transaction must have.
    pub(super) onchain: Vec<TxOut>,
}

/// What an event leads to.
pub(super) enum Step {
    /// Nothing to do.
    On,
    /// The first transaction of our branch has come.
    Ours,
    /// The tree is checked: these are to be sent, once.
    Nonces(wire::SubmitTreeNoncesRequest),
    /// All nonces are there: these are to be sent, once.
    Signatures(wire::SubmitTreeSignaturesRequest),
    /// Everything is checked and the branches are signed.
    Ready(Box<Ready>),
    /// The operator says that it is done.
    Finalized,
}

/// What the last phase works on.
pub(super) struct Ready {
    pub(super) outcome: BatchOutcome,
    pub(super) commitment: Psbt,
}

/// A running batch. It sends nothing itself.
pub(super) struct Session<'a> {
    forfeit_key: XOnlyPublicKey,
    party: &'a Party<'a>,
    pub(super) batch_id: String,
    pub(super) expiry: Delay,
    pub(super) phase: Phase,
    nodes: TreeNodes,
    pub(super) connectors: Connectors,
    signing: Option<(SigningTree, TreeSigner)>,
    commitment: Option<Transaction>,
    /// Our tree signatures are out, or on their way.
    pub(super) signed: bool,
    ready: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(
        forfeit_key: XOnlyPublicKey,
        party: &'a Party<'a>,
        event: &wire::BatchStartedEvent,
    ) -> Result<Self, OperatorError> {
        const CALL: &str = "BatchStarted";
        let expiry = Delay::from_arkd(event.batch_expiry)
            .map_err(|error| OperatorError::bad(CALL, format!("batch expiry: {error}")))?;
        if event.id.is_empty() || event.id.len() > 256 {
            return Err(OperatorError::bad(CALL, format!("batch id {:?}", short(&event.id))));
        }
        Ok(Self {
            forfeit_key,
            party,
            batch_id: event.id.clone(),
            expiry,
            phase: Phase::Started,
            nodes: TreeNodes::default(),
            connectors: Connectors::default(),
            signing: None,
            commitment: None,
            signed: false,
            ready: false,
        })
    }

    /// Takes the next event. Those of other batches are ignored; a failure of this one is an error.
    pub(super) fn take(&mut self, event: Event) -> Result<Step, OperatorError> {
        match event {
            Event::TreeTx(event) if event.id == self.batch_id => self.tree_tx(event),
            Event::TreeSigningStarted(event) if event.id == self.batch_id => self.signing_started(event),
            Event::TreeNonces(event) if event.id == self.batch_id => self.nonces(event),
            Event::TreeSignature(event) if event.id == self.batch_id => self.signature(event),
            Event::BatchFinalization(event) if event.id == self.batch_id => self.finalization(event),
            Event::BatchFinalized(event) if event.id == self.batch_id => self.finalized(event),
            Event::BatchFailed(event) if event.id == self.batch_id => {
                Err(OperatorError::BatchFailed { reason: short(&event.reason), phase: self.phase })
            }
            _ => Ok(Step::On),
        }
    }

    /// The commitment transaction, once it is known.
    pub(super) fn commitment_txid(&self) -> Option<Txid> {
        self.commitment.as_ref().map(Transaction::compute_txid)
    }

    /// Whether anything of this batch concerns us so far.
    pub(super) fn is_ours(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn tree_tx(&mut self, event: wire::TreeTxEvent) -> Result<Step, OperatorError> {
        if event.tx.len() > MAX_NODE {
            return Err(OperatorError::refuse(format!("a node of {} characters", event.tx.len())));
        }
        let psbt = decode::psbt("TreeTx", &event.tx)?;
        match event.batch_index {
            0 if self.signing.is_none() => {
                let first = self.nodes.is_empty();
                self.nodes.add(psbt)?;
                Ok(if first { Step::Ours } else { Step::On })
            }
            0 => Err(OperatorError::refuse("a transaction was added to the tree while it was signed")),
            1 => self.connectors.add(psbt.unsigned_tx, &event.topic).map(|()| Step::On),
            _ => Ok(Step::On),
        }
    }

    fn signing_started(&mut self, event: wire::TreeSigningStartedEvent) -> Result<Step, OperatorError> {
        if self.party.leaves.is_empty() || self.signing.is_some() {
            return Ok(Step::On);
        }
        let commitment = decode::psbt("TreeSigningStarted", &event.unsigned_commitment_tx)?.unsigned_tx;
        check_outputs(&commitment, &self.party.onchain, true)?;
        let mut cosigners = vec![self.party.cosigner.public_key()];
        cosigners.extend(self.party.others);
        let terms = TreeTerms {
            forfeit_key: self.forfeit_key,
            expiry: self.expiry,
            cosigners: &cosigners,
            outputs: &self.party.leaves,
        };
        let tree = self.nodes.check(&commitment, &terms)?;
        let signer = TreeSigner::new(&tree, self.party.cosigner)?;
        let request = wire::SubmitTreeNoncesRequest {
            batch_id: self.batch_id.clone(),
            pubkey: self.party.cosigner.public_key().to_string(),
            tree_nonces: signer.nonces(),
        };
        self.phase = Phase::Signing;
        self.commitment = Some(commitment);
        self.signing = Some((tree, signer));
        Ok(Step::Nonces(request))
    }

    fn nonces(&mut self, event: wire::TreeNoncesEvent) -> Result<Step, OperatorError> {
        let txid = decode::txid("TreeNonces", &event.txid)?;
        let Some((_, signer)) = self.signing.as_mut().filter(|_| !self.signed) else { return Ok(Step::On) };
        signer.sign(txid, &event.nonces)?;
        let Some(signatures) = signer.signatures() else { return Ok(Step::On) };
        let request = wire::SubmitTreeSignaturesRequest {
            batch_id: self.batch_id.clone(),
            pubkey: self.party.cosigner.public_key().to_string(),
            tree_signatures: signatures,
        };
        // Once only, whatever comes of it.
        self.signed = true;
        Ok(Step::Signatures(request))
    }

    fn signature(&mut self, event: wire::TreeSignatureEvent) -> Result<Step, OperatorError> {
        const CALL: &str = "TreeSignature";
        if event.batch_index != 0 {
            return Ok(Step::On);
        }
        let txid = decode::txid(CALL, &event.txid)?;
        if let Some((tree, _)) = &mut self.signing {
            tree.add_signature(txid, &decode::bytes(CALL, &event.signature)?)?;
        }
        Ok(Step::On)
    }

    fn finalization(&mut self, event: wire::BatchFinalizationEvent) -> Result<Step, OperatorError> {
        if self.ready {
            return Ok(Step::On);
        }
        let commitment = decode::psbt("BatchFinalization", &event.commitment_tx)?;
        let commitment_txid = commitment.unsigned_tx.compute_txid();
        let mut leaves = Vec::new();
        if self.party.leaves.is_empty() {
            // There may be no tree at all, and then output 0 may be one of ours.
            check_outputs(&commitment.unsigned_tx, &self.party.onchain, false)?;
        } else {
            let (tree, _) =
                self.signing.as_ref().ok_or_else(|| OperatorError::refuse("the batch ends without our tree"))?;
            if tree.commitment_txid() != commitment_txid {
                let what = format!("{commitment_txid} is not the checked {}", tree.commitment_txid());
                return Err(OperatorError::refuse(what));
            }
            if !tree.is_signed() {
                return Err(OperatorError::refuse("a signature of our branch is missing"));
            }
            let branches = tree.branches(&self.party.leaves)?.into_iter();
            leaves = branches.map(|(outpoint, output, branch)| FundedLeaf { outpoint, output, branch }).collect();
        }
        let outcome = BatchOutcome {
            batch_id: self.batch_id.clone(),
            commitment: commitment.unsigned_tx.clone(),
            commitment_txid,
            expiry: self.expiry,
            leaves,
        };
        self.phase = Phase::Finalizing;
        self.ready = true;
        self.commitment = Some(commitment.unsigned_tx.clone());
        Ok(Step::Ready(Box::new(Ready { outcome, commitment })))
    }

    fn finalized(&mut self, event: wire::BatchFinalizedEvent) -> Result<Step, OperatorError> {
        let txid = decode::txid("BatchFinalized", &event.commitment_txid)?;
        match &self.commitment {
            Some(commitment) if self.ready && commitment.compute_txid() == txid => Ok(Step::Finalized),
            _ => Err(OperatorError::refuse(format!("{txid} was finalized, which is not the checked batch"))),
        }
    }
}
