//! Whether leaving brings more than it costs.
//!
//! Who asks for an exit is told what it costs at the rate of today. At a last moment nobody is asked, and the chain server alone
//! says what the rate is: what counts then is what the exit would really pay, which is bounded, so a rate that is invented does
//! not keep an exit from beginning.

use std::collections::HashSet;

use bitcoin::{Amount, FeeRate, Txid};

use super::super::batch::decode;
use super::super::channels::CHILD_VBYTES;
use super::super::coins::sum;
use super::super::error::Result;
use super::super::{Wallet, WalletError};
use super::ExitReason;
use super::children::{fee, sane};
use super::data::ExitData;
use crate::channel::amount::CHAIN_DUST;
use crate::channel::exit::ExitPath;
use crate::store::FlowKind;

/// The claim of an own VTXO, in virtual bytes.
pub(super) const CLAIM_VBYTES: u64 = 140;

/// A claim is to be confirmed within so many blocks.
pub(super) const AIM: u16 = 6;

/// The prices of today, and what is paid for already.
pub(super) struct Worth {
    rate: FeeRate,
    /// Transactions that are on chain, or that another exit pays for.
    paid: HashSet<Txid>,
}

impl Worth {
    /// Whether an exit for that reason brings more than it costs. If so it pays for its way, and the next one need not; else
    /// the answer is what it would cost.
    pub fn judge(&mut self, path: &ExitPath, amount: Amount, why: ExitReason) -> std::result::Result<(), Amount> {
        let open = path.nodes().iter().filter(|tx| !self.paid.contains(&tx.compute_txid()));
        let open: Vec<(Txid, u64)> = open.map(|tx| (tx.compute_txid(), tx.vsize() as u64 + CHILD_VBYTES)).collect();
        let size = open.iter().map(|(_, size)| size).sum::<u64>() + CLAIM_VBYTES;
        let cost = if why == ExitReason::Asked { fee(self.rate, size) } else { paid_for(self.rate, amount, size) };
        if amount <= sum([cost, CHAIN_DUST]) {
            return Err(cost);
        }
        self.paid.extend(open.into_iter().map(|(txid, _)| txid));
        Ok(())
    }
}

/// What an exit pays at most where the chain server says that rate: half of what it claims is for the whole way.
pub(in crate::wallet) fn paid_for(rate: FeeRate, amount: Amount, vsize: u64) -> Amount {
    fee(sane(rate, amount / 2, vsize), vsize)
}

/// Whether an output can ever pay for its claim.
pub(super) fn pays_its_claim(amount: Amount) -> bool {
    amount > sum([fee(FeeRate::BROADCAST_MIN, CLAIM_VBYTES), CHAIN_DUST])
}

impl Wallet {
    /// What exits by these ways cost today.
    pub(super) async fn worth<'a>(&self, paths: impl Iterator<Item = &'a ExitPath>) -> Result<Worth> {
        let rate = self.net.chain.fees().await.unwrap_or_default().within(AIM);
        let mut paid = HashSet::new();
        for path in paths {
            // What cannot be looked up is to be paid for.
            paid.extend(self.confirmed_of(path).await.unwrap_or_default());
        }
        for flow in self.store.read::<_, Box<WalletError>>(|db| Ok(db.flows_of(FlowKind::Exit)?))? {
            let data: ExitData = decode(&flow)?;
            let branch = self.store.read(|db| db.sound_branch(&data.outpoint))?.unwrap_or_default();
            let path = ExitPath::new(&branch, data.then.into_iter().map(|tx| tx.0));
            paid.extend(path.nodes().iter().map(|tx| tx.compute_txid()));
        }
        Ok(Worth { rate, paid })
    }
}
