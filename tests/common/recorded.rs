//! Reading the recorded vectors: what a real arkd said, and what its SDK computed.

use base64::Engine as _;
use bitcoin::hex::FromHex;
use bitcoin::psbt::raw;
use bitcoin::{Amount, OutPoint, Psbt, ScriptBuf, Transaction, XOnlyPublicKey, absolute, consensus};
use secp256k1::{Keypair, SECP256K1};
use serde_json::Value;
use virtual_channels::channel::script::CheckpointScript;
use virtual_channels::channel::{
    AuthorisationPolicy, ChannelTerms, Delay, Network, Party, Payout, TapTree, Unit, psbt, time,
};

/// The files recorded from arkd, without the raw frames.
pub const FILES: [&str; 9] = [
    "life-blocks",
    "life-seconds",
    "batch-blocks",
    "batch-seconds",
    "exit-blocks",
    "exit-seconds",
    "drift-seconds",
    "restart-seconds",
    "expiry-blocks",
];

fn read(path: &str) -> Value {
    let path = format!("{}/tests/vectors/{path}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// A file recorded from arkd 0.9.15.
pub fn arkd(file: &str) -> Value {
    read(&format!("arkd-0.9.15/{file}"))
}

/// The channels computed with the npm SDK.
pub fn sdk() -> Vec<Value> {
    read("sdk")["channels"].as_array().unwrap().clone()
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// A number, be it written as one or as text (JSON of Go's 64-bit integers).
pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| text(value).parse().unwrap())
}

pub fn bytes(value: &Value) -> Vec<u8> {
    Vec::from_hex(text(value)).unwrap()
}

pub fn script(value: &Value) -> ScriptBuf {
    ScriptBuf::from_bytes(bytes(value))
}

/// An x-only key, from 32 or (compressed) 33 bytes.
pub fn xonly(value: &Value) -> XOnlyPublicKey {
    let bytes = bytes(value);
    XOnlyPublicKey::from_slice(&bytes[bytes.len() - 32..]).unwrap()
}

pub fn keypair(value: &Value) -> Keypair {
    Keypair::from_seckey_slice(SECP256K1, &bytes(value)).unwrap()
}

pub fn transaction(value: &Value) -> Transaction {
    consensus::deserialize(&bytes(value)).unwrap()
}

pub fn psbt(value: &Value) -> Psbt {
    Psbt::deserialize(&base64::engine::general_purpose::STANDARD.decode(text(value)).unwrap()).unwrap()
}

pub fn outpoint(value: &Value) -> OutPoint {
    OutPoint::new(text(&value["txid"]).parse().unwrap(), number(&value["vout"]) as u32)
}

pub fn delay(value: &Value) -> Delay {
    let length = number(&value["value"]);
    match text(&value["unit"]) {
        "blocks" => Delay::blocks(length as u16).unwrap(),
        "seconds" => Delay::seconds(length as u32).unwrap(),
        other => panic!("unit {other}"),
    }
}

pub fn checkpoint_script(value: &Value) -> CheckpointScript {
    CheckpointScript::parse(&script(value)).unwrap()
}

/// Any valid key: for places that do not matter in a test.
pub fn some_key(seed: u8) -> XOnlyPublicKey {
    Keypair::from_seckey_slice(SECP256K1, &[seed; 32]).unwrap().x_only_public_key().0
}

/// The terms of a recorded channel. What the file does not name (payouts, capacity) is filled in.
pub fn terms(value: &Value, network: Network, capacity: u64) -> ChannelTerms {
    let party = |name: &str, seed: u8| Party {
        key: xonly(&value[name]),
        ark_payout: Payout::new(some_key(seed)),
        chain_payout: Payout::new(some_key(seed + 1)),
    };
    let d1 = delay(&value["d1"]);
    let locktime = time::locktime(d1.unit(), number(&value["locktime"])).unwrap();
    assert_eq!(Unit::of(locktime), d1.unit());
    ChannelTerms {
        network,
        operator: xonly(&value["operator"]),
        payer: party("payer", 1),
        receiver: party("receiver", 3),
        capacity: Amount::from_sat(capacity),
        locktime,
        d1,
        d2: delay(&value["d2"]),
        authorisation: AuthorisationPolicy::default(),
    }
}

/// arkd's field with the tree of the output that an input spends.
pub fn taptree_field(psbt: &Psbt, input: usize) -> Vec<u8> {
    let key = raw::Key { type_value: psbt::ARK_FIELD, key: psbt::TAPTREE_FIELD.to_vec() };
    psbt.inputs[input].unknown.get(&key).unwrap_or_else(|| panic!("no tree in input {input}")).clone()
}

/// The leaves in arkd's encoding of a tree, read by an own loop: `depth c0 length script`.
pub fn leaves(mut encoded: &[u8]) -> Vec<ScriptBuf> {
    let mut leaves = Vec::new();
    while let [1, 0xc0, rest @ ..] = encoded {
        let (length, rest) = match rest {
            [0xfd, a, b, rest @ ..] => (usize::from(u16::from_le_bytes([*a, *b])), rest),
            [length, rest @ ..] => (usize::from(*length), rest),
            [] => panic!("cut off"),
        };
        leaves.push(ScriptBuf::from_bytes(rest[..length].to_vec()));
        encoded = &rest[length..];
    }
    assert!(encoded.is_empty());
    leaves
}

/// The tree an input of a recorded PSBT spends, and the index of the leaf that signs.
pub fn spent_tree(psbt: &Psbt, input: usize) -> (TapTree, usize) {
    let leaves = leaves(&taptree_field(psbt, input));
    let (script, _) = psbt.inputs[input].tap_scripts.first_key_value().unwrap().1;
    let index = leaves.iter().position(|leaf| leaf == script).unwrap();
    (TapTree::new(leaves).unwrap(), index)
}

/// Every REST call in a file to a path that ends with `path`.
pub fn calls<'a>(file: &'a Value, path: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = file["calls"].as_array().unwrap().iter();
    all.filter(move |call| text(&call["path"]).ends_with(path))
}

/// Without witnesses.
pub fn unsigned(mut tx: Transaction) -> Transaction {
    for input in &mut tx.input {
        input.witness.clear();
    }
    tx
}

pub fn locktime_of(tx: &Transaction) -> Option<absolute::LockTime> {
    (tx.lock_time != absolute::LockTime::ZERO).then_some(tx.lock_time)
}
