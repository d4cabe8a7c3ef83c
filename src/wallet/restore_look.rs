//! After a restore: what became of the channels meanwhile, and what an exit will need.

use bitcoin::{OutPoint, Txid};

use super::error::Result;
use super::restore::{FoundCoin, RestoreReport, RestoreWarning};
use super::restore_mark::{is_restored, unmark_restored};
use super::restore_scan::Found;
use super::{Wallet, WalletError};
use crate::channel::ChannelId;
use crate::operator::Vtxo;
use crate::store::{ChannelResult, ChannelState, Role};

impl Wallet {
    /// Fills the report; what fails is a warning, since everything that cannot be found again is stored by now.
    pub(super) async fn look_after_restore(&self, found: &Found, report: &mut RestoreReport) {
        let coin = |coin: &crate::chain::Coin| FoundCoin { outpoint: coin.outpoint, amount: coin.output.value };
        report.boarding = found.boarding.iter().map(coin).collect();
        match self.onchain_balance().await {
            Ok(balance) => report.onchain = balance,
            Err(error) => {
                let why = error.to_string();
                if !report.warnings.iter().any(|warning| matches!(warning, RestoreWarning::ChainAway { .. })) {
                    report.warnings.push(RestoreWarning::ChainAway { why });
                }
            }
        }
        for id in report.channels.clone() {
            match self.look_at_restored(&id, &found.vtxos).await {
                Ok((Some(exit), _)) => report.exits.push(exit),
                Ok((None, true)) => {}
                Ok((None, false)) => report.warnings.push(RestoreWarning::ChannelSpent { channel_id: id }),
                Err(error) => {
                    let why = error.to_string();
                    report.warnings.push(RestoreWarning::ChannelNotSeen { channel_id: id, why });
                }
            }
        }
        for vtxo in found.vtxos.iter().filter(|vtxo| !vtxo.spent) {
            let outpoint = vtxo.outpoint;
            if vtxo.unrolled {
                // Claimed by now, perhaps: the books do not say.
                let spent = self.net.chain.outspend(outpoint).await;
                if !spent.is_ok_and(|spent| spent.is_some_and(|spent| spent.status.is_confirmed())) {
                    report.exits.push(outpoint);
                }
            } else if !vtxo.has_assets {
                report.vtxos.push(FoundCoin { outpoint, amount: vtxo.amount });
            }
            if let Err(error) = self.keep_branch(vtxo).await {
                report.warnings.push(RestoreWarning::BranchMissing { outpoint, why: error.to_string() });
            }
        }
    }

    /// Looks at a channel of the backup: whether it is on chain, and whether it is known what became of it.
    async fn look_at_restored(&self, id: &ChannelId, own: &[Vtxo]) -> Result<(Option<OutPoint>, bool)> {
        let report = self.watch(id).await?;
        if !self.store.read(|db| is_restored(db, id))? {
            return Ok((None, true));
        }
        let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
        if report.unrolled {
            return Ok((Some(row.record.funding), true));
        }
        let Some(txid) = report.spent_by.filter(|_| row.hot.state == ChannelState::Open) else {
            return Ok((None, true));
        };
        self.end_restored(id, row.hot.role, txid, own).map(|known| (None, known))
    }

    /// A channel that this wallet had ended itself, before it was lost: the receiver's close pays its script in the
    /// terms, the payer's refund pays the whole capacity to a script that nobody else knew.
    fn end_restored(&self, id: &ChannelId, role: Role, txid: Txid, own: &[Vtxo]) -> Result<bool> {
        let loaded = self.loaded(id)?;
        let terms = &loaded.channel.terms;
        let mut outputs = own.iter().filter(|vtxo| vtxo.outpoint.txid == txid);
        let (result, state) = match role {
            Role::Receiver => {
                (outputs.find(|vtxo| vtxo.script == terms.receiver.ark_payout.script()), ChannelState::Closed)
            }
            Role::Payer => (outputs.find(|vtxo| vtxo.amount == terms.capacity), ChannelState::Refunded),
        };
        let Some(result) = result else { return Ok(false) };
        let outpoint = Some(result.outpoint);
        self.store.write::<_, WalletError>(|db| {
            db.set_state(id, &[ChannelState::Open], state)?;
            db.set_result(id, &ChannelResult { txid, outpoint })?;
            unmark_restored(db, id)
        })?;
        self.unload(id);
        Ok(true)
    }

    /// Fetches and stores the branch of an own VTXO: with it the VTXO can be taken on chain when the operator is gone.
    async fn keep_branch(&self, vtxo: &Vtxo) -> Result<()> {
        if self.store.read(|db| db.branch(&vtxo.outpoint))?.is_some() {
            return Ok(());
        }
        let branch = self.net.operator().await?.branch_of(vtxo.outpoint).await?;
        Ok(self.store.write(|db| db.put_branch(&vtxo.outpoint, &branch))?)
    }
}
