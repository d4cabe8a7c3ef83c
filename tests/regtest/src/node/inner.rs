//! The calls themselves, which block, and what a node remembers: the faucet's coins and its clock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Address, Block, BlockHash, Network, Transaction, Txid};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{Confirmed, NodeError, Tip};
use crate::bitcoind::Bitcoind;
use crate::coins::{self, MATURITY, Purse};

/// Bitcoin Core's code for an unknown transaction.
const NOT_FOUND: i32 = -5;

pub struct Inner {
    pub bitcoind: Bitcoind,
    pub purse: Mutex<Purse>,
    /// By how many seconds the chain's clock is ahead of the real one.
    pub ahead: Mutex<u64>,
    /// Grows with every call that may change chain or mempool, when it begins and when it has ended.
    pub changes: AtomicU64,
}

impl Inner {
    pub fn call(&self, method: &str, arguments: &[Value]) -> Result<Value, NodeError> {
        let reads = method.starts_with("get") || method == "testmempoolaccept";
        let count = u64::from(!reads);
        self.changes.fetch_add(count, Ordering::SeqCst);
        let answer = self.bitcoind.call(method, arguments);
        self.changes.fetch_add(count, Ordering::SeqCst);
        answer
    }

    pub fn get<T: DeserializeOwned>(&self, method: &str, arguments: &[Value]) -> Result<T, NodeError> {
        let answer = self.call(method, arguments)?;
        T::deserialize(&answer).map_err(|_| unexpected(method, &answer))
    }

    pub fn purse(&self) -> MutexGuard<'_, Purse> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn ahead(&self) -> MutexGuard<'_, u64> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tip(&self) -> Result<Tip, NodeError> {
        let method = "getblockchaininfo";
        let answer = self.call(method, &[])?;
        let height = answer["blocks"].as_u64().and_then(|v| v.try_into().ok());
        let hash = answer["bestblockhash"].as_str().and_then(|v| v.parse().ok());
        match (height, hash, answer["time"].as_u64(), answer["mediantime"].as_u64()) {
            (Some(height), Some(hash), Some(time), Some(median_time)) => Ok(Tip { height, hash, time, median_time }),
            _ => Err(unexpected(method, &answer)),
        }
    }

    pub fn block(&self, hash: &BlockHash) -> Result<Block, NodeError> {
        let raw: String = self.get("getblock", &[json!(hash), json!(0)])?;
        deserialize_hex(&raw).map_err(|e| unexpected("getblock", &json!(e.to_string())))
    }

    pub fn transaction(&self, txid: &Txid) -> Result<Option<(Transaction, Option<Confirmed>)>, NodeError> {
        let method = "getrawtransaction";
        let answer = match self.call(method, &[json!(txid), json!(true)]) {
            Err(e) if e.code() == Some(NOT_FOUND) => return Ok(None),
            other => other?,
        };
        let tx = super::Node::decode(&answer["hex"])?;
        let Some(hash) = answer["blockhash"].as_str() else { return Ok(Some((tx, None))) };
        let header = self.call("getblockheader", &[json!(hash)])?;
        // The index also knows what is only in a block that lost.
        if header["confirmations"].as_i64().is_none_or(|n| n < 1) {
            return Ok(None);
        }
        let height = header["height"].as_u64().and_then(|v| v.try_into().ok());
        match (height, header["time"].as_u64(), hash.parse()) {
            (Some(height), Some(block_time), Ok(block_hash)) => {
                Ok(Some((tx, Some(Confirmed { height, block_time, block_hash }))))
            }
            _ => Err(unexpected("getblockheader", &header)),
        }
    }

    pub fn mine(&self, n: u32) -> Result<Vec<BlockHash>, NodeError> {
        let address =
            Address::from_script(&coins::script(), Network::Regtest).map_err(|e| NodeError::Start(e.to_string()))?;
        let hashes: Vec<BlockHash> = self.get("generatetoaddress", &[json!(n), json!(address.to_string())])?;
        let Some(last) = hashes.last() else { return Ok(hashes) };
        let header = self.call("getblockheader", &[json!(last)])?;
        let height = header["height"].as_u64().and_then(|v| u32::try_from(v).ok());
        let height = height.ok_or_else(|| unexpected("getblockheader", &header))?;
        for (hash, below) in hashes.iter().rev().zip(0..) {
            let block = self.block(hash)?;
            if let Some(coinbase) = block.txdata.first() {
                self.purse().put(coins::own(coinbase, height - below + MATURITY - 1));
            }
        }
        Ok(hashes)
    }

    /// 0 gives the clock back to the system.
    pub fn set_clock(&self, seconds: u64) -> Result<(), NodeError> {
        self.call("setmocktime", &[json!(seconds)]).map(drop)
    }

    pub fn follow_clock(&self) -> Result<(), NodeError> {
        let ahead = *self.ahead();
        if ahead == 0 { Ok(()) } else { self.set_clock(now() + ahead) }
    }

    pub fn advance_clock(&self, seconds: u64) -> Result<(), NodeError> {
        let tip = self.tip()?;
        let mut ahead = self.ahead();
        let target = tip.time.max(now() + *ahead) + seconds;
        *ahead = target.saturating_sub(now());
        self.set_clock(target)
    }
}

pub fn unexpected(method: &str, answer: &Value) -> NodeError {
    let mut answer = answer.to_string();
    answer.truncate(answer.floor_char_boundary(500));
    NodeError::Answer { method: method.to_owned(), answer }
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}
