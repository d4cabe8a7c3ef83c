//! The chain: a bitcoind of our own, on regtest, with the calls that tests, the operator and Esplora need.
//!
//! No wallet is involved: a fixed key owns every coinbase and pays whoever asks ([`Node::pay`]).

mod inner;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::{Amount, Block, BlockHash, OutPoint, PrivateKey, ScriptBuf, Transaction, TxOut, Txid};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::inner::{Inner, now, unexpected};
use crate::bitcoind::Bitcoind;
use crate::coins;
pub use crate::error::NodeError;

/// The last block of the best chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: u32,
    /// Its hash.
    pub hash: BlockHash,
    /// Its header's time in Unix seconds.
    pub time: u64,
    /// The median time past after it, in Unix seconds: what lock times in seconds are compared with.
    pub median_time: u64,
}

/// Where a transaction is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// Height of its block.
    pub height: u32,
    /// Header time of its block in Unix seconds.
    pub block_time: u64,
    /// Hash of its block.
    pub block_hash: BlockHash,
}

/// A handle to a running bitcoind. Clones share it; the last one to go ends the process.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

/// Blocks that `start` mines: the coinbases of all but the last 119 can be spent.
const FIRST_BLOCKS: u32 = 180;
/// The median time past is that of so many blocks.
const MEDIAN_SPAN: u32 = 11;
/// The script of a pay-to-anchor output, which anyone may spend.
pub const P2A: &[u8] = &[0x51, 0x02, 0x4e, 0x73];
/// Bitcoin Core's code for a height above the tip.
const OUT_OF_RANGE: i32 = -8;

impl Node {
    /// Starts bitcoind with a new chain: 180 blocks, 61 of them with a coin that the faucet can spend, the last with
    /// the time of now and a median time past of some seconds ago.
    pub async fn start() -> Result<Self, NodeError> {
        blocking(move || {
            let inner = Inner {
                bitcoind: Bitcoind::start()?,
                purse: Mutex::default(),
                ahead: Mutex::default(),
                changes: AtomicU64::default(),
            };
            let now = now();
            inner.set_clock(now.saturating_sub(3600))?;
            inner.mine(FIRST_BLOCKS - MEDIAN_SPAN)?;
            for left in (0..MEDIAN_SPAN).rev() {
                inner.set_clock(now - u64::from(left))?;
                inner.mine(1)?;
            }
            inner.set_clock(0)?;
            Ok(Self { inner: Arc::new(inner) })
        })
        .await
    }

    /// The last block of the best chain.
    pub async fn tip(&self) -> Result<Tip, NodeError> {
        self.run(|inner| inner.tip()).await
    }

    /// As long as this number stays, chain and mempool are what they were: nobody else talks to this bitcoind.
    pub fn changes(&self) -> u64 {
        self.inner.changes.load(Ordering::SeqCst)
    }

    /// Gives a transaction to the mempool (`sendrawtransaction`, without a limit on its fee).
    pub async fn broadcast(&self, tx: &Transaction) -> Result<Txid, NodeError> {
        let raw = serialize_hex(tx);
        self.get("sendrawtransaction", vec![json!(raw), json!(0)]).await
    }

    /// Gives a child and its parents to the mempool at once; the answer is that of `submitpackage`.
    pub async fn submit_package(&self, txs: &[Transaction]) -> Result<Value, NodeError> {
        let raw: Vec<String> = txs.iter().map(serialize_hex).collect();
        self.call("submitpackage", vec![json!(raw), json!(0)]).await
    }

    /// `None` if the mempool would take the transaction now, else why not, such as `non-BIP68-final`.
    pub async fn test_accept(&self, tx: &Transaction) -> Result<Option<String>, NodeError> {
        let method = "testmempoolaccept";
        let answer = self.call(method, vec![json!([serialize_hex(tx)]), json!(0)]).await?;
        match (answer[0]["allowed"].as_bool(), answer[0]["reject-reason"].as_str()) {
            (Some(true), _) => Ok(None),
            (Some(false), Some(reason)) => Ok(Some(reason.to_owned())),
            _ => Err(unexpected(method, &answer)),
        }
    }

    /// A transaction of the mempool or of the best chain; `None` when it is in neither.
    pub async fn transaction(&self, txid: &Txid) -> Result<Option<(Transaction, Option<Confirmed>)>, NodeError> {
        let txid = *txid;
        self.run(move |inner| inner.transaction(&txid)).await
    }

    /// An unspent output, the mempool's view: `None` when it is unknown or spent there or in the chain.
    pub async fn utxo(&self, outpoint: &OutPoint) -> Result<Option<TxOut>, NodeError> {
        let method = "gettxout";
        let answer = self.call(method, vec![json!(outpoint.txid), json!(outpoint.vout), json!(true)]).await?;
        if answer.is_null() {
            return Ok(None);
        }
        let value = answer["value"].as_f64().and_then(|v| Amount::from_btc(v).ok());
        let script = answer["scriptPubKey"]["hex"].as_str().and_then(|v| ScriptBuf::from_hex(v).ok());
        match (value, script) {
            (Some(value), Some(script_pubkey)) => Ok(Some(TxOut { value, script_pubkey })),
            _ => Err(unexpected(method, &answer)),
        }
    }

    /// Hash, header time and transactions of the block at `height` of the best chain.
    pub async fn block_transactions(&self, height: u32) -> Result<(BlockHash, u64, Vec<Transaction>), NodeError> {
        self.run(move |inner| {
            let hash = inner.get("getblockhash", &[json!(height)])?;
            let block = inner.block(&hash)?;
            Ok((hash, block.header.time.into(), block.txdata))
        })
        .await
    }

    /// Mines `n` blocks to the faucet's key and returns their hashes. Their times follow the clock; a burst runs
    /// ahead of it by a second every six blocks, as each block must be later than the median of those before it.
    pub async fn generate(&self, n: u32) -> Result<Vec<BlockHash>, NodeError> {
        self.run(move |inner| {
            inner.follow_clock()?;
            inner.mine(n)
        })
        .await
    }

    /// Moves the chain's clock to `seconds` after the last block or after now, whichever is later, and mines `n`
    /// blocks there. From then on the clock goes on with real time. Eleven blocks move the median time past as well.
    pub async fn generate_after(&self, n: u32, seconds: u64) -> Result<Vec<BlockHash>, NodeError> {
        self.run(move |inner| {
            inner.advance_clock(seconds)?;
            inner.mine(n)
        })
        .await
    }

    /// Takes a block and all after it out of the best chain. Their transactions go back to the mempool (those of the
    /// last ten blocks; bitcoind drops older ones). Blocks mined afterwards differ from those taken out.
    pub async fn invalidate(&self, hash: &BlockHash) -> Result<(), NodeError> {
        let hash = *hash;
        self.run(move |inner| {
            // With the same second, coins and parent the next block would be the very one that is invalid now.
            inner.advance_clock(1)?;
            inner.call("invalidateblock", &[json!(hash)]).map(drop)
        })
        .await
    }

    /// Pays `outputs` from the faucet, with change to itself; signed and broadcast, not mined. Calls side by side never
    /// take the same coin.
    pub async fn pay(&self, outputs: &[TxOut]) -> Result<Transaction, NodeError> {
        let outputs = outputs.to_vec();
        self.run(move |inner| {
            // Held until the change is back, as a payment side by side may need it.
            let mut purse = inner.purse();
            let coins = purse.take(&inner.bitcoind, coins::cost(&outputs), false)?;
            let tx = coins::payment(&coins, &outputs);
            match inner.call("sendrawtransaction", &[json!(serialize_hex(&tx)), json!(0)]) {
                Ok(_) => purse.put(coins::own(&tx, 0).skip_while(|c| (c.outpoint.vout as usize) < outputs.len())),
                Err(e) => {
                    purse.put(coins);
                    return Err(e);
                }
            }
            Ok(tx)
        })
        .await
    }

    /// Broadcasts a transaction without a fee of its own together with a v3 child that spends its P2A output and a coin
    /// of the faucet and pays `fee`. The answer is that of `submitpackage`.
    pub async fn cpfp(&self, parent: &Transaction, fee: Amount) -> Result<Value, NodeError> {
        let parent = parent.clone();
        self.run(move |inner| {
            let txid = parent.compute_txid();
            let anchor = parent.output.iter().zip(0..).find(|(o, _)| o.script_pubkey.as_bytes() == P2A);
            let (anchor, vout) = anchor.ok_or(NodeError::NoAnchor(txid))?;
            let coins = inner.purse().take(&inner.bitcoind, fee + coins::DUST, true)?;
            let child = coins::fee_payment(OutPoint { txid, vout }, anchor.value, &coins, fee);
            let package = json!([serialize_hex(&parent), serialize_hex(&child)]);
            let answer = inner.call("submitpackage", &[package, json!(0)]);
            let taken = answer.as_ref().is_ok_and(|a| a["package_msg"] == "success");
            inner.purse().put(if taken { coins::own(&child, 0).collect() } else { coins });
            answer
        })
        .await
    }

    /// The faucet's key, which owns every coinbase (P2WPKH).
    pub fn faucet_secret() -> PrivateKey {
        coins::key()
    }

    /// bitcoind's data folder, which goes with it.
    pub fn folder(&self) -> std::path::PathBuf {
        self.inner.bitcoind.folder()
    }

    /// Any RPC call, for what has no method here.
    pub async fn call(&self, method: &str, arguments: Vec<Value>) -> Result<Value, NodeError> {
        let method = method.to_owned();
        self.run(move |inner| inner.call(&method, &arguments)).await
    }

    /// The block at a height of the best chain; `None` above its tip.
    pub async fn block_hash(&self, height: u32) -> Result<Option<BlockHash>, NodeError> {
        match self.get("getblockhash", vec![json!(height)]).await {
            Ok(hash) => Ok(Some(hash)),
            Err(e) if e.code() == Some(OUT_OF_RANGE) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A block, whether or not it is in the best chain.
    pub async fn block(&self, hash: BlockHash) -> Result<Block, NodeError> {
        self.run(move |inner| inner.block(&hash)).await
    }

    /// Takes the last `n` blocks out of the chain and mines `n + 1` others, with the same transactions where those are
    /// still valid. Returns the new blocks.
    pub async fn reorg(&self, n: u32) -> Result<Vec<BlockHash>, NodeError> {
        let height = self.tip().await?.height;
        if n == 0 {
            return self.generate(1).await;
        }
        if let Some(hash) = self.block_hash((height + 1).saturating_sub(n)).await? {
            self.invalidate(&hash).await?;
        }
        self.generate(n + 1).await
    }

    /// A transaction out of the hex string that RPC answers with.
    pub(crate) fn decode(raw: &Value) -> Result<Transaction, NodeError> {
        let tx = raw.as_str().and_then(|v| deserialize_hex(v).ok());
        tx.ok_or_else(|| unexpected("getrawtransaction", raw))
    }

    pub(crate) async fn get<T: DeserializeOwned + Send + 'static>(
        &self,
        method: &'static str,
        arguments: Vec<Value>,
    ) -> Result<T, NodeError> {
        self.run(move |inner| inner.get(method, &arguments)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, NodeError> + Send + 'static,
    ) -> Result<T, NodeError> {
        let inner = self.inner.clone();
        blocking(move || work(&inner)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NodeError> + Send + 'static,
) -> Result<T, NodeError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| NodeError::Task(e.to_string()))?
}
