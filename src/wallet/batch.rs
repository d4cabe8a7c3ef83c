//! Flows through a batch: settling, withdrawing, opening. One journal entry each; see [`Wallet::run_batch`].

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, ScriptBuf, TxOut, Txid};
use serde::{Deserialize, Serialize};

use super::coins::Coin;
use super::error::Result;
use super::events::Step;
use super::keys::KeyUse;
use super::offchain::{BOOKS_PATIENCE, LOOK_EVERY};
use super::{Wallet, WalletError};
use crate::channel::deadline::Timing;
use crate::channel::intent::{Intent, IntentMessage};
use crate::channel::{ChannelTerms, Delay, OperatorInfo};
use crate::operator::{
    BatchInput, BatchObserver, BatchOutcome, BatchOutput, BatchPlan, InputKind, OperatorError, Veto, join,
};
use crate::store::{Db, Flow, FlowKind, StoreError};

/// The steps of a batch flow.
pub(super) mod step {
    /// Nothing irrevocable has been signed: the session can be abandoned and joined again.
    pub const REGISTERING: &str = "registering";
    /// Branches are stored and inputs may be signed away: whether it went through must be looked up.
    pub const READY: &str = "ready";
}

/// What a batch flow needs to go on in another process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct BatchData {
    pub inputs: Vec<InputData>,
    pub outputs: Vec<OutputData>,
    pub cosigner_index: u32,
    pub other_cosigners: Vec<PublicKey>,
    /// For openings: what the channel is.
    pub opening: Option<OpeningData>,
    /// From [`step::READY`] on.
    pub outcome: Option<OutcomeData>,
    /// Commitments of earlier attempts that may still be published.
    pub earlier: Vec<OutcomeData>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct InputData {
    pub outpoint: OutPoint,
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub amount: Amount,
    pub script: ScriptBuf,
    pub kind: InputKindData,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum InputKindData {
    Vtxo,
    Boarding,
    Recoverable,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OutputData {
    pub script: ScriptBuf,
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub amount: Amount,
    pub onchain: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct OpeningData {
    /// The Offer as text: terms, cosigner, funding.
    pub offer: String,
    pub key_index: u32,
    /// Until when the other side listens (unix seconds); 0 before the Accept.
    pub valid_until: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OutcomeData {
    pub commitment: Txid,
    pub expiry: Delay,
    pub leaves: Vec<OutPoint>,
    pub levels: Vec<u32>,
    /// Unix seconds.
    pub at: u64,
}

impl InputData {
    pub fn of(coin: &Coin) -> Self {
        let kind = match coin.batch_kind() {
            InputKind::Vtxo => InputKindData::Vtxo,
            InputKind::Boarding => InputKindData::Boarding,
            InputKind::Recoverable => InputKindData::Recoverable,
        };
        Self { outpoint: coin.outpoint, amount: coin.amount, script: coin.own.script.clone(), kind }
    }
}

impl OutputData {
    pub fn txout(&self) -> TxOut {
        TxOut { value: self.amount, script_pubkey: self.script.clone() }
    }
}

impl OutcomeData {
    pub fn of(outcome: &BatchOutcome, at: u64) -> Self {
        Self {
            commitment: outcome.commitment_txid,
            expiry: outcome.expiry,
            leaves: outcome.leaves.iter().map(|leaf| leaf.outpoint).collect(),
            levels: outcome.leaves.iter().map(|leaf| leaf.branch.nodes.len() as u32).collect(),
            at,
        }
    }

    /// An attempt of which nothing but its commitment transaction is known; without leaves nobody reads `expiry`.
    fn unseen(commitment: Txid, expiry: Delay, at: u64) -> Self {
        Self { commitment, expiry, leaves: Vec::new(), levels: Vec::new(), at }
    }
}

pub(super) fn encode<T: Serialize>(data: &T) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(data).map_err(|_| WalletError::CorruptFlow { what: "a flow" })?)
}

pub(super) fn decode<T: for<'a> Deserialize<'a>>(flow: &Flow) -> Result<T> {
    Ok(serde_json::from_slice(&flow.data).map_err(|_| WalletError::CorruptFlow { what: flow.kind.as_str() })?)
}

impl Wallet {
    /// Starts a batch flow: journal entry and coin locks in one transaction.
    pub(super) fn start_batch(&self, id: [u8; 32], kind: FlowKind, data: &BatchData) -> Result<()> {
        let now = self.timestamp();
        let step = step::REGISTERING.to_string();
        let flow = Flow { id, kind, step, data: encode(data)?, created_at: now, updated_at: now };
        let coins: Vec<OutPoint> = data.inputs.iter().map(|input| input.outpoint).collect();
        self.store.write(|db| {
            db.insert_flow(&flow)?;
            Ok(db.lock_coins(&id, &coins)?)
        })
    }

    /// One attempt at a batch for a flow at [`step::REGISTERING`]. Errors leave the flow there, except
    /// [`WalletError::BatchUndecided`], which leaves it at [`step::READY`].
    pub(super) async fn run_batch(&self, id: [u8; 32]) -> Result<OutcomeData> {
        let flow = self.store.read(|db| db.flow(&id))?.ok_or(WalletError::NotFound)?;
        let data: BatchData = decode(&flow)?;
        self.store.read(|db| check_held(db, &id, &data.inputs))?;
        let operator = self.net.operator().await?;
        let info = self.info()?;
        let plan = self.batch_plan(&data, &info)?;
        let terms = match &data.opening {
            Some(opening) => Some(crate::channel::Offer::parse(&opening.offer)?.terms),
            None => None,
        };
        let reopened = self.store.reopened();
        let mut observer = Observer { wallet: self.clone(), id, data: data.clone(), terms, info: info.clone() };
        match join(operator, &plan, &mut observer).await {
            Ok(outcome) => {
                self.events.progress(&id, Step::BatchFinalized);
                let outcome = OutcomeData::of(&outcome, self.timestamp());
                self.await_leaves(&outcome).await;
                Ok(outcome)
            }
            Err(OperatorError::OutcomeUnknown { commitment, cause }) => {
                let mut data = observer.data;
                match data.outcome.clone() {
                    Some(outcome) => self.decide(id, outcome, &data, *cause).await,
                    // Expired inputs go with the intent's signature alone: no branch came, but a batch may.
                    None => {
                        let at = self.timestamp();
                        data.earlier.extend(
                            commitment
                                .map(|commitment| OutcomeData::unseen(commitment, info.unilateral_exit_delay, at)),
                        );
                        self.abandon(id, &data)?;
                        Err((*cause).into())
                    }
                }
            }
            // The branches could not be stored, so nothing was signed away; resuming goes on.
            Err(OperatorError::Veto { .. }) if self.was_released(reopened) => Err(StoreError::Released.into()),
            Err(error) => {
                // The veto or failure came before anything irrevocable: back to the start, whatever was stored.
                self.abandon(id, &observer.data)?;
                Err(error.into())
            }
        }
    }

    /// arkd tells the end of a batch before its indexer has the VTXOs, and a balance is asked for next. The waiting has an
    /// end; the batch is done all the same.
    async fn await_leaves(&self, outcome: &OutcomeData) {
        let Ok(operator) = self.net.operator().await else { return };
        let looks = async {
            while operator.vtxos_by_outpoints(&outcome.leaves).await.map_or(0, |found| found.len())
                < outcome.leaves.len()
            {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let _ = tokio::time::timeout(BOOKS_PATIENCE, looks).await;
    }

    /// After a session whose end was lost, or that failed when everything was signed: looks whether the batch went
    /// through. One that the operator called failed may be tried again: should both be published, the operator pays
    /// twice, we do not.
    async fn decide(
        &self,
        id: [u8; 32],
        outcome: OutcomeData,
        data: &BatchData,
        cause: OperatorError,
    ) -> Result<OutcomeData> {
        let failed = matches!(cause, OperatorError::BatchFailed { .. });
        for _ in 0..5 {
            match self.batch_went_through(&outcome, data).await {
                Ok(Some(true)) => return Ok(outcome),
                Ok(_) if failed => {
                    self.abandon(id, data)?;
                    return Err(cause.into());
                }
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
        Err(Box::new(WalletError::BatchUndecided { txid: outcome.commitment }))
    }

    /// Whether the operator's books or the chain show the batch (`Some(true)`), or do not say.
    pub(super) async fn batch_went_through(&self, outcome: &OutcomeData, data: &BatchData) -> Result<Option<bool>> {
        if self.net.chain.transaction(outcome.commitment).await?.is_some() {
            return Ok(Some(true));
        }
        let operator = self.net.operator().await?;
        if !outcome.leaves.is_empty() && !operator.vtxos_by_outpoints(&outcome.leaves).await?.is_empty() {
            return Ok(Some(true));
        }
        let vtxos: Vec<OutPoint> = data
            .inputs
            .iter()
            .filter(|input| input.kind != InputKindData::Boarding)
            .map(|input| input.outpoint)
            .collect();
        if !vtxos.is_empty() {
            let books = operator.vtxos_by_outpoints(&vtxos).await?;
            if books.iter().any(|vtxo| vtxo.settled_by == Some(outcome.commitment)) {
                return Ok(Some(true));
            }
        }
        Ok(None)
    }

    /// Takes a flow back to its start; the branches of the attempt are kept, since its commitment transaction may
    /// still be published.
    pub(super) fn abandon(&self, id: [u8; 32], data: &BatchData) -> Result<()> {
        let mut data = data.clone();
        let from = match data.outcome.take() {
            Some(outcome) => {
                data.earlier.push(outcome);
                step::READY
            }
            None => step::REGISTERING,
        };
        self.store.write(|db| {
            self.sign_away(db, &data.inputs, data.commitments())?;
            Ok(db.update_flow(&id, from, step::REGISTERING, &encode(&data)?, self.timestamp())?)
        })
    }

    /// Tries to take back the intents over a flow's inputs, so that they are free again.
    pub(super) async fn delete_intents(&self, data: &BatchData) -> Result<()> {
        let info = self.info()?;
        let plan = self.batch_plan(data, &info)?;
        let message = IntentMessage::Delete { expire_at: self.now().unix() + 600 };
        let intent = signed_intent(&plan, &message, Vec::new())?;
        match self.net.operator().await?.delete_intent(&intent).await {
            // Nothing queued is what was wanted.
            Err(OperatorError::Refused { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The fee the operator asks for such an intent. The outputs' amounts may still change by it.
    pub(super) async fn batch_fee(&self, data: &BatchData) -> Result<Amount> {
        let info = self.info()?;
        if info.fees.is_free() {
            return Ok(Amount::ZERO);
        }
        let plan = self.batch_plan(data, &info)?;
        let outputs: Vec<TxOut> = plan.outputs.iter().map(|output| output.txout().clone()).collect();
        let onchain = plan.outputs.iter().enumerate().filter(|(_, output)| matches!(output, BatchOutput::Onchain(_)));
        let mut cosigners = vec![plan.cosigner.public_key()];
        cosigners.extend(&plan.other_cosigners);
        let message = IntentMessage::EstimateFee {
            onchain_outputs: onchain.map(|(index, _)| index as u32).collect(),
            valid_at: 0,
            expire_at: 0,
            cosigners,
        };
        let intent = signed_intent(&plan, &message, outputs)?;
        let fee = self.net.operator().await?.estimate_fee(&intent).await?;
        Ok(fee.to_unsigned().unwrap_or(Amount::ZERO))
    }

    fn batch_plan(&self, data: &BatchData, info: &OperatorInfo) -> Result<BatchPlan> {
        let mut inputs = Vec::with_capacity(data.inputs.len());
        for input in &data.inputs {
            let (coin, keypair) = match self.expired_channel(input)? {
                Some((coin, keypair)) => (coin, *keypair),
                None => {
                    let own = self.own_script(&input.script)?;
                    let coin = self.intent_input(&own, input.outpoint, input.amount)?;
                    (coin, *self.keys.keypair(Self::key_use(&own), own.key_index)?)
                }
            };
            let kind = match input.kind {
                InputKindData::Vtxo => InputKind::Vtxo,
                InputKindData::Boarding => InputKind::Boarding,
                InputKindData::Recoverable => InputKind::Recoverable,
            };
            inputs.push(BatchInput { coin, kind, keypair });
        }
        let outputs = data.outputs.iter().map(|output| match output.onchain {
            true => BatchOutput::Onchain(output.txout()),
            false => BatchOutput::Offchain(output.txout()),
        });
        Ok(BatchPlan {
            inputs,
            outputs: outputs.collect(),
            cosigner: *self.keys.keypair(KeyUse::Cosigner, data.cosigner_index)?,
            other_cosigners: data.other_cosigners.clone(),
            expire_at: 0,
            patience: Duration::from_secs(info.session_seconds.saturating_mul(3).clamp(30, 900)),
        })
    }
}

/// An intent over the plan's inputs, signed by their keys.
fn signed_intent(plan: &BatchPlan, message: &IntentMessage, outputs: Vec<TxOut>) -> Result<Intent> {
    let coins: Vec<_> = plan.inputs.iter().map(|input| input.coin.clone()).collect();
    let mut intent = Intent::new(message, &coins, outputs)?;
    let keys = plan.inputs.first().into_iter().chain(&plan.inputs).map(|input| &input.keypair);
    for (index, keypair) in keys.enumerate() {
        intent.sign_input(index, keypair)?;
    }
    Ok(intent)
}

/// Checks what only the wallet can check, and makes durable what must be.
struct Observer {
    wallet: Wallet,
    id: [u8; 32],
    data: BatchData,
    /// For openings.
    terms: Option<ChannelTerms>,
    info: std::sync::Arc<OperatorInfo>,
}

impl BatchObserver for Observer {
    fn registered(&mut self, _intent_id: &str) -> std::result::Result<(), Veto> {
        self.wallet.events.progress(&self.id, Step::Registered);
        Ok(())
    }

    fn started(&mut self, _batch_id: &str, expiry: Delay) -> std::result::Result<(), Veto> {
        self.wallet.learn_batch_expiry(expiry).map_err(veto)?;
        if let Some(terms) = &self.terms {
            self.wallet.check_timing(terms, &self.info, expiry, 1).map_err(veto)?;
        }
        self.wallet.events.progress(&self.id, Step::BatchStarted);
        Ok(())
    }

    fn signed(&mut self) {
        self.wallet.events.progress(&self.id, Step::TreeSigned);
    }

    fn ready(&mut self, outcome: &BatchOutcome) -> std::result::Result<(), Veto> {
        if let (Some(terms), Some(leaf)) = (&self.terms, outcome.leaves.first()) {
            let levels = leaf.branch.nodes.len() as u64;
            self.wallet.check_timing(terms, &self.info, outcome.expiry, levels).map_err(veto)?;
        }
        self.data.outcome = Some(OutcomeData::of(outcome, self.wallet.timestamp()));
        let stored = self.wallet.store.write::<_, Box<WalletError>>(|db| {
            check_held(db, &self.id, &self.data.inputs)?;
            for leaf in &outcome.leaves {
                db.put_branch(&leaf.outpoint, &leaf.branch)?;
            }
            // From here on the batch may come whatever becomes of this flow.
            self.wallet.sign_away(db, &self.data.inputs, [&outcome.commitment_txid])?;
            let data = encode(&self.data)?;
            Ok(db.update_flow(&self.id, step::REGISTERING, step::READY, &data, self.wallet.timestamp())?)
        });
        if let Err(error) = stored {
            self.data.outcome = None;
            return Err(veto(error));
        }
        self.wallet.events.progress(&self.id, Step::BranchStored);
        Ok(())
    }
}

/// Refuses a flow whose coins were taken from it, since they are left on chain.
fn check_held(db: &Db<'_>, id: &[u8; 32], inputs: &[InputData]) -> Result<()> {
    for input in inputs {
        if db.lock_of(&input.outpoint)? != Some(*id) {
            return Err(Box::new(WalletError::NotOpened { why: format!("{} is being left on chain", input.outpoint) }));
        }
    }
    Ok(())
}

pub(super) fn veto(error: Box<WalletError>) -> Veto {
    Veto(error.to_string())
}

impl Wallet {
    /// Remembers how long the operator's batches live.
    pub(super) fn learn_batch_expiry(&self, expiry: Delay) -> Result<()> {
        if self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?))? != Some(expiry) {
            self.store.write::<_, Box<WalletError>>(|db| Ok(db.set_batch_expiry(expiry)?))?;
        }
        Ok(())
    }

    /// Whether the terms' deadlines fit a batch that begins now and lives for `expiry`.
    pub(super) fn check_timing(
        &self,
        terms: &ChannelTerms,
        info: &OperatorInfo,
        expiry: Delay,
        levels: u64,
    ) -> Result<()> {
        let now = self.now();
        let cutoff = info.check_signer(&terms.operator, now.unix())?;
        let moment = now.latest(terms.unit());
        let expires = moment.saturating_add(expiry.value());
        Timing::of(terms, expiry.value(), expires, levels, cutoff).check(moment)?;
        Ok(())
    }
}
