//! An Ark operator for tests and the demo: it speaks arkd's gRPC and enforces the rules of arkd 0.9.15 over a real bitcoind, in
//! blocks or in seconds, and can be told to fail.
//!
//! The parts: [`service`] takes calls (headers, faults) and hands them to `register` (intents), `batch_calls` (a running batch),
//! `offchain` and `pending` (off-chain transactions), `indexer` and `subscription`. `round` runs batches: `commitment` plans one,
//! `musig` signs its tree, `finish` takes forfeits and broadcasts. `chainwatch` follows the chain, `answers` and `sweep` act on it. All of them write into the
//! books in [`state`].

mod answers;
mod bans;
mod batch_calls;
mod boarding;
mod chainwatch;
mod commitment;
pub mod errors;
mod events;
pub mod faults;
mod fees;
mod finish;
mod forfeit;
mod garble;
mod hooks;
mod indexer;
pub mod info;
pub mod intent;
pub mod musig;
mod offchain;
mod outputs;
mod pending;
pub mod psbt;
mod rebuild;
mod register;
mod round;
pub mod script;
mod server;
mod service;
pub mod settings;
mod shared;
mod state;
mod subscription;
mod sweep;
mod tree;
mod wallet;

/// The messages and services of `proto/ark/v1/ark.proto`.
#[allow(missing_docs, clippy::all)]
pub mod wire {
    tonic::include_proto!("ark.v1");
}

use std::sync::Arc;

use bitcoin::{Amount, OutPoint, TxOut};
use tokio::task::JoinHandle;

pub use errors::Code;
pub use faults::{Action, Call, Claim, Faults, Knob, Phase};
pub use settings::{Settings, Unit};

use crate::node::{Node, NodeError};
use server::Lines;
use service::Service;
use shared::Shared;
use wallet::{Coin, Wallet};

/// Coins the operator starts with.
const COINS: usize = 25;
/// Sats in each.
const COIN: u64 = 100_000_000;
/// Bytes of the largest request that is taken, as in grpc-go.
const LARGEST: usize = 4 << 20;

/// What can go wrong when an operator starts.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The node does not do its part.
    #[error("the node failed: {0}")]
    Node(#[from] NodeError),
    /// The port cannot be had.
    #[error("no port: {0}")]
    Port(#[from] std::io::Error),
}

/// A running operator. Dropping it stops it.
pub struct Operator {
    shared: Arc<Shared>,
    port: u16,
    lines: Lines,
    tasks: Vec<JoinHandle<()>>,
}

/// A stopped operator: its books wait for [`Stopped::start`].
pub struct Stopped {
    shared: Arc<Shared>,
    port: u16,
}

impl Operator {
    /// Starts on a free port of loopback, with coins from the node's faucet (one block is mined for them).
    pub async fn start(node: Node, settings: Settings) -> Result<Operator, OperatorError> {
        Operator::start_on(node, settings, 0).await
    }

    /// Starts on this port.
    pub async fn start_on(node: Node, settings: Settings, port: u16) -> Result<Operator, OperatorError> {
        let mut wallet = Wallet::new(&settings.forfeit);
        let output = TxOut { value: Amount::from_sat(COIN), script_pubkey: wallet.script() };
        let paid = node.pay(&vec![output.clone(); COINS]).await?;
        node.generate(1).await?;
        let txid = paid.compute_txid();
        let mine = paid.output.iter().enumerate().filter(|(_, o)| **o == output);
        wallet.add(mine.map(|(i, o)| Coin { outpoint: OutPoint::new(txid, i as u32), output: o.clone() }));
        Operator::serve(Arc::new(Shared::new(node, settings, wallet)), port).await
    }

    async fn serve(shared: Arc<Shared>, port: u16) -> Result<Operator, OperatorError> {
        let (listener, port) = server::bind(port).await?;
        let lines = Lines::default();
        let incoming = server::incoming(listener, lines.clone());
        let service = Service { shared: shared.clone() };
        let ark = wire::ark_service_server::ArkServiceServer::new(service.clone()).max_decoding_message_size(LARGEST);
        let indexer =
            wire::indexer_service_server::IndexerServiceServer::new(service).max_decoding_message_size(LARGEST);
        let server = tonic::transport::Server::builder().add_service(ark).add_service(indexer);
        let tasks = vec![
            tokio::spawn(async move {
                // Ends only with the task; an error here ends the connections, which is what a test would see anyway.
                let _ = server.serve_with_incoming(incoming).await;
            }),
            tokio::spawn(round::run(shared.clone())),
            tokio::spawn(chainwatch::run(shared.clone())),
        ];
        Ok(Operator { shared, port, lines, tasks })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A copy of its settings.
    pub fn settings(&self) -> Settings {
        self.shared.settings()
    }

    /// Changes its settings while it runs; clients learn of it by the digest.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.change_settings(change);
    }

    /// What a test wants to go wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Lifts all bans.
    pub fn pardon(&self) {
        self.shared.with_book(|b| b.bans.pardon());
    }

    /// The books' view of a VTXO, whatever the indexer is told to claim.
    pub fn vtxo(&self, outpoint: &OutPoint) -> Option<wire::IndexerVtxo> {
        self.shared.with_book(|b| b.vtxos.get(outpoint).map(|v| v.shown()))
    }

    /// Ends all event streams and subscriptions' streams; the connections stay.
    pub fn drop_streams(&self) {
        self.shared.events.drop_all();
        self.shared.subscriptions.drop_all();
    }

    /// Drops all connections; new ones are accepted.
    pub fn drop_connections(&self) {
        self.lines.cut_all();
    }

    /// Stops: all connections drop and the port is free. The books stay in what is returned.
    pub async fn stop(mut self) -> Stopped {
        let tasks = std::mem::take(&mut self.tasks);
        tasks.iter().for_each(JoinHandle::abort);
        for task in tasks {
            // Aborted: that is the error, and what is wanted.
            let _ = task.await;
        }
        self.lines.cut_all();
        self.shared.events.drop_all();
        self.shared.subscriptions.forget();
        self.shared.forget_session();
        Stopped { shared: self.shared.clone(), port: self.port }
    }

    /// Stops and starts again on the same port with the same books.
    pub async fn restart(self) -> Result<Operator, OperatorError> {
        self.stop().await.start().await
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.lines.cut_all();
    }
}

impl Stopped {
    /// Changes settings before the next start.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.change_settings(change);
    }

    /// Starts again on the same port.
    pub async fn start(self) -> Result<Operator, OperatorError> {
        // The old listener's task may need a moment to let go of the port.
        for _ in 0..50 {
            match Operator::serve(self.shared.clone(), self.port).await {
                Err(OperatorError::Port(_)) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
                other => return other,
            }
        }
        Operator::serve(self.shared, self.port).await
    }
}
