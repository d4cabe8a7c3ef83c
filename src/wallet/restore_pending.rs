//! After a restore: off-chain transactions that the phone which is gone had submitted, and not finalized. The operator has
//! taken their inputs, and nobody else can bring their outputs about.

use std::collections::BTreeMap;

use bitcoin::{OutPoint, Psbt, TxOut, Txid};

use super::batch::{InputData, InputKindData, encode};
use super::error::Result;
use super::offchain::{Job, OffchainData, Signer, output, pending_intent};
use super::send::send_flow;
use super::{Wallet, WalletError};
use crate::channel::ChannelError;
use crate::channel::message::{Funding, Offer};
use crate::channel::offchain::anchor;
use crate::channel::psbt::verify;
use crate::log::note;
use crate::operator::{Operator, PendingTx, Vtxo};
use crate::store::FlowKind;

/// At most so many transactions are asked for. There is one, if any: a wallet submits one at a time.
const MAX_ASKED: usize = 20;

impl Wallet {
    /// Finalizes what this wallet's keys have signed, and the operator too; openings only where the backup has their terms, since
    /// nobody else does. What fails is in the journal, or is asked for by another restore.
    pub(super) async fn finish_submitted(&self, vtxos: &[Vtxo], openings: &[Offer]) -> Result<()> {
        let operator = self.net.operator().await?;
        let _flow = self.flow.lock().await;
        for (ark_txid, coins) in self.unfinished(operator, vtxos).await? {
            let is_known =
                |offer: &Offer| matches!(offer.funding, Funding::Offchain { outpoint } if outpoint.txid == ark_txid);
            let known = openings.iter().any(is_known);
            match self.submitted(operator, ark_txid, &coins).await {
                Ok(Some(data)) if !known && !self.is_payment(&data)? => {
                    note!(
                        Error,
                        "restored: {ark_txid} opens a channel whose terms were on the phone that is gone: it is not finalized"
                    );
                }
                Ok(Some(data)) => {
                    note!(Info, "restored: {ark_txid} was submitted and not finalized");
                    let id = send_flow(&encode(&data)?);
                    self.start_offchain(id, FlowKind::Send, &data)?;
                    self.drive_offchain(id).await?;
                }
                Ok(None) => {}
                Err(error) => note!(Warn, "restored: {ark_txid} cannot be finalized: {error}"),
            }
        }
        Ok(())
    }

    /// Whether it pays somebody, or this wallet, and opens no channel: the first output is this wallet's own then.
    fn is_payment(&self, data: &OffchainData) -> Result<bool> {
        let Some(first) = data.outputs.first() else { return Ok(false) };
        Ok(self.store.read(|db| db.script(&first.script))?.is_some())
    }

    /// Ark transactions that spend coins of this wallet, and whose outputs are not in the books; with those coins.
    async fn unfinished<'a>(&self, operator: &Operator, vtxos: &'a [Vtxo]) -> Result<Vec<(Txid, Vec<&'a Vtxo>)>> {
        let mut spends: BTreeMap<Txid, Vec<&Vtxo>> = BTreeMap::new();
        for vtxo in vtxos.iter().filter(|vtxo| vtxo.spent && !vtxo.unrolled && vtxo.settled_by.is_none()) {
            // What the journal of this file holds goes on by itself.
            let held = self.store.read::<_, Box<WalletError>>(|db| Ok(db.lock_of(&vtxo.outpoint)?))?;
            if let (Some(ark_txid), None) = (vtxo.ark_txid, held) {
                spends.entry(ark_txid).or_default().push(vtxo);
            }
        }
        let first: Vec<OutPoint> = spends.keys().map(|txid| OutPoint::new(*txid, 0)).collect();
        for made in operator.vtxos_by_outpoints(&first).await? {
            spends.remove(&made.outpoint.txid);
        }
        Ok(spends.into_iter().take(MAX_ASKED).collect())
    }

    /// The transaction as the operator holds it, built again here: `None` where it holds none.
    async fn submitted(&self, operator: &Operator, ark_txid: Txid, coins: &[&Vtxo]) -> Result<Option<OffchainData>> {
        let mut proven = Vec::with_capacity(coins.len());
        let mut signers = Vec::with_capacity(coins.len());
        for coin in coins {
            let own = self.own_script(&coin.script)?;
            proven.push(self.intent_input(&own, coin.outpoint, coin.amount)?);
            let own = self.keys.keypair(Self::key_use(&own), own.key_index)?;
            signers.push(Signer { own, other: None });
        }
        let Some(found) = operator.find_pending(&pending_intent(&proven, &signers)?, ark_txid).await? else {
            return Ok(None);
        };
        let data = self.built_again(&found, coins)?;
        check_signed_here(&Job::of_own(self, &data)?, &found)?;
        Ok(Some(data))
    }

    fn built_again(&self, found: &PendingTx, coins: &[&Vtxo]) -> Result<OffchainData> {
        let spent_by = |checkpoint: Txid| {
            let of = |psbt: &&Psbt| psbt.unsigned_tx.compute_txid() == checkpoint;
            let outpoint = found.checkpoints.iter().find(of)?.unsigned_tx.input.first()?.previous_output;
            coins.iter().find(|coin| coin.outpoint == outpoint)
        };
        let inputs = found.ark.unsigned_tx.input.iter().map(|input| {
            let txid = input.previous_output.txid;
            let coin = spent_by(txid).ok_or(ChannelError::MissingCheckpoint { txid })?;
            let (outpoint, amount, script) = (coin.outpoint, coin.amount, coin.script.clone());
            Ok(InputData { outpoint, amount, script, kind: InputKindData::Vtxo })
        });
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let first = inputs.first().ok_or(ChannelError::MalformedTransaction { what: "no inputs" })?;
        let outputs = found.ark.unsigned_tx.output.iter().filter(|output| **output != anchor());
        Ok(OffchainData {
            operator: self.own_script(&first.script)?.operator,
            outputs: outputs.map(|TxOut { script_pubkey, value }| output(script_pubkey.clone(), *value)).collect(),
            checkpoint: self.info()?.checkpoint,
            inputs,
            channel: None,
            opening: None,
            grant: None,
            answer: None,
            refused_at: None,
        })
    }
}

/// Nothing is signed for the operator's word: it is the transaction that was built here, and every input of it has been signed
/// with this wallet's key before.
fn check_signed_here(job: &Job, found: &PendingTx) -> Result<()> {
    let (expected, got) = (job.tx.txid(), found.ark_txid);
    if expected != got {
        return Err(ChannelError::OtherTransaction { expected: expected.into(), got: got.into() }.into());
    }
    for (index, signer) in job.signers.iter().enumerate() {
        let key = signer.own.xonly();
        let leaf = job.tx.checkpoint(index)?.leaf.hash;
        let signature = found.ark.inputs.get(index).and_then(|input| input.tap_script_sigs.get(&(key, leaf)));
        let signature = signature.ok_or(ChannelError::MissingSignature { key: key.into() })?;
        if !verify(&job.tx.ark_sighash(index)?, &key, &signature.signature) {
            return Err(ChannelError::InvalidSignature { what: "own signature" }.into());
        }
    }
    Ok(())
}
