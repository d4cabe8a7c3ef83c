//! For tests: what a real arkd said.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hex::FromHex;
use bitcoin::{Psbt, ScriptBuf};
use prost::Message;
use secp256k1::{Keypair, SECP256K1};
use serde_json::Value;

use super::wire;

pub(super) const UNITS: [&str; 2] = ["blocks", "seconds"];

/// A recorded file.
pub(super) fn load(name: &str) -> Value {
    let path = format!("{}/tests/vectors/arkd-0.9.15/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap()
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(super) fn base64(value: &Value) -> Vec<u8> {
    STANDARD.decode(text(value)).unwrap()
}

pub(super) fn psbt(value: &Value) -> Psbt {
    Psbt::deserialize(&base64(value)).unwrap()
}

pub(super) fn script(value: &Value) -> ScriptBuf {
    ScriptBuf::from_hex(text(value)).unwrap()
}

pub(super) fn keypair(value: &Value) -> Keypair {
    Keypair::from_seckey_slice(SECP256K1, &Vec::from_hex(text(value)).unwrap()).unwrap()
}

/// One side's stream, decoded from the raw frames.
pub(super) fn frames(file: &Value, name: &str) -> Vec<wire::get_event_stream_response::Event> {
    let frames = file[format!("{name}.frames")].as_array().unwrap().iter();
    frames.map(|frame| wire::GetEventStreamResponse::decode(&*base64(frame)).unwrap().event.unwrap()).collect()
}

/// The recorded answer of GetInfo.
pub(super) fn info(unit: &str) -> wire::GetInfoResponse {
    let calls = load(&format!("wire-{unit}"));
    let call = calls.as_array().unwrap().iter().find(|call| call["method"] == "ArkService/GetInfo").unwrap();
    wire::GetInfoResponse::decode(&*base64(&call["response"])).unwrap()
}
