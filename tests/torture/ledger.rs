//! What is counted when everything has come to its end.

use regtest::Regtest;
use serde_json::Value;

use crate::report::Outcome;

/// The rules that hold whatever happened. Amounts in sats.
#[derive(Debug, Default)]
pub struct Ledger {
    /// What each side began with, on chain and in Ark together.
    pub payer_before: u64,
    pub receiver_before: u64,
    pub payer_after: u64,
    pub receiver_after: u64,
    /// What the receiver acknowledged last.
    pub acknowledged: u64,
    /// The most the payer ever signed.
    pub signed: u64,
    /// What virtual transactions and their children paid to miners in blocks of this schedule.
    pub fees: u64,
    /// What the operator may have lost, being gone: nobody answers a payer then that takes on chain what was closed.
    pub unanswered: u64,
}

impl Ledger {
    pub fn check(&self, outcome: &mut Outcome) {
        let (before, after) = (self.payer_before + self.receiver_before, self.payer_after + self.receiver_after);
        if after > before + self.unanswered {
            outcome.wrong(format!("money was made: {before} became {after} ({self:?})"));
        }
        if after + self.fees < before {
            outcome.wrong(format!("money was lost: {before} became {after}, {} were fees ({self:?})", self.fees));
        }
        if self.receiver_after + self.fees < self.receiver_before + self.acknowledged {
            outcome.wrong(format!("the receiver has less than it acknowledged: {self:?}"));
        }
        if self.payer_after + self.fees + self.signed < self.payer_before {
            outcome.wrong(format!("the payer lost more than it signed: {self:?}"));
        }
    }
}

/// Fees of version 3 transactions (the virtual ones and their children) and of those that spend from them, in the
/// blocks from `from` on.
pub async fn fees_since(regtest: &Regtest, from: u32) -> u64 {
    let mut total = 0;
    for (_, tx) in in_blocks(regtest, from).await {
        // The operator's and the faucet's own transactions are version 2; an exit's last one may be, too.
        if tx["version"].as_u64() == Some(3) || spends_by_script(&tx) {
            total += sats(&tx["fee"]);
        }
    }
    total
}

/// What was spent by what, in the blocks from `from` on: to find out where money went.
pub async fn transactions_since(regtest: &Regtest, from: u32) -> Vec<String> {
    let list = |tx: &Value, key: &str, tell: &dyn Fn(&Value) -> String| {
        tx[key].as_array().into_iter().flatten().map(tell).collect::<Vec<_>>().join(" ")
    };
    let told = in_blocks(regtest, from).await.into_iter().filter(|(_, tx)| tx["vin"][0]["coinbase"].is_null());
    let told = told.map(|(height, tx)| {
        let inputs = list(&tx, "vin", &|input| format!("{}:{}", input["txid"].as_str().unwrap_or("?"), input["vout"]));
        let outputs = list(&tx, "vout", &|output| sats(&output["value"]).to_string());
        format!("block {height}: {} spends {inputs}, pays {outputs}", tx["txid"].as_str().unwrap_or("?"))
    });
    told.collect()
}

async fn in_blocks(regtest: &Regtest, from: u32) -> Vec<(u32, Value)> {
    let node = regtest.node();
    let tip = node.tip().await.expect("a tip").height;
    let mut found = Vec::new();
    for height in from..=tip {
        let hash = node.block_hash(height).await.expect("a hash").expect("a block");
        let block: Value = node.call("getblock", vec![hash.to_string().into(), 2.into()]).await.expect("a block");
        found.extend(block["tx"].as_array().into_iter().flatten().map(|tx| (height, tx.clone())));
    }
    found
}

fn sats(amount: &Value) -> u64 {
    (amount.as_f64().unwrap_or(0.0) * 1e8).round() as u64
}

/// Whether an input is spent by a tapscript with a timelock: an own VTXO that is claimed on chain.
fn spends_by_script(tx: &Value) -> bool {
    let inputs = tx["vin"].as_array().into_iter().flatten();
    inputs.filter_map(|input| input["txinwitness"].as_array()).any(|witness| witness.len() >= 3)
}
