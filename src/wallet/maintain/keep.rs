//! What is needed to take own VTXOs out without the operator: fetched while it answers, verified, and stored.

use std::collections::HashSet;

use bitcoin::{OutPoint, TxOut};

use crate::wallet::coins::{Coin, CoinKind};
use crate::wallet::error::Result;
use crate::wallet::signed_away::gone_for_good;
use crate::wallet::{Wallet, WalletError};

/// Branches learned, and stored ones looked up, in one run.
const A_RUN: usize = 16;

impl Wallet {
    /// Stores the branches of coins that have none yet, some a run, and forgets those of coins that were spent and have
    /// expired since. Answers how many were stored. One that cannot be had does not stop the others: the first error is
    /// told in the end.
    pub(super) async fn keep_branches(&self, coins: &[Coin]) -> Result<usize> {
        let stored = self.store.read::<_, Box<WalletError>>(|db| Ok(db.branch_outpoints()?))?;
        let stored: HashSet<OutPoint> = stored.into_iter().collect();
        let missing = coins.iter().filter(|coin| {
            let off_chain = matches!(coin.kind, CoinKind::Settled | CoinKind::Preconfirmed);
            off_chain && !coin.locked && !stored.contains(&coin.outpoint)
        });
        let (mut kept, mut failed) = (0, None);
        for coin in missing.take(A_RUN) {
            match self.learn_branch(coin).await {
                Ok(()) => kept += 1,
                Err(error) if error.is_released() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.learn_spends().await?;
        self.forget_branches(&stored).await?;
        failed.map_or(Ok(kept), Err)
    }

    async fn learn_branch(&self, coin: &Coin) -> Result<()> {
        let operator = self.net.operator().await?;
        let vtxo = operator.vtxos_by_outpoints(&[coin.outpoint]).await?.pop().ok_or(WalletError::NotFound)?;
        let branch = operator.branch_of(coin.outpoint).await?;
        let output = TxOut { value: coin.amount, script_pubkey: coin.own.script.clone() };
        let (_, expiry) = self.verify_branch(&vtxo, &branch, &output, self.info()?.unit()).await?;
        // Who was only ever paid off chain has seen no batch: this says when the coin must be left.
        if self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?))?.is_none() {
            self.learn_batch_expiry(expiry)?;
        }
        self.store.write(|db| Ok(db.put_branch(&coin.outpoint, &branch)?))
    }

    /// Branches of coins that are gone for good: once the old batch has expired nobody needs them.
    async fn forget_branches(&self, stored: &HashSet<OutPoint>) -> Result<()> {
        let left: HashSet<OutPoint> = self.exits()?.into_iter().map(|exit| exit.outpoint).collect();
        let done = self.store.read::<_, Box<WalletError>>(|db| {
            let mut done = Vec::new();
            for outpoint in gone_for_good(db)?.into_iter().filter(|outpoint| stored.contains(outpoint)) {
                if db.channel_at(&outpoint)?.is_none() && !left.contains(&outpoint) {
                    done.push(outpoint);
                }
            }
            done.sort_unstable();
            Ok(done)
        })?;
        // Another part of them at every run.
        let first = done.len().checked_sub(A_RUN).map_or(0, |rest| self.now().wall as usize % (rest + 1));
        let some: Vec<OutPoint> = done.into_iter().skip(first).take(A_RUN).collect();
        if some.is_empty() {
            return Ok(());
        }
        let now = self.now().median_time;
        let vtxos = self.net.operator().await?.vtxos_by_outpoints(&some).await?;
        let gone: Vec<OutPoint> =
            vtxos.iter().filter(|vtxo| vtxo.spent && vtxo.expires_at < now).map(|vtxo| vtxo.outpoint).collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.store.write(|db| gone.iter().try_for_each(|outpoint| Ok(db.delete_branch(outpoint)?)))
    }
}
