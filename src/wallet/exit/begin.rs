//! The beginning: decided by role, state and what is stored, in one transaction, without any network.

use bitcoin::{Amount, Transaction};

use super::super::batch::decode;
use super::super::close::close_flow;
use super::super::error::Result;
use super::super::events::EventKind;
use super::super::hand_back::release_flow;
use super::super::loaded::LoadedChannel;
use super::super::offchain::{AnswerData, OffchainData};
use super::super::refund::refund_flow;
use super::super::signed_away::gone_for_good;
use super::super::sound::is_damage;
use super::super::{Wallet, WalletError};
use super::data::{Claim, ExitData, Hex, exit_flow};
use super::{ExitReason, ExitStage};
use crate::channel::exit::output_to;
use crate::channel::{ChannelError, ChannelId};
use crate::log::note;
use crate::store::{ChannelRow, ChannelState, Flow, Role, StoreError};

/// What the decision rests on; read again in the transaction that begins the exit.
#[derive(Debug, Clone, PartialEq)]
struct Basis {
    row: ChannelRow,
    refund: Option<Flow>,
}

/// A way to the money.
struct Way {
    then: Vec<Transaction>,
    claim: Claim,
    amount: Amount,
}

impl Wallet {
    /// Durably begins to leave a channel on chain. No network. A channel that is being left already stays as it is.
    ///
    /// Where the operator has signed a close, or the payer's refund, the way goes through checkpoint and ark transaction;
    /// else the receiver leaves with its latest update and the payer with the whole capacity. Whatever was going on with
    /// the operator ends here: what it may still answer finds no flow that would go on with it.
    pub(in crate::wallet) fn begin_exit(&self, id: &ChannelId, why: ExitReason) -> Result<()> {
        let loaded = self.loaded(id)?;
        if let Some(new) = self.adopt_refund(&loaded)? {
            return self.begin_exit(&new, why);
        }
        // Another process may change the basis in between; it can do so a few times in a channel's life.
        for _ in 0..8 {
            let Some(basis) = self.exit_basis(&loaded)? else { return Ok(()) };
            let way = self.way_out(&loaded, &basis)?;
            if self.insert_channel_exit(&loaded, &basis, way, why)? {
                note!(Info, "channel {id}: leaves on chain ({why:?})");
                self.events.ring();
                return Ok(());
            }
        }
        Err(StoreError::AlreadyExists { what: "another change of the channel" }.into())
    }

    /// Refuses the exit of a closed channel whose output went into a batch that is on chain.
    pub(super) async fn check_not_taken(&self, id: &ChannelId) -> Result<()> {
        let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
        let result = row.result.and_then(|result| result.outpoint);
        match result.filter(|_| row.hot.state == ChannelState::Closed) {
            Some(result) if self.taken().await?.contains(&result) => Err(Box::new(not_ours(id))),
            _ => Ok(()),
        }
    }

    /// `None`: the exit has begun already.
    fn exit_basis(&self, loaded: &LoadedChannel) -> Result<Option<Basis>> {
        let (id, funding) = (loaded.channel.id, loaded.channel.funding);
        self.store.read(|db| {
            if db.flow(&exit_flow(&funding))?.is_some() {
                return Ok(None);
            }
            let row = db.channel(&id)?.ok_or(WalletError::NotFound)?;
            if matches!(row.hot.state, ChannelState::Settled | ChannelState::Refunded | ChannelState::Lost) {
                return Err(WalletError::WrongState { channel_id: id, state: row.hot.state, what: "an exit" }.into());
            }
            // What was signed away, and no flow holds any more, is somewhere else.
            let result =
                row.result.and_then(|result| result.outpoint).filter(|_| row.hot.state == ChannelState::Closed);
            if let Some(result) = result
                && db.lock_of(&result)?.is_none()
                && gone_for_good(db)?.contains(&result)
            {
                return Err(not_ours(&id).into());
            }
            if db.branch(&funding)?.is_none() {
                return Err(StoreError::NotFound { what: "the branch of the channel" }.into());
            }
            Ok(Some(Basis { row, refund: db.flow(&refund_flow(&id))? }))
        })
    }

    /// An exit of a channel that has not begun.
    fn channel_data(&self, loaded: &LoadedChannel, way: Way, reason: ExitReason) -> ExitData {
        ExitData {
            outpoint: loaded.channel.funding,
            channel: Some(loaded.channel.id.to_string()),
            reason,
            stage: ExitStage::Unrolling { done: 0, of: loaded.record.levels + way.then.len() as u32 },
            then: way.then.into_iter().map(Hex).collect(),
            claim: way.claim,
            amount: way.amount,
            children: Vec::new(),
            problem: None,
            claimed_by: None,
            end: None,
            told: false,
        }
    }

    /// The exit as it is, or as it would begin.
    pub(super) fn planned_exit(&self, id: &ChannelId) -> Result<ExitData> {
        let loaded = self.loaded(id)?;
        match self.exit_basis(&loaded)? {
            Some(basis) => Ok(self.channel_data(&loaded, self.way_out(&loaded, &basis)?, ExitReason::Asked)),
            None => {
                let flow = self.store.read(|db| db.flow(&exit_flow(&loaded.channel.funding)))?;
                decode(&flow.ok_or(WalletError::NotFound)?)
            }
        }
    }

    fn insert_channel_exit(&self, loaded: &LoadedChannel, basis: &Basis, way: Way, reason: ExitReason) -> Result<bool> {
        let (id, outpoint) = (loaded.channel.id, loaded.channel.funding);
        let data = self.channel_data(loaded, way, reason);
        let info = self.info()?;
        self.store.write(|db| {
            if db.flow(&exit_flow(&outpoint))?.is_some() {
                return Ok(true);
            }
            let row = db.channel(&id)?.ok_or(WalletError::NotFound)?;
            // A look at the chain does not change the way.
            let same = ChannelRow { hot: basis.row.hot.clone(), ..row.clone() } == basis.row
                && (row.hot.state, row.hot.update) == (basis.row.hot.state, basis.row.hot.update)
                && db.flow(&refund_flow(&id))? == basis.refund;
            if !same {
                return Ok(false);
            }
            db.set_state(&id, &[row.hot.state], ChannelState::Exiting)?;
            db.delete_flow(&close_flow(&id))?;
            db.delete_flow(&refund_flow(&id))?;
            db.delete_flow(&release_flow(&id))?;
            if let Claim::Own { outpoint, .. } = &data.claim {
                db.coin_is_done(outpoint, false)?;
            }
            self.insert_exit(db, &data)?;
            if let Claim::Own { outpoint: own, .. } = &data.claim
                && db.lock_of(own)?.is_none()
            {
                // What comes on chain is for no batch.
                db.lock_coins(&exit_flow(&outpoint), &[*own])?;
            }
            self.push_event(db, Some(&id), &EventKind::ExitBegan { outpoint, reason })?;
            match self.begin_exits_beside(db, &info, outpoint, reason) {
                // What is beside a channel must not keep it from being left.
                Err(error) if is_damage(&error) => note!(Error, "beside {outpoint}: {error}"),
                begun => begun?,
            }
            Ok(true)
        })
    }

    fn way_out(&self, loaded: &LoadedChannel, basis: &Basis) -> Result<Way> {
        let (role, id) = (loaded.record.role, loaded.channel.id);
        let party = loaded.own_side();
        if let Some((then, script)) = self.answered(loaded, basis)? {
            let paid = then.last().and_then(|ark| output_to(ark, &script));
            let Some((outpoint, amount)) = paid else {
                let what = "an exit with something to claim";
                return Err(Box::new(WalletError::WrongState { channel_id: id, state: basis.row.hot.state, what }));
            };
            let claim = Claim::Own { outpoint, script, to: party.chain_payout.script() };
            return Ok(Way { then, claim, amount });
        }
        match role {
            Role::Receiver => {
                let amount = basis.row.hot.update.ok_or(ChannelError::NothingPaid)?.amount;
                Ok(Way { then: Vec::new(), claim: Claim::ExitUpdate, amount })
            }
            Role::Payer => Ok(Way { then: Vec::new(), claim: Claim::UnilateralRefund, amount: loaded.record.capacity }),
        }
    }

    /// Checkpoint and ark transaction that the operator has signed, and the script of this side's output.
    fn answered(
        &self,
        loaded: &LoadedChannel,
        basis: &Basis,
    ) -> Result<Option<(Vec<Transaction>, bitcoin::ScriptBuf)>> {
        let corrupt = || WalletError::CorruptFlow { what: "a submit answer" };
        if let Some(flow) = &basis.refund {
            let data: OffchainData = decode(flow)?;
            // One into a new channel is left as that.
            let Some(answer) = data.answer.as_ref().filter(|_| data.opening.is_none()) else { return Ok(None) };
            let job = self.refund_job(&data)?;
            let script = data.outputs.first().ok_or_else(corrupt)?.script.clone();
            return Ok(Some((job.transactions(&answer.signatures(&job)?)?, script)));
        }
        let Some(bytes) = &basis.row.submit_answer else { return Ok(None) };
        let answer: AnswerData = serde_json::from_slice(bytes).map_err(|_| corrupt())?;
        let then = super::super::seen_close::signed_close(&loaded.channel, &answer)?;
        Ok(Some((then, loaded.own_side().ark_payout.script())))
    }
}

/// What was closed has been signed away since.
fn not_ours(id: &ChannelId) -> WalletError {
    let what = "an exit of what has not been settled yet";
    WalletError::WrongState { channel_id: *id, state: ChannelState::Closed, what }
}
