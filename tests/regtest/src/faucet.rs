//! The calls by which a demo or a test that is not written in Rust moves the chain on: coins, blocks, fees, reorgs.

use axum::extract::{Path, Query, State};
use axum::routing::post;
use axum::{Json, Router};
use bitcoin::consensus::encode::deserialize_hex;
use bitcoin::{Address, Amount, Network, Transaction, TxOut};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::esplora::Mode;
use crate::node::Node;
use crate::server::Failure;

/// Blocks that one call may mine or take back; more would outlast the patience of an HTTP client.
const MOST_BLOCKS: u32 = 1000;

/// `POST /faucet/{address}/{sats}` pays and answers with the txid; `POST /mine/{n}?after=SECONDS` mines, after moving the
/// chain's clock on; `POST /cpfp` with `{"parent": hex, "fee": sats}` pays for a transaction without fee.
pub fn routes(node: Node) -> Router {
    Router::new()
        .route("/faucet/{address}/{sats}", post(faucet))
        .route("/mine/{n}", post(mine))
        .route("/cpfp", post(cpfp))
        .with_state(node)
}

/// `POST /reorg/{n}` replaces the last n blocks by n + 1 others; `POST /esplora/{answer|hang|fail}` sets how Esplora
/// behaves.
pub fn admin_routes(node: Node, mode: watch::Sender<Mode>) -> Router {
    let reorgs = Router::new().route("/reorg/{n}", post(reorg)).with_state(node);
    let modes = Router::new().route("/esplora/{mode}", post(set_mode)).with_state(mode);
    reorgs.merge(modes)
}

async fn faucet(State(node): State<Node>, Path((address, sats)): Path<(String, u64)>) -> Result<String, Failure> {
    let address: Address<_> = address.parse().map_err(Failure::bad)?;
    let address = address.require_network(Network::Regtest).map_err(Failure::bad)?;
    let value = Amount::from_sat(sats);
    if value > Amount::MAX_MONEY {
        return Err(Failure::bad(format!("{value} is more than there can be")));
    }
    let tx = node.pay(&[TxOut { value, script_pubkey: address.script_pubkey() }]).await?;
    Ok(tx.compute_txid().to_string())
}

#[derive(Deserialize)]
struct Clock {
    after: Option<u64>,
}

async fn mine(
    State(node): State<Node>,
    Path(n): Path<u32>,
    Query(clock): Query<Clock>,
) -> Result<Json<Value>, Failure> {
    let n = bounded(n)?;
    let hashes = match clock.after {
        // Header times have 32 bits.
        Some(after) if after > u64::from(u32::MAX) => return Err(Failure::bad(format!("{after} s is too far ahead"))),
        Some(after) => node.generate_after(n, after).await?,
        None => node.generate(n).await?,
    };
    Ok(Json(json!(hashes)))
}

#[derive(Deserialize)]
struct Cpfp {
    parent: String,
    fee: Option<u64>,
}

async fn cpfp(State(node): State<Node>, body: String) -> Result<Json<Value>, Failure> {
    let wish: Cpfp = serde_json::from_str(&body).map_err(Failure::bad)?;
    let parent: Transaction = deserialize_hex(&wish.parent).map_err(Failure::bad)?;
    let fee = Amount::from_sat(wish.fee.unwrap_or(2_000)).min(Amount::ONE_BTC);
    let result = node.cpfp(&parent, fee).await?;
    Ok(Json(json!({ "txid": parent.compute_txid(), "result": result })))
}

async fn reorg(State(node): State<Node>, Path(n): Path<u32>) -> Result<Json<Value>, Failure> {
    Ok(Json(json!(node.reorg(bounded(n)?).await?)))
}

async fn set_mode(State(sender): State<watch::Sender<Mode>>, Path(mode): Path<Mode>) -> &'static str {
    sender.send_replace(mode);
    "ok"
}

fn bounded(n: u32) -> Result<u32, Failure> {
    if n > MOST_BLOCKS { Err(Failure::bad(format!("{n} blocks, at most {MOST_BLOCKS} at once"))) } else { Ok(n) }
}
