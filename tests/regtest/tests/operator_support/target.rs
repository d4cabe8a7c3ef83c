//! Something that speaks arkd's gRPC over a chain with a faucet: our own operator, or a real arkd that a person has started.

use std::time::Duration;

use bitcoin::{Address, Amount, Network, OutPoint, ScriptBuf, TxOut};
use regtest::Node;
use regtest::operator::{Operator, Settings, Unit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub enum Target {
    Ours { node: Node, operator: Box<Operator> },
    Real { grpc: String, backend: String },
}

impl Target {
    pub async fn ours(unit: Unit, session: u64) -> Target {
        let node = Node::start().await.unwrap();
        let settings = Settings { session: Duration::from_secs(session), ..Settings::for_unit(unit) };
        let operator = Box::new(Operator::start(node.clone(), settings).await.unwrap());
        Target::Ours { node, operator }
    }

    /// From `ARKD` (such as `http://127.0.0.1:7070`) and `FAUCET` (host and port of the faucet and miner).
    pub fn real() -> Option<Target> {
        Some(Target::Real { grpc: std::env::var("ARKD").ok()?, backend: std::env::var("FAUCET").ok()? })
    }

    pub fn url(&self) -> String {
        match self {
            Target::Ours { operator, .. } => operator.url(),
            Target::Real { grpc, .. } => grpc.clone(),
        }
    }

    /// A coin of this script; not mined.
    pub async fn pay(&self, script: &ScriptBuf, sats: u64) -> OutPoint {
        match self {
            Target::Ours { node, .. } => {
                let output = TxOut { value: Amount::from_sat(sats), script_pubkey: script.clone() };
                let tx = node.pay(std::slice::from_ref(&output)).await.unwrap();
                let vout = tx.output.iter().position(|o| *o == output).unwrap() as u32;
                OutPoint::new(tx.compute_txid(), vout)
            }
            Target::Real { backend, .. } => {
                let address = Address::from_script(script, Network::Regtest).unwrap();
                let txid = post(backend, &format!("/faucet/{address}/{sats}")).await;
                OutPoint::new(txid.trim().trim_matches('"').parse().unwrap(), 0)
            }
        }
    }

    pub async fn mine(&self, blocks: u32) {
        match self {
            Target::Ours { node, .. } => {
                node.generate(blocks).await.unwrap();
            }
            Target::Real { backend, .. } => {
                post(backend, &format!("/mine/{blocks}")).await;
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

/// The smallest HTTP client that does.
async fn post(backend: &str, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(backend).await.unwrap();
    let request = format!("POST {path} HTTP/1.0\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}
