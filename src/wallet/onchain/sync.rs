//! Asking the chain about the on-chain wallet, in a bounded number of calls.

use std::collections::HashMap;

use bitcoin::ScriptBuf;
use futures_util::StreamExt;

use super::super::error::Result;
use super::super::exit::payout_of;
use super::super::keys::KeyUse;
use super::super::{Wallet, WalletError};
use super::look::Looks;
use super::picture::Picture;
use super::state::{GAP, OwnKey, Place};
use super::take::Answers;
use crate::chain::{ChainError, History};
use crate::channel::ChannelTerms;
use crate::store::{ChannelState, FlowKind, Role};

/// Questions under way at once: an answer can take some megabytes.
const AT_ONCE: usize = 4;

/// Pages of a script's history that are read; older coins of a script that strangers fill are not seen any more unless
/// they are known.
const PAGES: usize = 8;

/// A scan for the addresses of another life of the wallet ends here.
const MAX_SCAN: u32 = 1_000;

impl Wallet {
    /// Looks at the chain and stores what the on-chain wallet has. The first time it asks for all addresses up to a gap
    /// of 20, later for those where something is expected (at most 100) and, after each block, 10 others in turn: a call
    /// each, seldom more. What was learned is stored also when some of it fails.
    pub async fn sync_onchain(&self) -> Result<()> {
        for again in [true, false] {
            let (answers, failed) = Box::pin(self.ask_the_chain()).await?;
            let now = self.timestamp();
            let stored = self.store.write::<_, Box<WalletError>>(|db| {
                // Addresses may have been given out, and money sent, since the questions were asked.
                self.picture(db)?.take(&answers, now)?.save(db)
            });
            match stored.map_err(|error| *error) {
                // A block has come in between: once more.
                Err(WalletError::Chain(ChainError::BadAnswer { .. })) if again => {}
                Err(error) => return Err(error.into()),
                Ok(()) => return failed.map_or(Ok(()), |error| Err(error.into())),
            }
        }
        Ok(())
    }

    /// What the server says, and the first error.
    async fn ask_the_chain(&self) -> Result<(Answers, Option<ChainError>)> {
        let tip = self.net.chain.tip().await?;
        let tip = Place { height: tip.height, hash: tip.hash, time: tip.time };
        let picture = self.store.read(|db| self.picture(db))?;
        let mut scripts = picture.looks(&self.exit_payouts()?, tip);
        let (mut histories, mut failed) = self.histories(&scripts).await;
        let mut scanned = false;
        if !picture.state.scanned && failed.is_none() {
            for key_use in [KeyUse::Onchain, KeyUse::OnchainChange] {
                failed = failed.or(self.scan(&picture, key_use, &mut scripts, &mut histories).await?);
            }
            scanned = failed.is_none();
        }
        Ok((Answers { tip, scripts, histories, scanned }, failed))
    }

    /// The histories of some scripts, and the first error.
    async fn histories(&self, scripts: &Looks) -> (HashMap<ScriptBuf, History>, Option<ChainError>) {
        let chain = &self.net.chain;
        // By value: what borrows from the map would not be Send for every lifetime.
        let scripts: Vec<ScriptBuf> = scripts.keys().cloned().collect();
        let asking = scripts.into_iter().map(|script| async move {
            let history = chain.history(&script, PAGES).await;
            (script, history)
        });
        let mut asking = futures_util::stream::iter(asking).buffer_unordered(AT_ONCE);
        let (mut histories, mut failed) = (HashMap::new(), None);
        while let Some((script, answer)) = asking.next().await {
            match answer {
                Ok(mut history) => {
                    let inputs = history.entries.iter_mut().flat_map(|entry| &mut entry.tx.input);
                    inputs.for_each(|input| input.witness.clear());
                    histories.insert(script, history);
                }
                // Nobody is there: the others would only wait for the same.
                Err(error @ ChainError::Unreachable { .. }) => return (histories, Some(error)),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        (histories, failed)
    }

    /// Looks at the addresses of a branch until [`GAP`] in a row are unused.
    async fn scan(
        &self,
        picture: &Picture,
        key_use: KeyUse,
        scripts: &mut Looks,
        histories: &mut HashMap<ScriptBuf, History>,
    ) -> Result<Option<ChainError>> {
        let (mut next, mut unused) = (0, 0);
        while unused < GAP && next < MAX_SCAN {
            let keys = (next..next + GAP).map(|index| OwnKey { key_use, index });
            let chunk: Vec<(ScriptBuf, OwnKey)> =
                keys.map(|key| Ok((picture.script(key)?, key))).collect::<Result<_>>()?;
            let asked = chunk.iter().filter(|(script, _)| !histories.contains_key(script)).cloned().collect();
            let (answers, failed) = self.histories(&asked).await;
            histories.extend(answers);
            if failed.is_some() {
                return Ok(failed);
            }
            for (script, _) in &chunk {
                let used = histories.get(script).is_some_and(|history| !history.entries.is_empty());
                unused = if used { 0 } else { unused + 1 };
            }
            scripts.extend(chunk);
            next += GAP;
        }
        Ok(None)
    }

    /// What exits under way pay to: the payouts of channels that are on chain, and those of coins.
    fn exit_payouts(&self) -> Result<Vec<ScriptBuf>> {
        let channels = self.sound_channels()?;
        let flows = self.store.read::<_, Box<WalletError>>(|db| Ok(db.flows_of(FlowKind::Exit)?))?;
        let mut payouts = Vec::new();
        for row in channels.iter().filter(|row| row.hot.state == ChannelState::Exiting) {
            let terms = ChannelTerms::from_canonical(&row.record.terms)?;
            let own = if row.hot.role == Role::Payer { terms.payer } else { terms.receiver };
            payouts.push(own.chain_payout.script());
        }
        for flow in &flows {
            payouts.extend(payout_of(flow)?);
        }
        Ok(payouts)
    }
}
