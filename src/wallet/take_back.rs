//! An expired channel: its payer takes it back whole, in a batch, by its own leaf.
//!
//! arkd asks neither a forfeit nor a wait for a VTXO that has expired by its clock: until it is swept on chain this and
//! the unilateral refund are what is left of the payer's money.

use bitcoin::{Amount, ScriptBuf, Txid};

use super::batch::{BatchData, InputData, InputKindData, OutcomeData, OutputData, decode};
use super::error::Result;
use super::events::EventKind;
use super::exit::exit_flow;
use super::keys::{KeyUse, SecretKeypair};
use super::loaded::LoadedChannel;
use super::refund::refund_flow;
use super::settle_due::WORTH_EXPIRING;
use super::{Wallet, WalletError};
use crate::channel::intent::IntentInput;
use crate::channel::terms::leaf;
use crate::store::{ChannelResult, ChannelState, Db, Role};

/// Who takes a channel back, and so what the operator may ask for the batch that takes in an expired one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedBy {
    /// The user: whatever leaves the operator's minimum.
    User,
    /// Nobody watches: no more than a share of it, see [`WORTH_EXPIRING`].
    Maintenance,
}

impl Wallet {
    /// Takes the channel into a batch of the operator, to a fresh address of this wallet: the batch's commitment
    /// transaction. The flow is locked, and no refund is under way.
    async fn take_back(&self, loaded: &LoadedChannel, asked_by: AskedBy) -> Result<Txid> {
        let info = self.fresh_info().await?;
        let (own, cosigner_index) =
            self.store.write(|db| Ok::<_, Box<WalletError>>((self.fresh_vtxo(db, &info)?, db.next_key_index()?)))?;
        let amount = loaded.record.capacity;
        let mut data = batch_of(loaded, own.script, cosigner_index);
        let fee = self.batch_fee(&data).await?;
        let left = amount.checked_sub(fee).unwrap_or(Amount::ZERO);
        // What an exit would cost is no measure: an expired channel may not come on chain any more.
        let minimum = match asked_by {
            AskedBy::User => info.min_amount(),
            AskedBy::Maintenance => info.min_amount().max(amount / WORTH_EXPIRING),
        };
        if left < minimum {
            return Err(Box::new(WalletError::FeesLeaveTooLittle { fee, left, minimum }));
        }
        if let Some(output) = data.outputs.first_mut() {
            output.amount = left;
        }
        Ok(self.settle_by(&data, fee).await?.commitment_txid)
    }

    /// The fee for taking an expired channel back. Uses no key up: the output stands for a fresh one.
    pub(super) async fn fee_to_take_back(&self, loaded: &LoadedChannel) -> Result<Amount> {
        self.batch_fee(&batch_of(loaded, loaded.own_side().ark_payout.script(), 0)).await
    }

    /// What the operator refused since the channel has expired goes into a batch instead. Not before it has expired by
    /// this wallet's own account, too: a batch that never comes would take the place of a channel that can still be left
    /// on chain. And not where the operator may hold a refund.
    pub(super) async fn take_back_after_refusal(
        &self,
        loaded: &LoadedChannel,
        asked_by: AskedBy,
        refused: WalletError,
    ) -> Result<Txid> {
        let now = self.now();
        let answered = self.store.read(|db| db.flow(&refund_flow(&loaded.channel.id)))?.is_some();
        if answered || !loaded.has_expired(&now) {
            return Err(Box::new(refused));
        }
        self.take_back(loaded, asked_by).await
    }

    /// An expired channel of this payer as an input of an intent; `None` for other inputs.
    pub(super) fn expired_channel(&self, input: &InputData) -> Result<Option<(IntentInput, SecretKeypair)>> {
        if input.kind != InputKindData::Recoverable {
            return Ok(None);
        }
        let row = self.store.read(|db| db.channel_at(&input.outpoint))?;
        let Some(row) = row.filter(|row| row.record.role == Role::Payer) else { return Ok(None) };
        let loaded = self.loaded(&row.record.id)?;
        let tree = loaded.channel.tree().clone();
        let coin = IntentInput::unlocked(input.outpoint, input.amount, tree, leaf::UNILATERAL);
        Ok(Some((coin, self.keys.keypair(KeyUse::Payer, row.record.key_index)?)))
    }

    /// Channels that a batch took in are refunded by it, as far as the operator says; see [`super::taken_back`].
    pub(super) fn note_taken_back(&self, db: &Db<'_>, id: &[u8; 32], data: &BatchData) -> Result<()> {
        for input in data.inputs.iter().filter(|input| input.kind == InputKindData::Recoverable) {
            let Some(row) = db.channel_at(&input.outpoint)? else { continue };
            let outcome = match db.flow(id)? {
                Some(flow) => decode::<BatchData>(&flow)?.outcome,
                None => None,
            };
            let OutcomeData { commitment, leaves, .. } = outcome.ok_or(WalletError::CorruptFlow { what: "a batch" })?;
            let channel_id = row.record.id;
            // One that began meanwhile has nothing to claim any more; should the batch be undone, it begins again.
            db.delete_flow(&exit_flow(&input.outpoint))?;
            db.set_state(&channel_id, &[row.hot.state], ChannelState::Refunded)?;
            db.set_result(&channel_id, &ChannelResult { txid: commitment, outpoint: leaves.first().copied() })?;
            self.push_event(db, Some(&channel_id), &EventKind::ChannelRefunded { txid: commitment })?;
        }
        Ok(())
    }
}

/// The batch that takes an expired channel in, before its fee.
fn batch_of(loaded: &LoadedChannel, script: ScriptBuf, cosigner_index: u32) -> BatchData {
    let amount = loaded.record.capacity;
    BatchData {
        inputs: vec![InputData {
            outpoint: loaded.channel.funding,
            amount,
            script: loaded.channel.prevout().script_pubkey,
            kind: InputKindData::Recoverable,
        }],
        outputs: vec![OutputData { script, amount, onchain: false }],
        cosigner_index,
        other_cosigners: Vec::new(),
        opening: None,
        outcome: None,
        earlier: Vec::new(),
    }
}
