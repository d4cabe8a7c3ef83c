//! Esplora's HTTP interface over [`Index`]: the part that wallets use.

mod answer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bitcoin::consensus::encode::{serialize, serialize_hex};
use bitcoin::hashes::sha256;
use bitcoin::{Address, BlockHash, Network, OutPoint, Txid};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, watch};

use crate::index::{Index, script_hash};
use crate::node::{Node, NodeError};
use crate::server::{Failure, Server};

/// How Esplora behaves, for tests of a chain that is out of reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As it should.
    Answer,
    /// Requests are taken and not answered until the mode changes.
    Hang,
    /// Every request is refused with status 502, as a proxy in front of a dead server does.
    Fail,
}

/// A running Esplora server.
pub struct Esplora {
    server: Server,
    mode: watch::Sender<Mode>,
    heard: Arc<Heard>,
    rate: Arc<AtomicU32>,
}

/// What has come in, and what is answered to some of it once, whatever the truth.
#[derive(Default)]
struct Heard {
    requests: AtomicU64,
    lies: std::sync::Mutex<Vec<(String, Vec<u8>)>>,
}

/// Confirmed transactions in one answer.
const PAGE: usize = 25;
/// Unconfirmed transactions in one answer.
const MEMPOOL_PAGE: usize = 50;
/// Unspent outputs in one answer; where there are more, none is told.
const MOST_UNSPENT: usize = 500;
/// Blocks in one answer.
const BLOCKS: u32 = 10;

#[derive(Clone)]
struct Chain {
    node: Node,
    index: Arc<Mutex<Index>>,
    rate: Arc<AtomicU32>,
}

type Answer<T = Json<Value>> = Result<T, Failure>;

impl Esplora {
    /// Serves Esplora over `node` on a free loopback port, and the routes of `beside` next to it, which answer whatever
    /// the mode is.
    pub async fn start(node: Node, beside: Router) -> std::io::Result<Self> {
        let (mode, seen) = watch::channel(Mode::Answer);
        let rate = Arc::new(AtomicU32::new(1));
        let chain = Chain { node, index: Arc::default(), rate: rate.clone() };
        let heard = Arc::<Heard>::default();
        let routes = routes(chain)
            .layer(middleware::from_fn_with_state(seen, obey))
            .layer(middleware::from_fn_with_state(heard.clone(), hear))
            .merge(beside);
        Ok(Self { server: Server::start(routes).await?, mode, heard, rate })
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        self.server.url()
    }

    /// How many requests have come in since the start.
    pub fn requests(&self) -> u64 {
        self.heard.requests.load(Ordering::SeqCst)
    }

    /// Answers the next request for this path with this.
    pub fn lie_once(&self, path: impl Into<String>, body: impl Into<Vec<u8>>) {
        self.heard.lies.lock().unwrap_or_else(|e| e.into_inner()).push((path.into(), body.into()));
    }

    /// Lies that nobody has asked for yet.
    pub fn lies_left(&self) -> usize {
        self.heard.lies.lock().unwrap_or_else(|e| e.into_inner()).len()
    }

    /// Changes how it behaves; requests that hang are answered when it goes back to [`Mode::Answer`].
    pub fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Changes the fee estimate, in sats a vbyte; 1 at the beginning.
    pub fn set_fee_rate(&self, rate: u32) {
        self.rate.store(rate, Ordering::SeqCst);
    }

    /// The handle by which the mode is changed from elsewhere.
    pub(crate) fn mode(&self) -> watch::Sender<Mode> {
        self.mode.clone()
    }
}

async fn hear(State(heard): State<Arc<Heard>>, request: Request, next: Next) -> Response {
    heard.requests.fetch_add(1, Ordering::SeqCst);
    let path = request.uri().path();
    let lie = {
        let mut lies = heard.lies.lock().unwrap_or_else(|e| e.into_inner());
        lies.iter().position(|(of, _)| of == path).map(|at| lies.remove(at).1)
    };
    match lie {
        Some(body) => body.into_response(),
        None => next.run(request).await,
    }
}

async fn obey(State(mut mode): State<watch::Receiver<Mode>>, request: Request, next: Next) -> Answer<Response> {
    // An error means that the server is going away.
    let mode = mode.wait_for(|mode| *mode != Mode::Hang).await.map_or(Mode::Fail, |mode| *mode);
    match mode {
        Mode::Fail => Err(Failure(StatusCode::BAD_GATEWAY, "the chain is out of reach".into())),
        Mode::Answer | Mode::Hang => Ok(next.run(request).await),
    }
}

fn routes(chain: Chain) -> Router {
    Router::new()
        .route("/blocks/tip/height", get(tip_height))
        .route("/blocks/tip/hash", get(tip_hash))
        .route("/blocks", get(last_blocks))
        .route("/blocks/{height}", get(blocks_from))
        .route("/block-height/{height}", get(block_hash))
        .route("/block/{hash}", get(block))
        .route("/block/{hash}/header", get(header))
        .route("/block/{hash}/raw", get(raw_block))
        .route("/fee-estimates", get(fee_estimates))
        .route("/tx", post(broadcast))
        .route("/txs/package", post(submit_package))
        .route("/tx/{txid}", get(tx))
        .route("/tx/{txid}/hex", get(tx_hex))
        .route("/tx/{txid}/raw", get(tx_raw))
        .route("/tx/{txid}/status", get(tx_status))
        .route("/tx/{txid}/outspend/{vout}", get(outspend))
        .route("/tx/{txid}/outspends", get(outspends))
        .route("/{kind}/{name}/utxo", get(utxo))
        .route("/{kind}/{name}/txs", get(txs))
        .route("/{kind}/{name}/txs/chain", get(txs_chain))
        .route("/{kind}/{name}/txs/chain/{last}", get(txs_after))
        .route("/{kind}/{name}/txs/mempool", get(txs_mempool))
        .with_state(chain)
}

impl Chain {
    async fn index(&self) -> Result<MutexGuard<'_, Index>, NodeError> {
        let mut index = self.index.lock().await;
        index.sync(&self.node).await?;
        Ok(index)
    }
}

async fn tip_height(State(chain): State<Chain>) -> Answer<String> {
    Ok(chain.node.tip().await?.height.to_string())
}

async fn tip_hash(State(chain): State<Chain>) -> Answer<String> {
    Ok(chain.node.tip().await?.hash.to_string())
}

async fn last_blocks(State(chain): State<Chain>) -> Answer {
    let height = chain.node.tip().await?.height;
    blocks_from(State(chain), Path(height)).await
}

async fn blocks_from(State(chain): State<Chain>, Path(height): Path<u32>) -> Answer {
    let mut blocks = vec![];
    for height in (height.saturating_sub(BLOCKS - 1)..=height).rev() {
        if let Some(hash) = chain.node.block_hash(height).await? {
            blocks.push(answer::block(&chain.node, &hash).await?);
        }
    }
    Ok(Json(json!(blocks)))
}

async fn block_hash(State(chain): State<Chain>, Path(height): Path<u32>) -> Answer<String> {
    let hash = chain.node.block_hash(height).await?;
    Ok(hash.ok_or_else(|| Failure::not_found("Block"))?.to_string())
}

async fn block(State(chain): State<Chain>, Path(hash): Path<BlockHash>) -> Answer {
    Ok(Json(answer::block(&chain.node, &hash).await.map_err(unknown_block)?))
}

async fn header(State(chain): State<Chain>, Path(hash): Path<BlockHash>) -> Answer<String> {
    chain.node.get("getblockheader", vec![json!(hash), json!(false)]).await.map_err(unknown_block)
}

async fn raw_block(State(chain): State<Chain>, Path(hash): Path<BlockHash>) -> Answer<Vec<u8>> {
    Ok(serialize(&chain.node.block(hash).await.map_err(unknown_block)?))
}

fn unknown_block(error: NodeError) -> Failure {
    if error.code() == Some(-5) { Failure::not_found("Block") } else { error.into() }
}

async fn fee_estimates(State(chain): State<Chain>) -> Json<Value> {
    let targets = (1..=25).chain([144, 504, 1008]);
    let rate = f64::from(chain.rate.load(Ordering::SeqCst));
    Json(targets.map(|blocks: u16| (blocks.to_string(), json!(rate))).collect::<serde_json::Map<_, _>>().into())
}

async fn broadcast(State(chain): State<Chain>, body: String) -> Answer<String> {
    Ok(chain.node.get("sendrawtransaction", vec![json!(body.trim())]).await?)
}

/// The limits of `submitpackage`, which Esplora takes over: sats a vbyte, and BTC.
#[derive(Deserialize)]
struct Limits {
    maxfeerate: Option<f64>,
    maxburnamount: Option<f64>,
}

async fn submit_package(State(chain): State<Chain>, Query(limits): Query<Limits>, body: String) -> Answer {
    let txs: Vec<String> = serde_json::from_str(&body).map_err(Failure::bad)?;
    // bitcoind counts in BTC per thousand vbytes, and its default is 0.1.
    let max_fee_rate = limits.maxfeerate.map_or(0.1, |rate| rate * 1e-5);
    let arguments = vec![json!(txs), json!(max_fee_rate), json!(limits.maxburnamount.unwrap_or_default())];
    Ok(Json(chain.node.call("submitpackage", arguments).await?))
}

async fn tx(State(chain): State<Chain>, Path(txid): Path<Txid>) -> Answer {
    let index = chain.index().await?;
    let known = index.transaction(&txid).ok_or_else(|| Failure::not_found("Transaction"))?;
    Ok(Json(answer::transaction(&txid, known)))
}

async fn tx_hex(State(chain): State<Chain>, Path(txid): Path<Txid>) -> Answer<String> {
    let index = chain.index().await?;
    let known = index.transaction(&txid).ok_or_else(|| Failure::not_found("Transaction"))?;
    Ok(serialize_hex(&known.tx))
}

async fn tx_raw(State(chain): State<Chain>, Path(txid): Path<Txid>) -> Answer<Vec<u8>> {
    let index = chain.index().await?;
    let known = index.transaction(&txid).ok_or_else(|| Failure::not_found("Transaction"))?;
    Ok(serialize(&known.tx))
}

async fn tx_status(State(chain): State<Chain>, Path(txid): Path<Txid>) -> Answer {
    let index = chain.index().await?;
    Ok(Json(answer::status(index.transaction(&txid).and_then(|known| known.confirmed))))
}

async fn outspend(State(chain): State<Chain>, Path((txid, vout)): Path<(Txid, u32)>) -> Answer {
    let index = chain.index().await?;
    Ok(Json(answer::spending(&index, &OutPoint { txid, vout })))
}

async fn outspends(State(chain): State<Chain>, Path(txid): Path<Txid>) -> Answer {
    let index = chain.index().await?;
    let known = index.transaction(&txid).ok_or_else(|| Failure::not_found("Transaction"))?;
    let outputs = (0..known.tx.output.len() as u32).map(|vout| OutPoint { txid, vout });
    Ok(Json(outputs.map(|outpoint| answer::spending(&index, &outpoint)).collect()))
}

/// `address` and `scripthash` questions differ in nothing but how the script is named.
fn script_of(kind: &str, name: &str) -> Result<sha256::Hash, Failure> {
    match kind {
        "address" => {
            let address: Address<_> = name.parse().map_err(Failure::bad)?;
            let address = address.require_network(Network::Regtest).map_err(Failure::bad)?;
            Ok(script_hash(&address.script_pubkey()))
        }
        "scripthash" => name.parse().map_err(Failure::bad),
        _ => Err(Failure::not_found("Endpoint")),
    }
}

async fn utxo(State(chain): State<Chain>, Path((kind, name)): Path<(String, String)>) -> Answer {
    let script = script_of(&kind, &name)?;
    let index = chain.index().await?;
    let unspent = index.unspent(&script);
    if unspent.len() > MOST_UNSPENT {
        let text = format!("Too many unspent transaction outputs (>{MOST_UNSPENT}). Contact support to raise limits.");
        return Err(Failure::bad(text));
    }
    let coins = unspent.iter().map(|(outpoint, output, confirmed)| {
        json!({
            "txid": outpoint.txid,
            "vout": outpoint.vout,
            "value": output.value.to_sat(),
            "status": answer::status(*confirmed),
        })
    });
    Ok(Json(coins.collect()))
}

async fn txs(State(chain): State<Chain>, Path((kind, name)): Path<(String, String)>) -> Answer {
    page(&chain, &kind, &name, MEMPOOL_PAGE, PAGE, None).await
}

async fn txs_chain(State(chain): State<Chain>, Path((kind, name)): Path<(String, String)>) -> Answer {
    page(&chain, &kind, &name, 0, PAGE, None).await
}

async fn txs_after(State(chain): State<Chain>, Path((kind, name, last)): Path<(String, String, Txid)>) -> Answer {
    page(&chain, &kind, &name, 0, PAGE, Some(last)).await
}

async fn txs_mempool(State(chain): State<Chain>, Path((kind, name)): Path<(String, String)>) -> Answer {
    page(&chain, &kind, &name, MEMPOOL_PAGE, 0, None).await
}

/// At most `waiting` transactions of the mempool and then `confirmed` ones, newest first; of these only those older than
/// `last`.
async fn page(chain: &Chain, kind: &str, name: &str, waiting: usize, confirmed: usize, last: Option<Txid>) -> Answer {
    let script = script_of(kind, name)?;
    let index = chain.index().await?;
    let (old, new): (Vec<_>, Vec<_>) = index.history(&script).into_iter().partition(|(_, k)| k.confirmed.is_some());
    let start = match last {
        Some(last) => old.iter().position(|(txid, _)| *txid == last).map_or(old.len(), |at| at + 1),
        None => 0,
    };
    let found = new.into_iter().take(waiting).chain(old.into_iter().skip(start).take(confirmed));
    Ok(Json(found.map(|(txid, known)| answer::transaction(&txid, known)).collect()))
}
