//! Esplora's calls, with checked answers.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Amount, BlockHash, FeeRate, OutPoint, Script, Transaction, TxOut, Txid, consensus};

use super::ChainError;
use super::history::spend_of;
use super::http::{Http, bad, parse, short};
use super::told;
use crate::proxy::Proxy;

/// A package of ours: a branch level and its child.
const MAX_PACKAGE: usize = 25;

/// Pages of a history that are read for the coins of a script.
const COIN_PAGES: usize = 40;

/// The end of the best chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    pub height: u32,
    pub hash: BlockHash,
    /// The time in the block's header, unix seconds.
    pub time: u64,
    /// What locktimes are compared with, unix seconds.
    pub median_time_past: u64,
}

/// Whether and when a transaction was confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxStatus {
    /// In no block, and not in the mempool that this server sees.
    Unknown,
    Mempool,
    Confirmed {
        height: u32,
        hash: BlockHash,
        /// The time in the block's header, unix seconds.
        time: u64,
    },
}

impl TxStatus {
    /// Confirmations when the chain ends at height `tip`: 1 in the last block.
    pub fn confirmations(&self, tip: u32) -> u32 {
        match self {
            Self::Confirmed { height, .. } if *height <= tip => tip - height + 1,
            _ => 0,
        }
    }

    pub fn is_confirmed(&self) -> bool {
        matches!(self, Self::Confirmed { .. })
    }
}

/// An unspent output of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coin {
    pub outpoint: OutPoint,
    pub output: TxOut,
    pub status: TxStatus,
}

/// The unspent outputs of a script, as far as a server tells them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Coins {
    pub coins: Vec<Coin>,
    /// Whether these are all; else there may be older ones.
    pub complete: bool,
}

/// What spends an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spend {
    pub txid: Txid,
    pub status: TxStatus,
}

/// Fee rates by the number of blocks they aim at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fees(pub BTreeMap<u16, FeeRate>);

impl Fees {
    /// The rate for confirmation within `blocks`, never below 1 sat/vB.
    pub fn within(&self, blocks: u16) -> FeeRate {
        let rate = self.0.range(..=blocks).next_back().or(self.0.iter().next()).map(|(_, rate)| *rate);
        rate.unwrap_or(FeeRate::BROADCAST_MIN).max(FeeRate::BROADCAST_MIN)
    }
}

/// An Esplora server. Cloning is cheap.
#[derive(Clone)]
pub struct Chain {
    pub(super) http: Http,
}

impl std::fmt::Debug for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Chain").field("url", &self.http.url).finish()
    }
}

impl Chain {
    /// A client for the server at `url` (`https://…`, or `http://…` on regtest). Nothing is asked yet.
    pub fn new(url: &str) -> Result<Self, ChainError> {
        Self::through(None, url)
    }

    /// The same through a proxy.
    pub fn through(proxy: Option<&Proxy>, url: &str) -> Result<Self, ChainError> {
        Ok(Self { http: Http::new(proxy, url)? })
    }

    pub fn url(&self) -> &str {
        &self.http.url
    }

    pub async fn tip(&self) -> Result<Tip, ChainError> {
        const CALL: &str = "the chain's tip";
        let found = self.http.get(CALL, "/blocks/tip/hash").await?;
        let found = found.ok_or_else(|| bad(CALL, "there is none".into()))?;
        let text = String::from_utf8_lossy(&found);
        let hash = BlockHash::from_str(text.trim()).map_err(|_| bad(CALL, format!("{:?} is no hash", short(&text))))?;
        let block: Option<told::Block> = self.http.json(CALL, &format!("/block/{hash}")).await?;
        match block {
            Some(block) if block.id == hash => {
                Ok(Tip { height: block.height, hash, time: block.timestamp, median_time_past: block.mediantime })
            }
            _ => Err(bad(CALL, format!("block {hash} is not told"))),
        }
    }

    /// The unspent outputs of `script`, those in the mempool too. A server lists only so many (500 is usual), and anybody
    /// can send more than that to an address: what it refuses to list is read from the script's history.
    pub async fn coins(&self, script: &Script) -> Result<Coins, ChainError> {
        match self.listed_coins(script).await {
            Ok(coins) => Ok(Coins { coins, complete: true }),
            // Who does not answer this does not answer more.
            Err(error @ ChainError::Unreachable { .. }) => Err(error),
            Err(error) => {
                self.history(script, COIN_PAGES).await.map(|history| history.coins(script)).map_err(|_| error)
            }
        }
    }

    async fn listed_coins(&self, script: &Script) -> Result<Vec<Coin>, ChainError> {
        const CALL: &str = "the coins of a script";
        let hash = sha256::Hash::hash(script.as_bytes());
        let found: Option<Vec<told::Utxo>> = self.http.json(CALL, &format!("/scripthash/{hash}/utxo")).await?;
        let coins = found.unwrap_or_default().into_iter().map(|coin| {
            let value = Amount::from_sat(coin.value);
            if value > Amount::MAX_MONEY {
                return Err(bad(CALL, format!("a coin of {value}")));
            }
            Ok(Coin {
                outpoint: OutPoint::new(coin.txid, coin.vout),
                output: TxOut { value, script_pubkey: script.to_owned() },
                status: coin.status.read(CALL)?,
            })
        });
        coins.collect()
    }

    /// A transaction; `None` when the server does not know it.
    pub async fn transaction(&self, txid: Txid) -> Result<Option<Transaction>, ChainError> {
        const CALL: &str = "a transaction";
        let Some(bytes) = self.http.get(CALL, &format!("/tx/{txid}/raw")).await? else { return Ok(None) };
        let tx: Transaction = consensus::deserialize(&bytes).map_err(|error| bad(CALL, short(&error.to_string())))?;
        let got = tx.compute_txid();
        if got == txid { Ok(Some(tx)) } else { Err(bad(CALL, format!("{got} for {txid}"))) }
    }

    pub async fn status(&self, txid: Txid) -> Result<TxStatus, ChainError> {
        const CALL: &str = "a transaction's status";
        // `/tx/{txid}/status` says the same of an unknown transaction as of one in the mempool.
        let found: Option<WithStatus> = self.http.json(CALL, &format!("/tx/{txid}")).await?;
        match found {
            Some(WithStatus { status }) => status.read(CALL),
            None => Ok(TxStatus::Unknown),
        }
    }

    /// What spends `outpoint`; `None` when it is unspent, or its transaction not known.
    pub async fn outspend(&self, outpoint: OutPoint) -> Result<Option<Spend>, ChainError> {
        const CALL: &str = "what spends an output";
        let path = format!("/tx/{}/outspend/{}", outpoint.txid, outpoint.vout);
        let found: Option<told::Outspend> = self.http.json(CALL, &path).await?;
        found.map_or(Ok(None), |found| spend_of(CALL, found))
    }

    /// Hands a transaction to the network. One that is there already is no error.
    pub async fn broadcast(&self, tx: &Transaction) -> Result<Txid, ChainError> {
        let txid = tx.compute_txid();
        match self.http.post("a broadcast", "/tx", consensus::encode::serialize_hex(tx)).await {
            Err(error) if !error.is_known() => Err(error),
            _ => Ok(txid),
        }
    }

    /// Hands transactions to the network together, parents first: a parent without a fee lives by its child.
    pub async fn broadcast_package(&self, txs: &[Transaction]) -> Result<(), ChainError> {
        const CALL: &str = "a package";
        if txs.is_empty() || txs.len() > MAX_PACKAGE {
            return Err(ChainError::Rejected { reason: format!("a package of {} transactions", txs.len()) });
        }
        let encoded: Vec<String> = txs.iter().map(consensus::encode::serialize_hex).collect();
        let body = serde_json::to_string(&encoded).map_err(|error| bad(CALL, error.to_string()))?;
        let result: told::Package = parse(CALL, &self.http.post(CALL, "/txs/package", body).await?)?;
        if result.package_msg == "success" {
            return Ok(());
        }
        let errors = result.tx_results.values().filter_map(|result| {
            let error = result.error.as_deref()?;
            Some(format!("{}: {}", result.txid, short(error)))
        });
        let mut errors: Vec<String> = errors.take(MAX_PACKAGE).collect();
        errors.sort_unstable();
        Err(ChainError::Rejected { reason: format!("{} ({})", short(&result.package_msg), errors.join("; ")) })
    }

    pub async fn fees(&self) -> Result<Fees, ChainError> {
        const CALL: &str = "fee estimates";
        let found: Option<HashMap<u16, f64>> = self.http.json(CALL, "/fee-estimates").await?;
        let sane = found.unwrap_or_default().into_iter().filter(|(_, rate)| rate.is_finite() && *rate > 0.0);
        // sat/vB with a fraction, to sat per 1000 weight units, rounded up.
        let rates =
            sane.map(|(blocks, rate)| (blocks, FeeRate::from_sat_per_kwu((rate.min(100_000.0) * 250.0).ceil() as u64)));
        Ok(Fees(rates.collect()))
    }
}

/// The one part of a transaction's description that is used.
#[derive(serde::Deserialize)]
struct WithStatus {
    status: told::Status,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fees_fall_back_to_what_is_known() {
        let rate = |sats: u64| FeeRate::from_sat_per_kwu(sats * 250);
        let fees = Fees(BTreeMap::from([(2, rate(9)), (6, rate(4)), (144, rate(1))]));
        assert_eq!(fees.within(1), rate(9));
        assert_eq!(fees.within(5), rate(9));
        assert_eq!(fees.within(6), rate(4));
        assert_eq!(fees.within(u16::MAX), rate(1));
        assert_eq!(Fees::default().within(6), FeeRate::BROADCAST_MIN);
    }

    #[test]
    fn confirmations_count_from_one() {
        let hash = BlockHash::all_zeros();
        let status = TxStatus::Confirmed { height: 100, hash, time: 1 };
        assert_eq!((status.confirmations(99), status.confirmations(100), status.confirmations(105)), (0, 1, 6));
        assert_eq!(TxStatus::Mempool.confirmations(105), 0);
    }

    #[tokio::test]
    async fn nobody_there_is_an_error_within_seconds() {
        let started = std::time::Instant::now();
        let chain = Chain::new("http://127.0.0.1:1/").unwrap();
        assert!(matches!(chain.tip().await, Err(ChainError::Unreachable { .. })));
        let chain = Chain::new("https://127.0.0.1:1").unwrap();
        assert!(matches!(chain.fees().await, Err(ChainError::Unreachable { .. })));
        assert!(Chain::new("ftp://127.0.0.1").is_err());
        assert!(started.elapsed().as_secs() < 10);
    }
}
