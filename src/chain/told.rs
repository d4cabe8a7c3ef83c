//! What an Esplora server tells, as far as it is used.

use std::collections::HashMap;

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, BlockHash, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use serde::Deserialize;

use super::ChainError;
use super::esplora::TxStatus;
use super::http::bad;

#[derive(Deserialize)]
pub(super) struct Block {
    pub id: BlockHash,
    pub height: u32,
    pub timestamp: u64,
    pub mediantime: u64,
}

/// Where a transaction is.
#[derive(Deserialize)]
pub(super) struct Status {
    pub confirmed: bool,
    pub block_height: Option<u32>,
    pub block_hash: Option<BlockHash>,
    pub block_time: Option<u64>,
}

impl Status {
    pub fn read(&self, call: &'static str) -> Result<TxStatus, ChainError> {
        match (self.block_height, self.block_hash, self.block_time) {
            _ if !self.confirmed => Ok(TxStatus::Mempool),
            (Some(height), Some(hash), Some(time)) => Ok(TxStatus::Confirmed { height, hash, time }),
            _ => Err(bad(call, "confirmed in no block".into())),
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Utxo {
    pub txid: Txid,
    pub vout: u32,
    pub value: u64,
    pub status: Status,
}

#[derive(Deserialize)]
pub(super) struct Outspend {
    pub spent: bool,
    pub txid: Option<Txid>,
    pub status: Option<Status>,
}

/// A transaction with what it pays.
#[derive(Deserialize)]
pub(super) struct Paying {
    pub fee: u64,
    pub weight: u64,
    pub status: Status,
}

/// A transaction of a history.
#[derive(Deserialize)]
pub(super) struct Tx {
    pub txid: Txid,
    version: Version,
    locktime: LockTime,
    vin: Vec<Input>,
    vout: Vec<Output>,
    pub status: Status,
}

#[derive(Deserialize)]
struct Input {
    txid: Txid,
    vout: u32,
    scriptsig: ScriptBuf,
    #[serde(default)]
    witness: Witness,
    sequence: Sequence,
}

#[derive(Deserialize)]
struct Output {
    value: u64,
    scriptpubkey: ScriptBuf,
}

impl Tx {
    /// The transaction itself; whether it is the one it is called is for the caller to check.
    pub fn into_transaction(self) -> Transaction {
        let input = self.vin.into_iter().map(|input| TxIn {
            previous_output: OutPoint::new(input.txid, input.vout),
            script_sig: input.scriptsig,
            sequence: input.sequence,
            witness: input.witness,
        });
        let output = self
            .vout
            .into_iter()
            .map(|output| TxOut { value: Amount::from_sat(output.value), script_pubkey: output.scriptpubkey });
        let (input, output) = (input.collect(), output.collect());
        Transaction { version: self.version, lock_time: self.locktime, input, output }
    }
}

/// What became of a package.
#[derive(Deserialize)]
pub(super) struct Package {
    pub package_msg: String,
    #[serde(rename = "tx-results")]
    pub tx_results: HashMap<String, PackageTx>,
}

#[derive(Deserialize)]
pub(super) struct PackageTx {
    pub txid: Txid,
    pub error: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confirmed_needs_a_block() {
        let status = |confirmed| Status { confirmed, block_height: None, block_hash: None, block_time: None };
        assert!(status(true).read("").is_err());
        assert_eq!(status(false).read(""), Ok(TxStatus::Mempool));
    }
}
