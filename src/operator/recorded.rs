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

#[cfg(test)]
mod tests {
    use super::*;

    fn decode<M: Message + Default>(bytes: &[u8]) -> bool {
        M::decode(bytes).is_ok()
    }

    /// Both directions of every recorded call fit the .proto, and damaged bytes are errors or other messages.
    #[test]
    fn every_recorded_call_decodes() {
        for unit in UNITS {
            for call in load(&format!("wire-{unit}")).as_array().unwrap() {
                type Decode = fn(&[u8]) -> bool;
                let (request, answer): (Decode, Decode) = match text(&call["method"]) {
                    "ArkService/GetInfo" => (decode::<wire::GetInfoRequest>, decode::<wire::GetInfoResponse>),
                    "ArkService/RegisterIntent" => {
                        (decode::<wire::RegisterIntentRequest>, decode::<wire::RegisterIntentResponse>)
                    }
                    "ArkService/SubmitTx" => (decode::<wire::SubmitTxRequest>, decode::<wire::SubmitTxResponse>),
                    "ArkService/FinalizeTx" => (decode::<wire::FinalizeTxRequest>, decode::<wire::FinalizeTxResponse>),
                    "ArkService/GetPendingTx" => {
                        (decode::<wire::GetPendingTxRequest>, decode::<wire::GetPendingTxResponse>)
                    }
                    "ArkService/DeleteIntent" => {
                        (decode::<wire::DeleteIntentRequest>, decode::<wire::DeleteIntentResponse>)
                    }
                    "ArkService/ConfirmRegistration" => {
                        (decode::<wire::ConfirmRegistrationRequest>, decode::<wire::ConfirmRegistrationResponse>)
                    }
                    "IndexerService/GetVtxos" => (decode::<wire::GetVtxosRequest>, decode::<wire::GetVtxosResponse>),
                    "ArkService/Nope" => continue,
                    other => panic!("{other}"),
                };
                let sent = base64(&call["request"]);
                assert!(request(&sent), "{call}");
                if call["response"].is_string() {
                    let got = base64(&call["response"]);
                    assert!(answer(&got), "{call}");
                    for bit in 0..got.len() * 8 {
                        let mut changed = got.clone();
                        changed[bit / 8] ^= 1 << (bit % 8);
                        answer(&changed);
                    }
                }
            }
        }
    }

    #[test]
    fn every_bit_of_an_info_can_change_without_harm() {
        for unit in UNITS {
            let bytes = info(unit).encode_to_vec();
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                if let Ok(answer) = wire::GetInfoResponse::decode(&*changed) {
                    let _ = super::super::info::decode(answer);
                }
            }
        }
    }
}
