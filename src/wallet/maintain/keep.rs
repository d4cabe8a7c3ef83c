//! What is needed to take own VTXOs out without the operator: fetched while it answers, verified, and stored.

use std::collections::HashSet;

use bitcoin::{OutPoint, TxOut};

use super::has_ended;
use crate::channel::ChannelTerms;
use crate::store::ChannelState;
use crate::wallet::coins::{Coin, CoinKind};
use crate::wallet::error::Result;
use crate::wallet::signed_away::gone_for_good;
use crate::wallet::{Wallet, WalletError};

/// Branches learned, and stored ones looked up, in one run.
const A_RUN: usize = 16;

impl Wallet {
    /// Stores the branches of channels and coins that have none, or a damaged one, some a run, and forgets those of coins
    /// that were spent and have expired since. Answers how many were stored. One that cannot be had does not stop the
    /// others: the first error is told in the end.
    pub(super) async fn keep_branches(&self, coins: &[Coin]) -> Result<usize> {
        let kept = self.keep_channel_branches().await;
        if let Err(error) = &kept
            && error.is_released()
        {
            return kept;
        }
        let stored = self.store.read::<_, Box<WalletError>>(|db| Ok(db.branch_outpoints()?))?;
        let missing = coins.iter().filter(|coin| {
            let off_chain = matches!(coin.kind, CoinKind::Settled | CoinKind::Preconfirmed);
            off_chain && !coin.locked
        });
        let outputs = missing.map(|coin| {
            let output = TxOut { value: coin.amount, script_pubkey: coin.own.script.clone() };
            (coin.outpoint, output)
        });
        let learned = self.learn_branches(outputs.collect()).await;
        self.learn_spends().await?;
        self.forget_branches(&stored.into_iter().collect()).await?;
        Ok(kept? + learned?)
    }

    /// Without its branch a channel cannot be watched, nor left: one that was damaged, in the file or before a backup was
    /// made of it, is fetched again.
    pub(in crate::wallet) async fn keep_channel_branches(&self) -> Result<usize> {
        let rows = self.sound_channels()?;
        let going = rows.into_iter().filter(|row| !has_ended(row) && row.hot.state != ChannelState::Confirming);
        let outputs = going.map(|row| {
            let terms = ChannelTerms::from_canonical(&row.record.terms)?;
            let output = TxOut { value: terms.capacity, script_pubkey: terms.tree()?.script_pubkey() };
            Ok((row.record.funding, output))
        });
        self.learn_branches(outputs.collect::<Result<_>>()?).await
    }

    /// Stores the branches of these VTXOs, as far as none is stored.
    async fn learn_branches(&self, outputs: Vec<(OutPoint, TxOut)>) -> Result<usize> {
        let mut missing = self.store.read::<_, Box<WalletError>>(|db| {
            let mut missing = Vec::new();
            for (outpoint, output) in outputs {
                if db.sound_branch(&outpoint)?.is_none() {
                    missing.push((outpoint, output));
                }
            }
            Ok(missing)
        })?;
        // Others first at every run: some may never be had.
        let others = self.now().wall as usize % missing.len().max(1);
        missing.rotate_left(others);
        let (mut kept, mut failed) = (0, None);
        for (outpoint, output) in missing.into_iter().take(A_RUN) {
            match self.learn_branch(outpoint, &output).await {
                Ok(()) => kept += 1,
                Err(error) if error.is_released() => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(kept), Err)
    }

    /// Fetches, verifies and stores the branch of a VTXO: with it the VTXO can be taken on chain when the operator is gone.
    pub(in crate::wallet) async fn learn_branch(&self, outpoint: OutPoint, output: &TxOut) -> Result<()> {
        let operator = self.net.operator().await?;
        let vtxo = operator.vtxos_by_outpoints(&[outpoint]).await?.pop().ok_or(WalletError::NotFound)?;
        let branch = operator.branch_of(outpoint).await?;
        let (_, expiry) = self.verify_branch(&vtxo, &branch, output, self.info()?.unit()).await?;
        // Who was only ever paid off chain has seen no batch: this says when the coin must be left.
        if self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?))?.is_none() {
            self.learn_batch_expiry(expiry)?;
        }
        self.store.write(|db| Ok(db.put_branch(&outpoint, &branch)?))
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
