//! The chain server's answers: the call, then what comes back for it, through HTTP, JSON and the library's own checks.

use bitcoin::consensus;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, FeeRate, OutPoint, Transaction, Txid};
use virtual_channels::chain::{Chain, TxStatus};
use virtual_channels::channel::Unit;

use super::Writer;
use super::http::{Reply, World};
use super::input::Input;
use crate::pair::Pair;

/// More answers than any call asks for.
const MOST: usize = 4;

struct Asked {
    world: World,
    chain: Chain,
    tx: Transaction,
}

thread_local! {
    static ASKED: &'static Asked = Box::leak(Box::new(Asked::new()));
}

impl Asked {
    fn new() -> Self {
        let world = World::new();
        let chain = Chain::new(&format!("http://{}", world.at)).expect("a client");
        Self { world, chain, tx: transaction() }
    }
}

fn transaction() -> Transaction {
    Pair::new(70, Unit::Seconds, 100_000).channel.unilateral_refund()
}

pub fn run(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let call = input.byte() % 12;
    let mut replies = Vec::new();
    let first = input.clone();
    while !input.is_empty() && replies.len() < MOST {
        replies.push(reply(&mut input));
    }
    ASKED.with(|asked| match call {
        0 => tip(asked, replies),
        1 => coins(asked, replies),
        2 => raw_transaction(asked, replies, first),
        3 => status(asked, replies),
        4 => outspend(asked, replies),
        5 => matches!(asked.world.run(replies, asked.chain.broadcast(&asked.tx)), Some(Ok(_))),
        6 => {
            let package = [asked.tx.clone(), asked.tx.clone()];
            matches!(asked.world.run(replies, asked.chain.broadcast_package(&package)), Some(Ok(())))
        }
        7 => fees(asked, replies),
        8 => history(asked, replies),
        9 => fee(asked, replies),
        10 => outspends(asked, replies),
        _ => {
            let block = bitcoin::BlockHash::all_zeros();
            matches!(asked.world.run(replies, asked.chain.median_time_before(block)), Some(Ok(_)))
        }
    })
}

/// A body with one of the statuses that are not asked again, or any bytes in the place of HTTP.
fn reply(input: &mut Input<'_>) -> Reply {
    let kind = input.byte();
    let piece = input.piece().to_vec();
    match kind {
        0..=189 => Reply::Http(200, piece),
        190..=199 => Reply::Http(200, told(&piece)),
        200..=209 => Reply::Http(404, piece),
        210..=229 => Reply::Http(400, piece),
        230..=239 => Reply::Http(302, piece),
        _ => Reply::Raw(piece),
    }
}

/// A transaction as Esplora tells it, in a list of one: changed bytes in it do not end at its id.
fn told(raw: &[u8]) -> Vec<u8> {
    let Ok(tx) = consensus::deserialize::<Transaction>(raw) else { return raw.to_vec() };
    let vin = tx.input.iter().map(|input| {
        serde_json::json!({
            "txid": input.previous_output.txid.to_string(), "vout": input.previous_output.vout,
            "scriptsig": input.script_sig.to_hex_string(), "sequence": input.sequence.0, "is_coinbase": false,
        })
    });
    let vout = tx.output.iter().map(|output| {
        serde_json::json!({ "value": output.value.to_sat(), "scriptpubkey": output.script_pubkey.to_hex_string() })
    });
    let told = serde_json::json!([{
        "txid": tx.compute_txid().to_string(), "version": tx.version.0, "locktime": tx.lock_time.to_consensus_u32(),
        "vin": vin.collect::<Vec<_>>(), "vout": vout.collect::<Vec<_>>(), "size": 200, "weight": 800, "fee": 300,
        "status": { "confirmed": false },
    }]);
    told.to_string().into_bytes()
}

fn sane(status: &TxStatus) {
    assert!(status.confirmations(u32::MAX) >= u32::from(status.is_confirmed()));
    assert!(status.is_confirmed() || status.confirmations(0) == 0);
}

fn tip(asked: &Asked, replies: Vec<Reply>) -> bool {
    matches!(asked.world.run(replies, asked.chain.tip()), Some(Ok(_)))
}

fn coins(asked: &Asked, replies: Vec<Reply>) -> bool {
    let script = &asked.tx.output[0].script_pubkey;
    let Some(Ok(coins)) = asked.world.run(replies, asked.chain.coins(script)) else { return false };
    for coin in &coins.coins {
        assert!(coin.output.value <= Amount::MAX_MONEY && coin.output.script_pubkey == *script);
        sane(&coin.status);
    }
    !coins.coins.is_empty()
}

/// Asks for what the first answer holds, so that it can be the right one; or for another.
fn raw_transaction(asked: &Asked, replies: Vec<Reply>, mut first: Input<'_>) -> bool {
    let other = first.byte() == 1;
    let said = consensus::deserialize::<Transaction>(first.piece()).map(|tx| tx.compute_txid());
    let wanted = said.ok().filter(|_| !other).unwrap_or(asked.tx.compute_txid());
    let Some(Ok(Some(found))) = asked.world.run(replies, asked.chain.transaction(wanted)) else { return false };
    assert_eq!(found.compute_txid(), wanted);
    true
}

fn status(asked: &Asked, replies: Vec<Reply>) -> bool {
    let txid: Txid = asked.tx.compute_txid();
    let Some(Ok(status)) = asked.world.run(replies, asked.chain.status(txid)) else { return false };
    sane(&status);
    status != TxStatus::Unknown
}

fn outspend(asked: &Asked, replies: Vec<Reply>) -> bool {
    let outpoint = OutPoint::new(asked.tx.compute_txid(), 0);
    let Some(Ok(Some(spend))) = asked.world.run(replies, asked.chain.outspend(outpoint)) else { return false };
    sane(&spend.status);
    true
}

fn fees(asked: &Asked, replies: Vec<Reply>) -> bool {
    let Some(Ok(fees)) = asked.world.run(replies, asked.chain.fees()) else { return false };
    for blocks in [0, 1, 6, 144, u16::MAX] {
        assert!(fees.within(blocks) >= FeeRate::BROADCAST_MIN);
    }
    !fees.0.is_empty()
}

fn history(asked: &Asked, replies: Vec<Reply>) -> bool {
    let script = &asked.tx.output[0].script_pubkey;
    let Some(Ok(history)) = asked.world.run(replies, asked.chain.history(script, 3)) else { return false };
    let txids: std::collections::HashSet<Txid> = history.entries.iter().map(|entry| entry.txid).collect();
    assert_eq!(txids.len(), history.entries.len());
    for entry in &history.entries {
        assert_eq!(entry.tx.compute_txid(), entry.txid);
        let sum: u64 = entry.tx.output.iter().map(|output| output.value.to_sat()).sum();
        assert!(sum <= Amount::MAX_MONEY.to_sat() && !entry.tx.input.is_empty());
        sane(&entry.status);
    }
    !history.entries.is_empty()
}

fn fee(asked: &Asked, replies: Vec<Reply>) -> bool {
    let txid: Txid = asked.tx.compute_txid();
    let Some(Ok(Some(found))) = asked.world.run(replies, asked.chain.fee_of(txid)) else { return false };
    assert!(found.fee <= Amount::MAX_MONEY && found.weight > bitcoin::Weight::ZERO);
    sane(&found.status);
    true
}

fn outspends(asked: &Asked, replies: Vec<Reply>) -> bool {
    let txid: Txid = asked.tx.compute_txid();
    let Some(Ok(Some(found))) = asked.world.run(replies, asked.chain.outspends(txid)) else { return false };
    found.iter().flatten().for_each(|spend| sane(&spend.status));
    !found.is_empty()
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    const HASH: &str = "00000000000000000000000000000000000000000000000000000000000000ab";
    const STATUS: &str = r#"{"confirmed":true,"block_height":7,"block_hash":"HASH","block_time":1700000000}"#;
    const BLOCK: &str = concat!(
        r#"{"id":"HASH","height":7,"version":4,"timestamp":1700000000,"mediantime":1699999000,"tx_count":1,"size":300,"#,
        r#""weight":1200,"merkle_root":"HASH","previousblockhash":"HASH","nonce":1,"bits":545259519,"difficulty":1.0}"#
    );
    let json = |text: &str| text.replace("STATUS", STATUS).replace("HASH", HASH).into_bytes();
    // The block that is asked about, and after it the other one.
    let zero = |text: &str| {
        let told = text.replacen("HASH", &"0".repeat(64), 1);
        told.replace("HASH", HASH).into_bytes()
    };
    let call = |call: u8| Writer::default().bytes(&[call]);
    let said = |writer: Writer, body: &[u8]| writer.bytes(&[0]).piece(body);
    let coin = |status: &str| format!(r#"{{"txid":"HASH","vout":1,"value":5000,"status":{status}}}"#);
    let coins = format!("[{},{}]", coin("STATUS"), coin(r#"{"confirmed":false}"#));
    let tx = transaction();
    let raw = consensus::serialize(&tx);
    let package = |message: &str, error: &str| {
        format!(
            r#"{{"package_msg":"{message}","tx-results":{{"HASH":{{"txid":"HASH"{error}}}}},"replaced-transactions":[]}}"#
        )
    };
    let seeds = [
        ("tip", said(said(call(0), HASH.as_bytes()), &json(BLOCK))),
        ("coins", said(call(1), &json(&coins))),
        ("raw", said(call(2), &raw)),
        ("raw-other", call(2).bytes(&[1]).piece(&raw)),
        ("status", said(call(3), &json(r#"{"txid":"HASH","status":STATUS}"#))),
        ("status-unknown", call(3).bytes(&[200]).piece(b"Transaction not found")),
        ("outspend", said(call(4), &json(r#"{"spent":true,"txid":"HASH","vin":0,"status":STATUS}"#))),
        ("broadcast", said(call(5), HASH.as_bytes())),
        ("broadcast-refused", call(5).bytes(&[210]).piece(b"sendrawtransaction RPC error: -25")),
        (
            "broadcast-raw",
            call(5).bytes(&[255]).piece(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
        ),
        ("package", said(call(6), &json(&package("success", "")))),
        (
            "package-refused",
            said(call(6), &json(&package("transaction failed", r#","error":"min relay fee not met""#))),
        ),
        ("history", call(8).bytes(&[190]).piece(&raw)),
        ("history-json", said(call(8), &told(&raw))),
        ("fee", said(call(9), &json(r#"{"fee":300,"weight":800,"status":STATUS}"#))),
        ("outspends", said(call(10), &json(r#"[{"spent":false},{"spent":true,"txid":"HASH","status":STATUS}]"#))),
        ("median", said(said(call(11), &zero(BLOCK)), &json(BLOCK))),
        ("fees", said(call(7), br#"{"1":87.8,"2":1.2,"144":0.5,"1008":1e300}"#)),
    ];
    seeds.into_iter().map(|(name, seed)| (name.to_owned(), seed.0)).collect()
}
