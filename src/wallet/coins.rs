//! The coins of the wallet: VTXOs by the operator's books, boarding coins by the chain.

use std::collections::{HashMap, HashSet};

use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Txid};

use super::batch::InputData;
use super::error::Result;
use super::{Wallet, WalletError};
use crate::chain::{ChainError, TxStatus};
use crate::channel::intent::IntentInput;
use crate::channel::offchain::OffchainInput;
use crate::channel::{OperatorInfo, Unit};
use crate::operator::InputKind;
use crate::store::{Db, OwnScript, ScriptKind};

/// A coin that is shown so many seconds after it was spent is ours again: its batch was never published.
const SPENT_FOR: u64 = 600;

/// A batch may take so long, in seconds: what the operator would take for less time than that goes into none.
const SETTLING_TAKES: u64 = 600;

const SPENT_KEY: &str = "recently-spent";

/// Coins that flows spent in the last [`SPENT_FOR`] seconds, and when.
fn recently_spent(db: &Db<'_>, now: u64) -> Result<Vec<(OutPoint, u64)>> {
    let Some(data) = db.meta(SPENT_KEY)? else { return Ok(Vec::new()) };
    let mut spent: Vec<(OutPoint, u64)> =
        serde_json::from_slice(&data).map_err(|_| WalletError::CorruptFlow { what: "the spent coins" })?;
    spent.retain(|(_, at)| now < at.saturating_add(SPENT_FOR));
    Ok(spent)
}

/// How far a coin is from being final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoinKind {
    /// On chain at a boarding address, not confirmed yet: waits.
    Unconfirmed,
    /// On chain at a boarding address.
    Boarding,
    /// Expired or swept: goes back into a batch without a forfeit.
    Recoverable,
    /// A VTXO made off chain, or in a batch whose commitment transaction is not confirmed.
    Preconfirmed,
    /// The output of a batch whose commitment transaction is confirmed.
    Settled,
}

/// A coin of this wallet that nobody has spent.
#[derive(Debug, Clone)]
pub(super) struct Coin {
    pub outpoint: OutPoint,
    pub amount: Amount,
    pub kind: CoinKind,
    pub own: OwnScript,
    /// When the operator may sweep it (unix seconds in arkd's counting); 0 on chain.
    pub expires_at: u64,
    pub created_at: u64,
    /// Held by a flow.
    pub locked: bool,
    /// The output of a batch, confirmed or not.
    pub in_batch: bool,
    /// At a boarding address: the block it is in.
    pub block: Option<Block>,
}

/// A block with a coin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub height: u32,
    pub hash: BlockHash,
    /// What it says of itself, unix seconds.
    pub time: u64,
}

impl Coin {
    /// Whether the operator takes it into a batch at `now` (unix seconds): of boarding coins not those that are too small or
    /// too large, nor those that their owner could soon take alone. Anybody can send such a one, and with it in an intent
    /// everything else in that is refused, too.
    pub fn is_taken(&self, info: &OperatorInfo, now: u64) -> bool {
        let fits = self.amount >= info.utxo_min && info.utxo_max.is_none_or(|most| self.amount <= most);
        let late = self.taken_until().is_some_and(|until| now >= until);
        self.kind != CoinKind::Boarding || fits && !late
    }

    /// arkd adds the exit delay to the time that the block says (a block counts as a second), and compares with its own clock.
    fn taken_until(&self) -> Option<u64> {
        let (block, delay) = (self.block?, self.own.delay?);
        let spare = match delay.unit() {
            Unit::Seconds => SETTLING_TAKES.min(delay.value() / 10),
            Unit::Blocks => 0,
        };
        Some(block.time.saturating_add(delay.value()).saturating_sub(spare))
    }

    /// How the coin goes into a batch.
    pub fn batch_kind(&self) -> InputKind {
        match self.kind {
            CoinKind::Boarding | CoinKind::Unconfirmed => InputKind::Boarding,
            CoinKind::Recoverable => InputKind::Recoverable,
            CoinKind::Preconfirmed | CoinKind::Settled => InputKind::Vtxo,
        }
    }
}

fn block_of(status: TxStatus) -> Option<Block> {
    match status {
        TxStatus::Confirmed { height, hash, time } => Some(Block { height, hash, time }),
        TxStatus::Mempool | TxStatus::Unknown => None,
    }
}

/// The coins that a look showed, and why it may not have shown all.
pub(super) struct Seen {
    pub coins: Vec<Coin>,
    /// There may be more boarding coins, which the chain server does not list.
    pub missing: Option<ChainError>,
}

/// What the store knows of coins.
struct Known {
    own: HashMap<ScriptBuf, OwnScript>,
    locked: HashSet<OutPoint>,
    spent: HashSet<OutPoint>,
}

impl Wallet {
    /// All unspent coins, locked ones too. Anybody can make boarding coins hard to list: that hides no VTXO.
    pub(super) async fn coins(&self) -> Result<Seen> {
        let mut coins = self.vtxo_coins().await?;
        let boarding = self.boarding_coins().await?;
        coins.extend(boarding.coins);
        Ok(Seen { coins, missing: boarding.missing })
    }

    pub(super) async fn vtxo_coins(&self) -> Result<Vec<Coin>> {
        let Known { own, locked, spent } = self.known(ScriptKind::Vtxo)?;
        let ahead = self.scripts_ahead(&*self.info()?)?;
        let scripts: Vec<ScriptBuf> = own.keys().chain(ahead.iter().map(|(_, script)| script)).cloned().collect();
        let vtxos = self.net.operator().await?.vtxos_by_scripts(&scripts).await?;
        // A disk that is full must not hide the coins; the next look tries again.
        let _ = self.skip_seen(&ahead, &vtxos);
        let _ = self.note_vtxos(&vtxos.iter().filter(|vtxo| own.contains_key(&vtxo.script)).collect::<Vec<_>>());
        let now = self.now().unix();
        let mut coins = Vec::new();
        let batches = vtxos.iter().filter(|vtxo| own.contains_key(&vtxo.script) && !vtxo.spent && !vtxo.preconfirmed);
        let buried = self.buried(batches.flat_map(|vtxo| vtxo.commitment_txids.iter().copied())).await?;
        let left = self.left_on_chain(&vtxos.iter().map(|vtxo| vtxo.outpoint).collect::<Vec<_>>())?;
        for vtxo in vtxos {
            // Assets would be lost by spending; unrolled coins are for the exit.
            let gone = spent.contains(&vtxo.outpoint) || left.contains(&vtxo.outpoint);
            let unusable = vtxo.spent || vtxo.unrolled || vtxo.has_assets || gone;
            let Some(own) = own.get(&vtxo.script).filter(|_| !unusable) else { continue };
            let kind = if vtxo.is_recoverable(now) {
                CoinKind::Recoverable
            } else if vtxo.preconfirmed
                || vtxo.commitment_txids.is_empty()
                || !vtxo.commitment_txids.iter().all(|txid| buried.contains(txid))
            {
                CoinKind::Preconfirmed
            } else {
                CoinKind::Settled
            };
            coins.push(Coin {
                outpoint: vtxo.outpoint,
                amount: vtxo.amount,
                kind,
                own: own.clone(),
                expires_at: vtxo.expires_at,
                created_at: vtxo.created_at,
                locked: locked.contains(&vtxo.outpoint),
                in_batch: !vtxo.preconfirmed,
                block: None,
            });
        }
        coins.sort_unstable_by_key(|coin| (std::cmp::Reverse(coin.amount), coin.outpoint));
        Ok(coins)
    }

    /// Boarding coins. A server that says nothing at all is an error, one that does not list some of them is not.
    pub(super) async fn boarding_coins(&self) -> Result<Seen> {
        let Known { own, locked, spent } = self.known(ScriptKind::Boarding)?;
        let (mut coins, mut unspent, mut missing) = (Vec::new(), Vec::new(), None);
        for (script, own) in own {
            let found = match self.net.chain.coins(&script).await {
                Ok(found) => found,
                Err(error) => {
                    self.net.chain.tip().await?;
                    missing = Some(error);
                    continue;
                }
            };
            if !found.complete {
                missing = Some(ChainError::TooManyCoins);
            }
            for coin in found.coins {
                unspent.push(coin.outpoint);
                if spent.contains(&coin.outpoint) {
                    continue;
                }
                coins.push(Coin {
                    outpoint: coin.outpoint,
                    amount: coin.output.value,
                    kind: if coin.status.is_confirmed() { CoinKind::Boarding } else { CoinKind::Unconfirmed },
                    block: block_of(coin.status),
                    own: own.clone(),
                    expires_at: 0,
                    created_at: 0,
                    locked: locked.contains(&coin.outpoint),
                    in_batch: false,
                });
            }
        }
        // Neither a full disk nor a server that does not say what spent a coin may hide the others.
        let _ = Box::pin(self.note_boarding(&unspent)).await;
        coins.sort_unstable_by_key(|coin| (std::cmp::Reverse(coin.amount), coin.outpoint));
        Ok(Seen { coins, missing })
    }

    /// Remembers what a finished flow spent: Esplora and the operator's books may show it for a moment yet, beside what
    /// came of it.
    pub(super) fn mark_spent(&self, db: &Db<'_>, inputs: &[InputData]) -> Result<()> {
        if inputs.is_empty() {
            return Ok(());
        }
        self.expect_spent(db, inputs)?;
        let now = self.timestamp();
        let mut spent = recently_spent(db, now)?;
        spent.extend(inputs.iter().map(|input| (input.outpoint, now)));
        let data = serde_json::to_vec(&spent).map_err(|_| WalletError::CorruptFlow { what: "the spent coins" })?;
        Ok(db.set_meta(SPENT_KEY, &data)?)
    }

    fn known(&self, kind: ScriptKind) -> Result<Known> {
        let now = self.timestamp();
        self.store.read(|db| {
            Ok(Known {
                own: db.scripts(kind)?.into_iter().map(|own| (own.script.clone(), own)).collect(),
                locked: db.locked_coins()?.into_iter().map(|(outpoint, _)| outpoint).collect(),
                spent: recently_spent(db, now)?.into_iter().map(|(outpoint, _)| outpoint).collect(),
            })
        })
    }

    /// Those of the commitment transactions that are confirmed deep enough. Each is asked about once.
    async fn buried(&self, txids: impl Iterator<Item = Txid>) -> Result<HashSet<Txid>> {
        let txids: HashSet<Txid> = txids.collect();
        let mut buried = HashSet::new();
        if txids.is_empty() {
            return Ok(buried);
        }
        let tip = self.net.chain.tip().await?.height;
        for txid in txids {
            if self.net.chain.status(txid).await?.confirmations(tip) >= self.config.confirmations {
                buried.insert(txid);
            }
        }
        Ok(buried)
    }

    /// The coin as an input of an intent, by the leaf that owner and operator share.
    pub(super) fn intent_input(&self, own: &OwnScript, outpoint: OutPoint, amount: Amount) -> Result<IntentInput> {
        Ok(IntentInput::unlocked(outpoint, amount, self.tree_of(own)?, 0))
    }

    /// The coin as an input of an off-chain transaction.
    pub(super) fn offchain_input(&self, own: &OwnScript, outpoint: OutPoint, amount: Amount) -> Result<OffchainInput> {
        Ok(OffchainInput { outpoint, amount, tree: self.tree_of(own)?, leaf: 0, locktime: None })
    }
}

/// Picks coins for `needed`: the smallest single one that is enough, else the largest first. Answers also their sum.
pub(super) fn select(coins: &[Coin], needed: Amount, limit: usize) -> Result<(Vec<Coin>, Amount)> {
    let mut free: Vec<&Coin> = coins.iter().filter(|coin| !coin.locked).collect();
    let available = sum(free.iter().map(|coin| coin.amount));
    let single = free.iter().filter(|coin| coin.amount >= needed).min_by_key(|coin| (coin.amount, coin.outpoint));
    if let Some(coin) = single {
        return Ok((vec![(*coin).clone()], coin.amount));
    }
    free.sort_unstable_by_key(|coin| (std::cmp::Reverse(coin.amount), coin.outpoint));
    let mut picked = Vec::new();
    let mut total = Amount::ZERO;
    for coin in free.into_iter().take(limit) {
        total = sum([total, coin.amount]);
        picked.push(coin.clone());
        if total >= needed {
            return Ok((picked, total));
        }
    }
    Err(Box::new(WalletError::InsufficientFunds { needed, available }))
}

/// A sum that cannot overflow: money is bounded.
pub(super) fn sum(amounts: impl IntoIterator<Item = Amount>) -> Amount {
    amounts.into_iter().fold(Amount::ZERO, |total, amount| total.checked_add(amount).unwrap_or(Amount::MAX))
}
