//! What a real arkd said: where seeds come from.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secp256k1::{Keypair, SECP256K1};
use serde_json::Value;

/// A recorded file.
pub fn load(name: &str) -> Value {
    let json = match name {
        "wire-blocks" => include_str!("../../../tests/vectors/arkd-0.9.15/wire-blocks.json"),
        "wire-seconds" => include_str!("../../../tests/vectors/arkd-0.9.15/wire-seconds.json"),
        "life-seconds" => include_str!("../../../tests/vectors/arkd-0.9.15/life-seconds.json"),
        "drift-seconds" => include_str!("../../../tests/vectors/arkd-0.9.15/drift-seconds.json"),
        other => panic!("{other} is not here"),
    };
    serde_json::from_str(json).expect("JSON")
}

pub fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

pub fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(text(value)).expect("base64")
}

pub fn keypair(value: &Value) -> Keypair {
    let secret: secp256k1::SecretKey = text(value).parse().expect("a key");
    Keypair::from_secret_key(SECP256K1, &secret)
}

/// The recorded answers of a call, as they were on the wire.
pub fn answers(method: &str) -> Vec<Vec<u8>> {
    let files = ["wire-blocks", "wire-seconds"].map(load);
    let calls = files.iter().flat_map(|file| file.as_array().expect("calls"));
    let wanted = calls.filter(|call| call["method"] == method && call["response"].is_string());
    wanted.map(|call| bytes(&call["response"])).collect()
}
