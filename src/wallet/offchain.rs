//! Off-chain transactions: submit, store the answer, only then sign the checkpoints, finalize.
//!
//! Sending, closing, refunding and funding a channel off chain are the same flow with other inputs. Its journal entry
//! has two steps: [`step::BUILT`] and [`step::ANSWERED`] (a close also [`step::MISMATCH`], a release
//! [`step::REFUSED`]). A fully signed checkpoint never leaves before the operator's signature on the ark transaction is
//! stored.

mod job;

use std::time::Duration;

use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut, Txid, XOnlyPublicKey};
use serde::{Deserialize, Serialize};

use super::batch::{InputData, OpeningData, OutputData, decode, encode};
use super::ending::Ending;
use super::error::Result;
use super::events::Step;
use super::{Wallet, WalletError};
use crate::channel::script::CheckpointScript;
use crate::channel::{Channel, ChannelId};
use crate::operator::{Operator, OperatorError, SubmitAnswer, code};
use crate::store::{ChannelState, Db, Flow, FlowKind};

pub(super) use job::{AnswerData, Job, OtherSignatures, Signer, pending_intent, pending_intent_of};

/// The steps of an off-chain flow.
pub(super) mod step {
    /// Everything that is needed to build and sign the same transaction again is stored.
    pub const BUILT: &str = "built";
    /// Only a close: the operator has another checkpoint script and took nothing. The payer may sign the same amount
    /// again for the new one; in no other step may the signatures change.
    pub const MISMATCH: &str = "mismatch";
    /// Only a release: the operator took nothing. It can be tried again, or given up for a refund.
    pub const REFUSED: &str = "refused";
    /// The operator's signatures are stored.
    pub const ANSWERED: &str = "answered";
}

/// A second look at a refused finalization comes this much later, in seconds.
const SECOND_LOOK: u64 = 60;

/// How long a finalized transaction may take to be in the operator's books, and how often to look.
pub(super) const BOOKS_PATIENCE: Duration = Duration::from_secs(10);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an off-chain flow needs to go on in another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OffchainData {
    /// Own VTXOs; empty when the channel VTXO is what is spent.
    pub inputs: Vec<InputData>,
    /// Without the anchor.
    pub outputs: Vec<OutputData>,
    pub checkpoint: CheckpointScript,
    /// The operator's signer key in the spent leaves.
    pub operator: XOnlyPublicKey,
    /// The channel, for a close or refund.
    pub channel: Option<String>,
    /// For a funding: what the channel is.
    pub opening: Option<OpeningData>,
    /// For a release: the receiver's grant, as text.
    #[serde(default)]
    pub grant: Option<String>,
    /// The operator's answer, from [`step::ANSWERED`] on.
    pub answer: Option<AnswerData>,
    /// When the operator refused to finalize (unix seconds).
    pub refused_at: Option<u64>,
}

impl OffchainData {
    /// The close of a channel under a checkpoint script, of which nothing is answered yet.
    pub fn of_close(channel: &Channel, checkpoint: CheckpointScript) -> Self {
        Self {
            inputs: Vec::new(),
            outputs: Vec::new(),
            checkpoint,
            operator: channel.terms.operator,
            channel: Some(channel.id.to_string()),
            opening: None,
            grant: None,
            answer: None,
            refused_at: None,
        }
    }
}

impl Wallet {
    /// Takes an off-chain flow to its end and completes what it is for. Any error leaves the flow where it can be gone
    /// on with, except a clean refusal of a send or funding, which ends it.
    pub(super) async fn drive_offchain(&self, id: [u8; 32]) -> Result<Txid> {
        let operator = self.net.operator().await?;
        let mut flow = self.store.read(|db| db.flow(&id))?.ok_or(WalletError::NotFound)?;
        let mut data: OffchainData = decode(&flow)?;
        let job = self.offchain_job(&flow, &data)?;
        let ark_txid = job.tx.txid();
        // An earlier process may have come to the end: finalizing again would mark the transaction failed in arkd.
        let mut is_final = false;
        if flow.step == step::ANSWERED {
            is_final = match self.ending(operator, &job).await? {
                Ending::Open => false,
                Ending::Claimed => return Err(Box::new(WalletError::OutcomeUnknown { ark_txid })),
                Ending::Proven(_) => true,
            };
        }
        if flow.step == step::BUILT {
            let answer;
            (answer, is_final) = self.submit(operator, &flow, &job).await?;
            data.answer = Some(AnswerData::of(&answer));
            let signed = job.signed(&answer.signatures)?;
            let now = self.timestamp();
            self.store.write::<_, Box<WalletError>>(|db| {
                db.update_flow(&id, step::BUILT, step::ANSWERED, &encode(&data)?, now)?;
                if let Some(channel) = channel_id(&data)? {
                    db.set_submit_answer(&channel, &encode(&signed)?)?;
                    if flow.kind == FlowKind::Refund {
                        // The operator has signed: from here on nothing is paid any more.
                        db.set_state(&channel, &super::refund::REFUNDABLE, ChannelState::Refunding)?;
                    }
                }
                Ok(())
            })?;
            flow.step = step::ANSWERED.into();
            self.events.progress(&id, Step::Submitted);
        }
        if is_final {
            self.complete_offchain(&flow, &data, &job).await?;
            return Ok(ark_txid);
        }
        let answer = data.answer.as_ref().ok_or(WalletError::CorruptFlow { what: flow.kind.as_str() })?;
        let signatures = answer.signatures(&job)?;
        let checkpoints = job.final_checkpoints(&signatures)?;
        if let Err(error) = operator.finalize(&job.tx, &checkpoints).await {
            self.after_finalize_error(operator, &flow, &data, &job, error).await?;
        }
        self.await_books(operator, ark_txid).await;
        self.complete_offchain(&flow, &data, &job).await?;
        self.events.progress(&id, Step::Finalized);
        Ok(ark_txid)
    }

    /// Submits, or finds what was submitted before; and whether it is finalized already.
    async fn submit(&self, operator: &Operator, flow: &Flow, job: &Job) -> Result<(SubmitAnswer, bool)> {
        let ark_txid = job.tx.txid();
        let error = match operator.submit(&job.tx, &job.signed_ark()?, job.operator).await {
            Ok(answer) => return Ok((answer, false)),
            Err(error) => error,
        };
        // Only a refusal in arkd's own words says that nothing was accepted. The answer may have been lost, now or in an
        // earlier process, or be of no use.
        if is_clean_refusal(&error) {
            self.end_refused(flow)?;
            return Err(error.into());
        }
        match operator.find_pending(&job.pending, ark_txid).await {
            Ok(Some(found)) => {
                let answer = SubmitAnswer::check(&job.tx, found.ark, found.checkpoints, job.operator)?;
                return Ok((answer, false));
            }
            Ok(None) => {}
            // A pending transaction would have been shown: there is none.
            Err(refused) if is_clean_refusal(&refused) => {}
            Err(unusable) if unusable.is_transport() => return Err(Box::new(WalletError::OutcomeUnknown { ark_txid })),
            Err(unusable) => return Err(unusable.into()),
        }
        match self.ending(operator, job).await? {
            Ending::Proven(answer) => return Ok((*answer, true)),
            Ending::Claimed => return Err(Box::new(WalletError::OutcomeUnknown { ark_txid })),
            Ending::Open => {}
        }
        if error.is_transport() {
            return Err(Box::new(WalletError::OutcomeUnknown { ark_txid }));
        }
        self.end_refused(flow)?;
        Err(error.into())
    }

    /// A send, funding or refund that was cleanly refused leaves nothing behind. A close is one-way and stays, and so
    /// does a release, for the receiver's signatures in it.
    fn end_refused(&self, flow: &Flow) -> Result<()> {
        match flow.kind {
            FlowKind::Send | FlowKind::OpenOffchain | FlowKind::Refund => {
                Ok(self.store.write(|db| db.delete_flow(&flow.id))?)
            }
            FlowKind::Release => {
                let now = self.timestamp();
                Ok(self.store.write(|db| db.update_flow(&flow.id, step::BUILT, step::REFUSED, &flow.data, now))?)
            }
            _ => Ok(()),
        }
    }

    /// Finalizing failed, or its answer was lost: what the operator shows then says which. Two looks, a minute apart,
    /// before it counts as failed.
    async fn after_finalize_error(
        &self,
        operator: &Operator,
        flow: &Flow,
        data: &OffchainData,
        job: &Job,
        error: OperatorError,
    ) -> Result<()> {
        let ark_txid = job.tx.txid();
        for wait in [0, 1, 2] {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            match self.ending(operator, job).await {
                Ok(Ending::Proven(_)) => return Ok(()),
                Ok(Ending::Open | Ending::Claimed) => {}
                Err(_) => return Err(Box::new(WalletError::OutcomeUnknown { ark_txid })),
            }
        }
        if error.is_transport() {
            return Err(Box::new(WalletError::OutcomeUnknown { ark_txid }));
        }
        let now = self.timestamp();
        match data.refused_at {
            Some(first) if now >= first.saturating_add(SECOND_LOOK) => {
                Err(Box::new(WalletError::FinalizeFailed { ark_txid, why: error.to_string() }))
            }
            Some(_) => Err(Box::new(WalletError::OutcomeUnknown { ark_txid })),
            None => {
                let data = OffchainData { refused_at: Some(now), ..data.clone() };
                self.store.write::<_, Box<WalletError>>(|db| {
                    Ok(db.update_flow(&flow.id, step::ANSWERED, step::ANSWERED, &encode(&data)?, now)?)
                })?;
                Err(Box::new(WalletError::OutcomeUnknown { ark_txid }))
            }
        }
    }

    /// arkd answers before its indexer has the transaction, and what comes next looks for it there: the checks of a
    /// funding, a balance. The waiting has an end; who does not find it then says so.
    async fn await_books(&self, operator: &Operator, ark_txid: Txid) {
        let looks = async {
            while !self.outputs_exist(operator, ark_txid).await.unwrap_or(false) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(BOOKS_PATIENCE, looks).await;
    }

    pub(super) fn offchain_job(&self, flow: &Flow, data: &OffchainData) -> Result<Job> {
        match flow.kind {
            FlowKind::Close => self.close_job(data),
            FlowKind::Refund => self.refund_job(data),
            FlowKind::Release => self.release_job(data),
            _ => Job::of_own(self, data),
        }
    }

    async fn complete_offchain(&self, flow: &Flow, data: &OffchainData, job: &Job) -> Result<()> {
        if let Some(answer) = &data.answer {
            self.keep_outputs(job, &answer.signatures(job)?)?;
        }
        match flow.kind {
            FlowKind::Close | FlowKind::Release => self.complete_close(flow, data, job),
            FlowKind::Refund => self.complete_refund(flow, data, job).await,
            FlowKind::OpenOffchain => self.complete_funding(flow, data, job).await,
            _ => self.store.write(|db| self.end_sent(db, flow, data, job)),
        }
    }

    /// The coins of an off-chain transaction that is final are gone, and its flow is over.
    pub(super) fn end_sent(&self, db: &Db<'_>, flow: &Flow, data: &OffchainData, job: &Job) -> Result<()> {
        let txid = job.tx.txid();
        data.inputs.iter().try_for_each(|input| db.sign_away(&input.outpoint, &txid, true))?;
        self.mark_spent(db, &data.inputs)?;
        Ok(db.delete_flow(&flow.id)?)
    }

    /// Starts an off-chain flow over own coins: journal entry and coin locks in one transaction.
    pub(super) fn start_offchain(&self, id: [u8; 32], kind: FlowKind, data: &OffchainData) -> Result<()> {
        let now = self.timestamp();
        let flow = Flow { id, kind, step: step::BUILT.into(), data: encode(data)?, created_at: now, updated_at: now };
        let coins: Vec<OutPoint> = data.inputs.iter().map(|input| input.outpoint).collect();
        self.store.write(|db| {
            db.insert_flow(&flow)?;
            Ok(db.lock_coins(&id, &coins)?)
        })
    }
}

/// Whether arkd said no before it took anything: a code of its own, and none that a transaction which was accepted
/// earlier gets, too (nor one that looks at headers only).
fn is_clean_refusal(error: &OperatorError) -> bool {
    const UNSURE: [i32; 4] =
        [code::INTERNAL_ERROR, code::VTXO_ALREADY_SPENT, code::BUILD_VERSION_TOO_OLD, code::DIGEST_MISMATCH];
    let code = error.arkd().and_then(|arkd| arkd.code);
    code.is_some_and(|code| !UNSURE.contains(&code)) && !error.is_duplicate()
}

/// The channel an off-chain flow is about.
pub(super) fn channel_id(data: &OffchainData) -> Result<Option<ChannelId>> {
    Ok(data.channel.as_ref().map(|text| text.parse()).transpose()?)
}

/// An output as data.
pub(super) fn output(script: ScriptBuf, amount: Amount) -> OutputData {
    OutputData { script, amount, onchain: false }
}

/// What an output pays, where it does.
pub(super) fn output_to(job: &Job, script: &ScriptBuf) -> Option<OutPoint> {
    let position = job.tx.ark.output.iter().position(|output: &TxOut| output.script_pubkey == *script)?;
    Some(OutPoint::new(job.tx.txid(), position as u32))
}
