//! The JSON shapes of Esplora.

use bitcoin::hashes::Hash;
use bitcoin::{Address, BlockHash, Network, OutPoint, ScriptBuf, TxOut, Txid};
use serde_json::{Value, json};

use crate::index::{Index, Known};
use crate::node::{Confirmed, Node, NodeError};

/// Whether and where a transaction is confirmed.
pub fn status(confirmed: Option<Confirmed>) -> Value {
    match confirmed {
        Some(place) => json!({
            "confirmed": true,
            "block_height": place.height,
            "block_hash": place.block_hash,
            "block_time": place.block_time,
        }),
        None => json!({ "confirmed": false }),
    }
}

/// A transaction with what it spends, its fee (0 for a coinbase) and its status.
pub fn transaction(txid: &Txid, known: &Known) -> Value {
    let tx = &known.tx;
    let vin: Vec<_> = tx
        .input
        .iter()
        .zip(&known.prevouts)
        .map(|(input, prevout)| {
            json!({
                "txid": input.previous_output.txid,
                "vout": input.previous_output.vout,
                "prevout": prevout.as_ref().map(output),
                "scriptsig": input.script_sig.to_hex_string(),
                "scriptsig_asm": input.script_sig.to_asm_string(),
                "witness": input.witness.iter().map(hex).collect::<Vec<_>>(),
                "is_coinbase": tx.is_coinbase(),
                "sequence": input.sequence,
            })
        })
        .collect();
    let paid: u64 = known.prevouts.iter().flatten().map(|o| o.value.to_sat()).sum();
    let received: u64 = tx.output.iter().map(|o| o.value.to_sat()).sum();
    json!({
        "txid": txid,
        "version": tx.version.0,
        "locktime": tx.lock_time.to_consensus_u32(),
        "vin": vin,
        "vout": tx.output.iter().map(output).collect::<Vec<_>>(),
        "size": tx.total_size(),
        "weight": tx.weight().to_wu(),
        "fee": paid.saturating_sub(received),
        "status": status(known.confirmed),
    })
}

/// Whether an output is spent, and by what.
pub fn spending(index: &Index, outpoint: &OutPoint) -> Value {
    match index.spender(outpoint) {
        Some((txid, vin)) => {
            let confirmed = index.transaction(&txid).and_then(|known| known.confirmed);
            json!({ "spent": true, "txid": txid, "vin": vin, "status": status(confirmed) })
        }
        None => json!({ "spent": false }),
    }
}

/// A block without its transactions.
pub async fn block(node: &Node, hash: &BlockHash) -> Result<Value, NodeError> {
    let header = node.call("getblockheader", vec![json!(hash)]).await?;
    let block = node.block(*hash).await?;
    let parent = block.header.prev_blockhash;
    Ok(json!({
        "id": hash,
        "height": header["height"],
        "version": block.header.version.to_consensus(),
        "timestamp": block.header.time,
        "mediantime": header["mediantime"],
        "tx_count": block.txdata.len(),
        "size": block.total_size(),
        "weight": block.weight().to_wu(),
        "merkle_root": block.header.merkle_root,
        "previousblockhash": (parent != BlockHash::all_zeros()).then_some(parent),
        "nonce": block.header.nonce,
        "bits": block.header.bits.to_consensus(),
        "difficulty": block.header.difficulty_float(),
    }))
}

fn output(output: &TxOut) -> Value {
    let script = &output.script_pubkey;
    let mut fields = json!({
        "scriptpubkey": script.to_hex_string(),
        "scriptpubkey_asm": script.to_asm_string(),
        "scriptpubkey_type": kind(script),
        "value": output.value.to_sat(),
    });
    if let Ok(address) = Address::from_script(script, Network::Regtest) {
        fields["scriptpubkey_address"] = json!(address.to_string());
    }
    fields
}

fn kind(script: &ScriptBuf) -> &'static str {
    match () {
        () if script.as_bytes() == crate::node::P2A => "anchor",
        () if script.is_p2tr() => "v1_p2tr",
        () if script.is_p2wpkh() => "v0_p2wpkh",
        () if script.is_p2wsh() => "v0_p2wsh",
        () if script.is_p2pkh() => "p2pkh",
        () if script.is_p2sh() => "p2sh",
        () if script.is_op_return() => "op_return",
        () => "unknown",
    }
}

fn hex(bytes: &[u8]) -> String {
    ScriptBuf::from(bytes.to_vec()).to_hex_string()
}
