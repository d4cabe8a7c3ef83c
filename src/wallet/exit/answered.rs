//! Payments and openings off chain that the operator has signed, and whose end it does not show. Their coins are taken as soon
//! as somebody brings the signed transactions on chain, so that is what this wallet does: they count as made, and what they
//! have made is left with, the payee's part beside it.

use std::collections::HashSet;

use bitcoin::hex::DisplayHex;
use bitcoin::{OutPoint, Txid};

use super::super::batch::decode;
use super::super::coins::sum;
use super::super::error::Result;
use super::super::funding::VerifiedFunding;
use super::super::offchain::{Job, OffchainData, step};
use super::super::open_offchain::offer_of;
use super::super::{Wallet, WalletError};
use super::ExitReason;
use super::branches::{branch_below, keep_own, own_outputs};
use crate::channel::ChannelId;
use crate::channel::branch::{Branch, BranchReport};
use crate::channel::exit::ExitPath;
use crate::log::note;
use crate::store::{Flow, FlowKind, Role};

impl Wallet {
    /// Makes of those that nobody drives, and that spend one of `coins`, what they are signed for: begins to leave the
    /// channels of openings, and answers all transactions. A payment of which nothing comes back stays as it is.
    pub(super) async fn count_as_made(
        &self,
        coins: Option<&HashSet<OutPoint>>,
        reason: ExitReason,
    ) -> Result<HashSet<Txid>> {
        let mut made = HashSet::new();
        let Ok(_idle) = self.flow.try_lock() else { return Ok(made) };
        let answered = self.store.read::<_, Box<WalletError>>(|db| {
            let mut flows = db.flows_of(FlowKind::Send)?;
            flows.extend(db.flows_of(FlowKind::OpenOffchain)?);
            flows.retain(|flow| flow.step == step::ANSWERED);
            Ok(flows)
        })?;
        for flow in answered {
            match self.leave_answered(&flow, coins, reason).await {
                Ok(txid) => made.extend(txid),
                Err(error) if error.is_released() => return Err(error),
                // The others are left all the same.
                Err(error) => note!(Warn, "flow {}: is not left: {error}", flow.id.as_hex()),
            }
        }
        Ok(made)
    }

    /// One of them, where leaving brings more than it costs: else it stays with the operator, which may come back.
    async fn leave_answered(
        &self,
        flow: &Flow,
        coins: Option<&HashSet<OutPoint>>,
        reason: ExitReason,
    ) -> Result<Option<Txid>> {
        let data: OffchainData = decode(flow)?;
        let asked = |outpoint: &OutPoint| coins.is_none_or(|coins| coins.contains(outpoint));
        if !data.inputs.iter().any(|input| asked(&input.outpoint)) {
            return Ok(None);
        }
        let job = Job::of_own(self, &data)?;
        let txid = job.tx.txid();
        let answer = data.answer.as_ref().ok_or(WalletError::CorruptFlow { what: flow.kind.as_str() })?;
        let signatures = answer.signatures(&job)?;
        let Some(branch) = self.store.read(|db| branch_below(db, &job, &signatures))? else {
            note!(Warn, "{txid} cannot be left: a branch is not known");
            return Ok(None);
        };
        let path = ExitPath::new(&branch, []);
        let own = self.store.read(|db| own_outputs(db, &branch))?;
        let opening = data.opening.is_some();
        let amount = sum(own.iter().map(|(_, amount)| *amount).chain(
            // The channel is all this wallet's.
            data.outputs.first().filter(|_| opening).map(|output| output.amount),
        ));
        let is_there = self.unseen(path.roots().into_iter()).await.is_empty();
        if !is_there || self.worth(std::iter::once(&path)).await?.judge(&path, amount, reason).is_err() {
            note!(Info, "{txid} is not left: it would bring {} sats", amount.to_sat());
            return Ok(None);
        }
        if opening {
            let id = self.funding_is_made(flow, &data, &job, branch).await?;
            self.begin_exit(&id, reason)?;
            return Ok(Some(txid));
        }
        let info = self.info()?;
        self.store.write::<_, Box<WalletError>>(|db| {
            keep_own(db, &branch)?;
            self.end_sent(db, flow, &data, &job)?;
            let mut any = false;
            for (outpoint, _) in &own {
                any |= self.begin_coin_exit(db, &info, *outpoint, &branch, reason)?;
            }
            // Nothing of it counts as made then.
            if any { Ok(()) } else { Err(WalletError::NothingToSettle.into()) }
        })?;
        self.events.ring();
        Ok(Some(txid))
    }

    /// The channel of an opening, of which its receiver has not heard.
    async fn funding_is_made(&self, flow: &Flow, data: &OffchainData, job: &Job, branch: Branch) -> Result<ChannelId> {
        let outpoint = OutPoint::new(job.tx.txid(), 0);
        let opening = data.opening.as_ref().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = offer_of(data, outpoint)?;
        let path = ExitPath::new(&branch, []);
        let commitments = path.roots();
        let unit = offer.terms.unit();
        let batch_expiry = self.batch_length(unit)?;
        let expiry = self.expiry_of(&commitments, batch_expiry, unit).await?;
        let levels = path.levels(&HashSet::new());
        let report = BranchReport { levels, weight: 0, commitments, expiry: Some(batch_expiry) };
        let expires_at = self.at(unit, expiry);
        let verified = VerifiedFunding { branch: branch.clone(), report, batch_expiry, expiry, expires_at };
        self.store_preconfirmed(&offer, outpoint, opening.key_index, Role::Payer, &verified, |db| {
            keep_own(db, &branch)?;
            self.end_sent(db, flow, data, job)
        })
    }
}
