//! What can go wrong with an operator, arkd's own errors decoded.

use std::collections::BTreeMap;

use bitcoin::Txid;
use prost::Message;

use super::wire;
use crate::channel::{ChannelError, or};

/// arkd's error codes that this library tells apart.
pub mod code {
    pub const INTERNAL_ERROR: i32 = 0;
    pub const INVALID_ARK_PSBT: i32 = 1;
    pub const VTXO_ALREADY_REGISTERED: i32 = 4;
    pub const VTXO_ALREADY_SPENT: i32 = 6;
    pub const VTXO_ALREADY_UNROLLED: i32 = 7;
    pub const VTXO_RECOVERABLE: i32 = 8;
    pub const INVALID_VTXO_SCRIPT: i32 = 10;
    pub const FORFEIT_CLOSURE_LOCKED: i32 = 11;
    pub const AMOUNT_TOO_HIGH: i32 = 14;
    pub const AMOUNT_TOO_LOW: i32 = 15;
    pub const CHECKPOINT_MISMATCH: i32 = 16;
    pub const ARK_TX_MISMATCH: i32 = 17;
    pub const INVALID_SIGNATURE: i32 = 18;
    pub const TX_NOT_FOUND: i32 = 19;
    pub const SIGNING_SESSION_TIMED_OUT: i32 = 28;
    pub const VTXO_BANNED: i32 = 29;
    pub const VTXO_NOT_FOUND: i32 = 30;
    pub const INTENT_INSUFFICIENT_FEE: i32 = 31;
    pub const INTENT_NOT_FOUND: i32 = 45;
    pub const BUILD_VERSION_TOO_OLD: i32 = 48;
    pub const DIGEST_MISMATCH: i32 = 49;
}

/// Text from outside is kept up to this many characters.
const TEXT_LIMIT: usize = 512;

/// An error as arkd words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArkdError {
    /// arkd's code (see [`code`]); `None` where it answered a plain gRPC status.
    pub code: Option<i32>,
    /// `VTXO_BANNED` and the like; empty where there is no code.
    pub name: String,
    pub message: String,
    /// Figures, by name.
    pub metadata: BTreeMap<String, String>,
    /// The gRPC status code.
    pub status: i32,
}

impl ArkdError {
    /// A figure of the metadata. arkd prints large ones as `1.795342378e+09`.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.metadata.get(key)?.parse::<f64>().ok().filter(|number| number.is_finite())
    }

    pub fn is(&self, code: i32) -> bool {
        self.code == Some(code)
    }

    /// Decodes a gRPC status: its details, else a text like `NAME (code): message`.
    pub fn from_status(status: &tonic::Status) -> Self {
        Self::decode(status.code() as i32, status.message(), status.details())
    }

    /// The same from the parts; `details` is the content of `grpc-status-details-bin`.
    pub fn decode(status: i32, text: &str, details: &[u8]) -> Self {
        if let Some(found) = error_details(details) {
            let metadata = found.metadata.into_iter().take(64).map(|(key, value)| (short(&key), short(&value)));
            // The message begins with what Display says anyway.
            let prefix = format!("{} ({}): ", found.name, found.code);
            return Self {
                code: Some(found.code),
                name: short(&found.name),
                message: short(found.message.strip_prefix(&prefix).unwrap_or(&found.message)),
                metadata: metadata.collect(),
                status,
            };
        }
        let named = text.split_once(" (").and_then(|(name, rest)| {
            let (code, message) = rest.split_once("): ")?;
            let shouting = !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            Some((name, code.parse::<i32>().ok().filter(|_| shouting)?, message))
        });
        let (name, code, message) = match named {
            Some((name, code, message)) => (name, Some(code), message),
            None => ("", None, text),
        };
        Self { code, name: short(name), message: short(message), metadata: BTreeMap::new(), status }
    }
}

impl std::fmt::Display for ArkdError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) => write!(f, "{} ({code}): {}", self.name, self.message),
            None => write!(f, "status {}: {}", self.status, self.message),
        }
    }
}

/// At most [`TEXT_LIMIT`] characters of a text from outside.
pub(super) fn short(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).collect()
}

/// google.rpc.Status, which gRPC puts into the trailer.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// google.protobuf.Any.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

fn error_details(bytes: &[u8]) -> Option<wire::ErrorDetails> {
    let status = RpcStatus::decode(bytes).ok()?;
    let any = status.details.iter().find(|any| any.type_url.ends_with("/ark.v1.ErrorDetails"))?;
    wire::ErrorDetails::decode(any.value.as_slice()).ok()
}

/// Where a batch was when it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Registered, not selected yet.
    Waiting,
    /// Selected; the tree has not come yet.
    Started,
    /// The tree is known and being signed.
    Signing,
    /// The tree is signed; forfeits and commitment inputs are due.
    Finalizing,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waiting => "before it started",
            Self::Started => "before the tree came",
            Self::Signing => "while the tree was signed",
            Self::Finalizing => "after the tree was signed",
        })
    }
}

/// Why something with the operator did not work.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    #[error("the operator at {url} cannot be reached: {why}")]
    Unreachable { url: String, why: String },
    #[error("the operator did not answer {call} within {seconds} s")]
    Timeout { call: &'static str, seconds: u64 },
    #[error("the operator refused {call}: {error}")]
    Refused { call: &'static str, error: Box<ArkdError> },
    #[error("the operator's answer to {call} is not usable: {what}")]
    BadAnswer { call: &'static str, what: String },
    #[error("the event stream ended: {why}")]
    StreamEnded { why: String },
    #[error("the plan is not possible: {what}")]
    Plan { what: String },
    #[error("no batch took the intent within {seconds} s")]
    NoBatch { seconds: u64 },
    #[error("the batch failed {phase}: {reason}")]
    BatchFailed { reason: String, phase: Phase },
    #[error("the batch's transactions were refused: {what}")]
    TreeRefused { what: String },
    #[error("stopped by the wallet: {why}")]
    Veto { why: String },
    /// What can spend the inputs has been sent, and then the end did not come: the batch may go through all the same.
    /// Look at the commitment transaction (where it is known) and at the inputs before they are used again.
    #[error(
        "whether the batch went through is not known (commitment transaction {}): {cause}",
        or(commitment, "not known")
    )]
    OutcomeUnknown { commitment: Option<Txid>, cause: Box<OperatorError> },
    /// Our own rules were broken.
    #[error(transparent)]
    Channel(Box<ChannelError>),
}

impl From<ChannelError> for OperatorError {
    fn from(error: ChannelError) -> Self {
        Self::Channel(Box::new(error))
    }
}

impl OperatorError {
    /// arkd's own error, if it is one.
    pub fn arkd(&self) -> Option<&ArkdError> {
        match self {
            Self::Refused { error, .. } => Some(error),
            Self::OutcomeUnknown { cause, .. } => cause.arkd(),
            _ => None,
        }
    }

    /// Whether arkd answered with this code (see [`code`]).
    pub fn is(&self, code: i32) -> bool {
        self.arkd().is_some_and(|error| error.is(code))
    }

    /// An input script is banned for a while: wait, then try again.
    pub fn is_banned(&self) -> bool {
        self.is(code::VTXO_BANNED)
    }

    /// An intent holds one of the inputs: delete it, or wait for the running batch to end.
    pub fn is_registered(&self) -> bool {
        // RegisterIntent says it as an internal error.
        let queued = |error: &ArkdError| {
            error.is(code::INTERNAL_ERROR) && error.message.contains("already registered by another intent")
        };
        self.is(code::VTXO_ALREADY_REGISTERED) || self.arkd().is_some_and(queued)
    }

    /// The operator builds checkpoints with another script than the one signed for.
    pub fn is_checkpoint_mismatch(&self) -> bool {
        self.is(code::CHECKPOINT_MISMATCH)
    }

    /// SubmitTx was accepted before: fetch it with the pending transactions.
    pub fn is_duplicate(&self) -> bool {
        self.arkd().is_some_and(|error| error.is(code::INVALID_ARK_PSBT) && error.message.contains("duplicated"))
    }

    /// The call may not have reached the operator, or its answer was lost: whether it took effect is not known.
    pub fn is_transport(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. } | Self::StreamEnded { .. })
    }

    /// The batch came to nothing before anything irrevocable: another try may succeed.
    pub fn is_batch_failure(&self) -> bool {
        matches!(self, Self::BatchFailed { .. } | Self::StreamEnded { .. })
    }

    /// Whether signatures that can spend the inputs may be in the operator's hands.
    pub fn may_be_committed(&self) -> bool {
        matches!(self, Self::OutcomeUnknown { .. })
    }

    pub(super) fn bad(call: &'static str, what: impl Into<String>) -> Self {
        Self::BadAnswer { call, what: what.into() }
    }

    pub(super) fn refuse(what: impl Into<String>) -> Self {
        Self::TreeRefused { what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::{UNITS, base64, load, text};
    use super::*;

    /// The trailer of a recorded refusal, if it has one.
    fn trailer(call: &serde_json::Value) -> Option<Vec<u8>> {
        let trailers = call["trailers"].as_array().unwrap();
        trailers.iter().find(|trailer| trailer[0] == "grpc-status-details-bin").map(|trailer| base64(&trailer[1]))
    }

    #[test]
    fn every_recorded_refusal_is_typed() {
        let mut typed = 0;
        for unit in UNITS {
            for call in load(&format!("wire-{unit}")).as_array().unwrap() {
                let Some(status) = call["status"].as_i64().filter(|status| *status != 0) else { continue };
                let message = text(&call["message"]);
                let details = trailer(call);
                let error = ArkdError::decode(status as i32, message, details.as_deref().unwrap_or_default());
                assert_eq!(error.status, status as i32);
                assert_eq!(error.code.is_some(), details.is_some(), "{message}");
                if details.is_some() {
                    typed += 1;
                    assert_eq!(error.to_string(), message);
                    // The text alone gives the same, but for the figures.
                    let from_text = ArkdError::decode(status as i32, message, &[]);
                    assert_eq!(
                        (from_text.code, &from_text.name, &from_text.message),
                        (error.code, &error.name, &error.message)
                    );
                } else {
                    assert_eq!(error.message, message);
                }
            }
        }
        assert_eq!(typed, 14);
    }

    #[test]
    fn rest_errors_carry_figures() {
        let file = load("life-blocks");
        let details = &file["SubmitTx.dust"]["response"]["details"][0];
        let error = ArkdError {
            code: Some(code::AMOUNT_TOO_LOW),
            name: text(&details["name"]).into(),
            message: String::new(),
            metadata: serde_json::from_value(details["metadata"].clone()).unwrap(),
            status: 3,
        };
        assert_eq!(error.number("amount"), Some(100.0));
        assert_eq!(error.number("min_amount"), Some(330.0));
        let large = BTreeMap::from([("now".to_owned(), "1.795342378e+09".to_owned()), ("bad".into(), "inf".into())]);
        let error = ArkdError { metadata: large, ..error };
        assert_eq!(error.number("now"), Some(1_795_342_378.0));
        assert_eq!((error.number("bad"), error.number("none")), (None, None));
    }

    #[test]
    fn texts_that_only_look_like_errors_have_no_code() {
        for text in ["", "nope", "NAME (x): y", "name (4): y", " (4): y", "A (4)", "VTXO (99999999999): y"] {
            assert_eq!(ArkdError::decode(2, text, &[]).code, None, "{text}");
        }
        assert_eq!(ArkdError::decode(2, "VTXO_BANNED (29): wait", &[]).code, Some(29));
    }

    #[test]
    fn damaged_trailers_do_no_harm() {
        let calls = load("wire-blocks");
        let bytes = calls.as_array().unwrap().iter().find_map(trailer).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = ArkdError::decode(9, "text", &bytes);
            let _ = ArkdError::decode(9, "text", &bytes[..bit / 8]);
        }
        let long = "x".repeat(1 << 20);
        assert!(ArkdError::decode(9, &long, &[]).message.len() <= TEXT_LIMIT);
    }
}
