//! The bad requests themselves.

mod batch;
mod indexer;
mod intents;
mod submissions;

use bitcoin::psbt::Psbt;
use bitcoin::{OutPoint, TxOut};
use tonic::Status;

use crate::operator_support::target::Target;
use crate::operator_support::{Coin, Party};

/// What came back for a request.
pub struct Answers {
    lines: Vec<String>,
}

impl Answers {
    pub fn note<T>(&mut self, name: &str, result: Result<T, Status>) {
        let line = match result {
            Ok(_) => format!("{name}: 0 -"),
            Err(status) => {
                if std::env::var("SHOW").is_ok() {
                    println!("{name}: {}", status.message().chars().take(300).collect::<String>());
                }
                let code = arkd_code(&status).map_or("-".into(), |c| c.to_string());
                format!("{name}: {} {code}", status.code() as i32)
            }
        };
        if std::env::var("SHOW").is_ok() {
            println!("= {line}");
        }
        self.lines.push(line);
    }
}

fn arkd_code(status: &Status) -> Option<i32> {
    if status.details().is_empty() { None } else { Some(crate::operator_support::code(status)) }
}

/// Sends all of them.
pub async fn all(target: &Target) -> Vec<String> {
    let mut answers = Answers { lines: Vec::new() };
    let mut alice = Party::at(target.url()).await;
    let coins = split(target, &mut alice, 8).await;
    submissions::all(&mut alice, &coins, &mut answers).await;
    intents::all(target, &mut alice, &coins, &mut answers).await;
    batch::all(&mut alice, &mut answers).await;
    indexer::all(&mut alice, &coins, &mut answers).await;
    answers.lines
}

/// Settled VTXOs of 20 000 sats each.
async fn split(target: &Target, party: &mut Party, count: usize) -> Vec<Coin> {
    let tree = party.boarding_tree();
    let amount = 20_000 * count as u64;
    let outpoint = target.pay(&tree.script_pubkey(), amount).await;
    target.mine(1).await;
    let boarding = Coin { outpoint, amount, tree, leaf: 0, sequence: bitcoin::Sequence::MAX };
    let outputs: Vec<TxOut> = vec![party.vtxo_output(20_000); count];
    party.settle(&[boarding], outputs).await.unwrap();
    target.mine(1).await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let vtxos = party.vtxos(&party.vtxo_tree().script_pubkey()).await;
    assert_eq!(vtxos.len(), count);
    let place = |v: &regtest::operator::wire::IndexerVtxo| {
        let o = v.outpoint.as_ref().unwrap();
        OutPoint::new(o.txid.parse().unwrap(), o.vout)
    };
    let mut coins: Vec<Coin> = vtxos.iter().map(|v| party.coin(place(v), v.amount)).collect();
    coins.sort_by_key(|c| c.outpoint.vout);
    coins
}

/// A changed copy of a PSBT.
pub fn with(packet: &Psbt, change: impl FnOnce(&mut Psbt)) -> Psbt {
    let mut other = packet.clone();
    change(&mut other);
    other
}
