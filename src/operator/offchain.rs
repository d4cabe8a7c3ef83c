//! Off-chain transactions: submit, finalize, and what was submitted before.

use std::time::Duration;

use bitcoin::{Psbt, Txid, XOnlyPublicKey};

use super::client::CALL_LIMIT;
use super::error::OperatorError;
use super::{Operator, decode, intents, wire};
use crate::channel::intent::Intent;
use crate::channel::offchain::{OffchainTx, OperatorSignatures};
use crate::task;

/// arkd checks every signature before it answers.
const SUBMIT_LIMIT: Duration = Duration::from_secs(30);

/// How long to wait for FinalizeTx. The call itself goes on: arkd fails a transaction for good when it is dropped.
const FINALIZE_WAIT: Duration = Duration::from_secs(90);

/// More pending transactions than a proof can have inputs.
const MAX_PENDING: usize = 100;

/// The checked answer of SubmitTx: worth storing before anything else is signed.
#[derive(Debug, Clone)]
pub struct SubmitAnswer {
    /// The ark transaction with the operator's signature.
    pub ark: Psbt,
    /// The checkpoints with the operator's signatures, in the order of [`OffchainTx::checkpoints`].
    pub checkpoints: Vec<Psbt>,
    pub signatures: OperatorSignatures,
}

/// A submitted transaction that was not finalized, as the operator returns it. Not checked yet: see
/// [`SubmitAnswer::check`].
#[derive(Debug, Clone)]
pub struct PendingTx {
    pub ark_txid: Txid,
    pub ark: Psbt,
    pub checkpoints: Vec<Psbt>,
}

impl SubmitAnswer {
    /// Checks what came back against our own transactions: the same ids, the operator's valid signature everywhere.
    pub fn check(
        tx: &OffchainTx,
        ark: Psbt,
        checkpoints: Vec<Psbt>,
        operator_key: XOnlyPublicKey,
    ) -> Result<Self, OperatorError> {
        let signatures = tx.check_answer(&ark, &checkpoints, operator_key)?;
        let in_order = tx.checkpoints.iter().filter_map(|checkpoint| {
            let txid = checkpoint.tx.compute_txid();
            checkpoints.iter().find(|answer| answer.unsigned_tx.compute_txid() == txid).cloned()
        });
        Ok(Self { ark, checkpoints: in_order.collect(), signatures })
    }
}

impl Operator {
    /// Submits `signed_ark` (with all signatures but the operator's) and the unsigned checkpoints. A second try of an
    /// accepted transaction does no harm: it is refused as a duplicate ([`OperatorError::is_duplicate`]), or, right
    /// after the first, as VTXO_ALREADY_SPENT. [`Operator::find_pending`] tells.
    pub async fn submit(
        &self,
        tx: &OffchainTx,
        signed_ark: &Psbt,
        operator_key: XOnlyPublicKey,
    ) -> Result<SubmitAnswer, OperatorError> {
        const CALL: &str = "SubmitTx";
        let checkpoints = tx
            .checkpoints
            .iter()
            .map(|checkpoint| checkpoint.psbt().map(|psbt| decode::encode_psbt(&psbt)))
            .collect::<Result<Vec<_>, _>>()?;
        let request =
            wire::SubmitTxRequest { signed_ark_tx: decode::encode_psbt(signed_ark), checkpoint_txs: checkpoints };
        let answer = self.call(SUBMIT_LIMIT, &request).await?;
        if answer.signed_checkpoint_txs.len() != tx.checkpoints.len() {
            let what = format!("{} checkpoints, expected {}", answer.signed_checkpoint_txs.len(), tx.checkpoints.len());
            return Err(OperatorError::bad(CALL, what));
        }
        let ark = decode::psbt(CALL, &answer.final_ark_tx)?;
        let checkpoints = psbts(CALL, &answer.signed_checkpoint_txs)?;
        SubmitAnswer::check(tx, ark, checkpoints, operator_key)
    }

    /// Finalizes a submitted transaction; `final_checkpoints` carry every key's signature. An error here does not say
    /// that it failed: look whether its outputs exist. Dropping the returned future does not cancel the call.
    pub async fn finalize(&self, tx: &OffchainTx, final_checkpoints: &[Psbt]) -> Result<(), OperatorError> {
        self.finalize_txid(tx.txid(), final_checkpoints).await
    }

    /// The same, for a transaction that is known by its id.
    pub async fn finalize_txid(&self, ark_txid: Txid, final_checkpoints: &[Psbt]) -> Result<(), OperatorError> {
        const CALL: &str = "FinalizeTx";
        let request = wire::FinalizeTxRequest {
            ark_txid: ark_txid.to_string(),
            final_checkpoint_txs: final_checkpoints.iter().map(decode::encode_psbt).collect(),
        };
        let operator = self.clone();
        // A task of its own, without a deadline on the wire: the connection's keepalive ends it when it is dead.
        let running = task::answered(async move { operator.call(Duration::from_secs(3600), &request).await });
        match tokio::time::timeout(FINALIZE_WAIT, running).await {
            Ok(Some(result)) => result.map(drop),
            Ok(None) => Err(OperatorError::StreamEnded { why: "the runtime is shutting down".into() }),
            Err(_) => Err(OperatorError::Timeout { call: CALL, seconds: FINALIZE_WAIT.as_secs() }),
        }
    }

    /// The submitted, not finalized transaction `ark_txid`, which spends the proof's inputs. Looks three times within
    /// three seconds before it says that there is none: for a moment after SubmitTx has accepted a transaction, arkd
    /// shows its inputs as spent and no pending transaction.
    pub async fn find_pending(&self, intent: &Intent, ark_txid: Txid) -> Result<Option<PendingTx>, OperatorError> {
        for pause in [1, 2] {
            let found = self.pending_txs(intent).await?.into_iter().find(|pending| pending.ark_txid == ark_txid);
            if found.is_some() {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
        Ok(self.pending_txs(intent).await?.into_iter().find(|pending| pending.ark_txid == ark_txid))
    }

    /// The submitted, not finalized transactions that spend the proof's inputs.
    pub async fn pending_txs(&self, intent: &Intent) -> Result<Vec<PendingTx>, OperatorError> {
        const CALL: &str = "GetPendingTx";
        let identifier = wire::get_pending_tx_request::Identifier::Intent(intents::encode(intent));
        let request = wire::GetPendingTxRequest { identifier: Some(identifier) };
        let answer = self.call(CALL_LIMIT, &request).await?;
        if answer.pending_txs.len() > MAX_PENDING {
            return Err(OperatorError::bad(CALL, format!("{} transactions", answer.pending_txs.len())));
        }
        let pending = answer.pending_txs.iter().map(|pending| {
            let ark = decode::psbt(CALL, &pending.final_ark_tx)?;
            let ark_txid = ark.unsigned_tx.compute_txid();
            if ark_txid != decode::txid(CALL, &pending.ark_txid)? {
                return Err(OperatorError::bad(CALL, format!("{ark_txid} under another id")));
            }
            Ok(PendingTx { ark_txid, ark, checkpoints: psbts(CALL, &pending.signed_checkpoint_txs)? })
        });
        pending.collect()
    }
}

fn psbts(call: &'static str, texts: &[String]) -> Result<Vec<Psbt>, OperatorError> {
    if texts.len() > 1000 {
        return Err(OperatorError::bad(call, format!("{} PSBTs", texts.len())));
    }
    texts.iter().map(|text| decode::psbt(call, text)).collect()
}
