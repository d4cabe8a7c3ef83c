//! An off-chain transaction with everything that signs it: own keys, the other side's signatures, the operator's.

use bitcoin::secp256k1::schnorr;
use bitcoin::{Psbt, Transaction, XOnlyPublicKey};
use serde::{Deserialize, Serialize};

use super::OffchainData;
use crate::channel::intent::{Intent, IntentInput, IntentMessage};
use crate::channel::offchain::{Checkpoint, OffchainInput, OffchainTx, OperatorSignatures};
use crate::channel::psbt;
use crate::channel::transactions::set_witness;
use crate::operator::SubmitAnswer;
use crate::wallet::batch::OutputData;
use crate::wallet::error::Result;
use crate::wallet::keys::SecretKeypair;
use crate::wallet::{Wallet, WalletError};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::wallet) struct AnswerData {
    pub ark: String,
    pub checkpoints: Vec<String>,
}

/// A transaction with everything to sign it.
pub(in crate::wallet) struct Job {
    pub tx: OffchainTx,
    pub operator: XOnlyPublicKey,
    /// One for each input.
    pub signers: Vec<Signer>,
    /// Proves to the operator that the pending transaction is ours to fetch.
    pub pending: Intent,
}

/// Who signs an input besides the operator.
pub(in crate::wallet) struct Signer {
    pub own: SecretKeypair,
    /// The other side's signatures, on the leaf that needs both.
    pub other: Option<OtherSignatures>,
}

pub(in crate::wallet) struct OtherSignatures {
    pub key: XOnlyPublicKey,
    pub is_payer: bool,
    pub ark: schnorr::Signature,
    pub checkpoint: schnorr::Signature,
}

impl AnswerData {
    pub(super) fn of(answer: &SubmitAnswer) -> Self {
        Self { ark: answer.ark.to_string(), checkpoints: answer.checkpoints.iter().map(Psbt::to_string).collect() }
    }

    /// The operator's signatures, checked again: what the database says is not believed either.
    pub fn signatures(&self, job: &Job) -> Result<OperatorSignatures> {
        let parse = |text: &String| -> Result<Psbt> {
            Ok(text.parse().map_err(|_| WalletError::CorruptFlow { what: "a submit answer" })?)
        };
        let checkpoints = self.checkpoints.iter().map(parse).collect::<Result<Vec<_>>>()?;
        Ok(job.tx.check_answer(&parse(&self.ark)?, &checkpoints, job.operator)?)
    }
}

impl Signer {
    /// In the order of the keys in every leaf that owners and operator share: the payer's comes first.
    fn in_order(
        &self,
        other: Option<schnorr::Signature>,
        own: schnorr::Signature,
        operator: schnorr::Signature,
    ) -> Vec<schnorr::Signature> {
        match (other, &self.other) {
            (Some(other), Some(side)) if side.is_payer => vec![other, own, operator],
            (Some(other), _) => vec![own, other, operator],
            (None, _) => vec![own, operator],
        }
    }
}

impl Job {
    /// A spend of own VTXOs.
    pub fn of_own(wallet: &Wallet, data: &OffchainData) -> Result<Self> {
        let mut inputs = Vec::with_capacity(data.inputs.len());
        let mut coins = Vec::with_capacity(data.inputs.len());
        let mut signers = Vec::with_capacity(data.inputs.len());
        for input in &data.inputs {
            let own = wallet.own_script(&input.script)?;
            inputs.push(wallet.offchain_input(&own, input.outpoint, input.amount)?);
            coins.push(wallet.intent_input(&own, input.outpoint, input.amount)?);
            let own = wallet.keys.keypair(Wallet::key_use(&own), own.key_index)?;
            signers.push(Signer { own, other: None });
        }
        let outputs = data.outputs.iter().map(OutputData::txout).collect();
        let tx = OffchainTx::new(&inputs, &data.checkpoint, outputs)?;
        let pending = pending_intent(&coins, &signers)?;
        Ok(Self { tx, operator: data.operator, signers, pending })
    }

    /// The ark transaction signed by everybody but the operator.
    pub(super) fn signed_ark(&self) -> Result<Psbt> {
        let mut ark = self.tx.ark_psbt()?;
        for (index, signer) in self.signers.iter().enumerate() {
            if let Some(other) = &signer.other {
                let leaf = &self.tx.checkpoint(index)?.leaf;
                psbt::add_signature(&mut ark, index, leaf, other.key, other.ark)?;
            }
            self.tx.sign_ark(&mut ark, index, &signer.own)?;
        }
        Ok(ark)
    }

    /// Both transactions with every signature: what a way on chain needs when finalizing comes to nothing.
    pub(super) fn signed(&self, operator: &OperatorSignatures) -> Result<AnswerData> {
        let mut ark = self.signed_ark()?;
        for (index, signature) in operator.ark.iter().enumerate() {
            psbt::add_signature(&mut ark, index, &self.tx.checkpoint(index)?.leaf, self.operator, *signature)?;
        }
        let checkpoints = self.final_checkpoints(operator)?;
        Ok(AnswerData { ark: ark.to_string(), checkpoints: checkpoints.iter().map(Psbt::to_string).collect() })
    }

    /// The checkpoints with every signature, verified once more here.
    pub(super) fn final_checkpoints(&self, operator: &OperatorSignatures) -> Result<Vec<Psbt>> {
        let each = self.tx.checkpoints.iter().zip(&self.signers).zip(&operator.checkpoints);
        each.map(|((checkpoint, signer), operator)| self.final_checkpoint(checkpoint, signer, operator)).collect()
    }

    /// Checkpoints and ark transaction with every signature, as they go on chain.
    pub fn transactions(&self, operator: &OperatorSignatures) -> Result<Vec<Transaction>> {
        let mut ark = self.tx.ark.clone();
        let mut signed = Vec::with_capacity(self.tx.checkpoints.len() + 1);
        let each = self.tx.checkpoints.iter().zip(&self.signers).zip(operator.checkpoints.iter().zip(&operator.ark));
        for (index, ((checkpoint, signer), (for_checkpoint, for_ark))) in each.enumerate() {
            let own = psbt::sign(&checkpoint.sighash()?, &signer.own);
            let other = signer.other.as_ref().map(|other| other.checkpoint);
            let mut tx = checkpoint.tx.clone();
            set_witness(&mut tx, psbt::witness(&checkpoint.vtxo_leaf, &signer.in_order(other, own, *for_checkpoint)));
            signed.push(tx);
            let own = psbt::sign(&self.tx.ark_sighash(index)?, &signer.own);
            let other = signer.other.as_ref().map(|other| other.ark);
            if let Some(input) = ark.input.get_mut(index) {
                input.witness = psbt::witness(&checkpoint.leaf, &signer.in_order(other, own, *for_ark));
            }
        }
        signed.push(ark);
        Ok(signed)
    }

    fn final_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        signer: &Signer,
        operator: &schnorr::Signature,
    ) -> Result<Psbt> {
        let message = checkpoint.sighash()?;
        let mut signatures = vec![(signer.own.xonly(), psbt::sign(&message, &signer.own)), (self.operator, *operator)];
        signatures.extend(signer.other.as_ref().map(|other| (other.key, other.checkpoint)));
        let mut signed = checkpoint.psbt()?;
        for (key, signature) in signatures {
            if !psbt::verify(&message, &key, &signature) {
                return Err(crate::channel::ChannelError::InvalidSignature { what: "checkpoint signature" }.into());
            }
            psbt::add_signature(&mut signed, 0, &checkpoint.vtxo_leaf, key, signature)?;
        }
        Ok(signed)
    }
}

/// A get-pending-tx proof over own coins, signed.
pub(in crate::wallet) fn pending_intent(coins: &[IntentInput], signers: &[Signer]) -> Result<Intent> {
    let mut intent = Intent::new(&IntentMessage::GetPendingTx { expire_at: 0 }, coins, Vec::new())?;
    let keys = signers.first().into_iter().chain(signers).map(|signer| &signer.own);
    for (index, keypair) in keys.enumerate() {
        intent.sign_input(index, keypair)?;
    }
    Ok(intent)
}

/// A get-pending-tx proof over one coin.
pub(in crate::wallet) fn pending_intent_of(coin: &OffchainInput, keypair: &SecretKeypair) -> Result<Intent> {
    let mut input = IntentInput::unlocked(coin.outpoint, coin.amount, coin.tree.clone(), coin.leaf);
    if let Some(locktime) = coin.locktime {
        input.locktime = Some(locktime);
        input.sequence = bitcoin::Sequence::ENABLE_LOCKTIME_NO_RBF;
    }
    let mut intent = Intent::new(&IntentMessage::GetPendingTx { expire_at: 0 }, &[input], Vec::new())?;
    intent.sign_all(keypair)?;
    Ok(intent)
}
