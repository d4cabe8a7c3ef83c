//! How the operator says no: arkd's codes, carried as `ark.v1.ErrorDetails` in `grpc-status-details-bin`.

use std::collections::BTreeMap;

use prost::Message;
use serde::Deserialize;
use tonic::Status;

use super::wire::ErrorDetails;

/// arkd's error codes that this operator uses: number, name and gRPC status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum Code {
    Internal,
    InvalidArkPsbt,
    InvalidCheckpointPsbt,
    InvalidPsbtMissingInput,
    VtxoAlreadyRegistered,
    InvalidPsbtInput,
    VtxoAlreadySpent,
    VtxoAlreadyUnrolled,
    VtxoRecoverable,
    InvalidVtxoScript,
    ForfeitClosureLocked,
    ArkTxInputNotSigned,
    MalformedArkTx,
    AmountTooHigh,
    AmountTooLow,
    CheckpointMismatch,
    ArkTxMismatch,
    InvalidSignature,
    TxNotFound,
    InvalidIntentTimerange,
    InvalidIntentMessage,
    InvalidIntentPsbt,
    InvalidIntentProof,
    InvalidPkscript,
    ConfirmationSessionNotStarted,
    InvalidForfeitTxs,
    InvalidBoardingInputSig,
    SigningSessionTimedOut,
    VtxoBanned,
    VtxoNotFound,
    IntentInsufficientFee,
    IntentFeeEvaluationFailed,
    IntentNotFound,
    TxTooLarge,
    BuildVersionTooOld,
    DigestMismatch,
    SubscriptionNotFound,
}

impl Code {
    fn entry(self) -> (i32, &'static str, tonic::Code) {
        use tonic::Code as G;
        match self {
            Code::Internal => (0, "INTERNAL_ERROR", G::Internal),
            Code::InvalidArkPsbt => (1, "INVALID_ARK_PSBT", G::InvalidArgument),
            Code::InvalidCheckpointPsbt => (2, "INVALID_CHECKPOINT_PSBT", G::InvalidArgument),
            Code::InvalidPsbtMissingInput => (3, "INVALID_PSBT_MISSING_INPUT", G::InvalidArgument),
            Code::VtxoAlreadyRegistered => (4, "VTXO_ALREADY_REGISTERED", G::AlreadyExists),
            Code::InvalidPsbtInput => (5, "INVALID_PSBT_INPUT", G::InvalidArgument),
            Code::VtxoAlreadySpent => (6, "VTXO_ALREADY_SPENT", G::InvalidArgument),
            Code::VtxoAlreadyUnrolled => (7, "VTXO_ALREADY_UNROLLED", G::InvalidArgument),
            Code::VtxoRecoverable => (8, "VTXO_RECOVERABLE", G::InvalidArgument),
            Code::InvalidVtxoScript => (10, "INVALID_VTXO_SCRIPT", G::InvalidArgument),
            Code::ForfeitClosureLocked => (11, "FORFEIT_CLOSURE_LOCKED", G::FailedPrecondition),
            Code::ArkTxInputNotSigned => (12, "ARK_TX_INPUT_NOT_SIGNED", G::InvalidArgument),
            Code::MalformedArkTx => (13, "MALFORMED_ARK_TX", G::InvalidArgument),
            Code::AmountTooHigh => (14, "AMOUNT_TOO_HIGH", G::InvalidArgument),
            Code::AmountTooLow => (15, "AMOUNT_TOO_LOW", G::InvalidArgument),
            Code::CheckpointMismatch => (16, "CHECKPOINT_MISMATCH", G::InvalidArgument),
            Code::ArkTxMismatch => (17, "ARK_TX_MISMATCH", G::InvalidArgument),
            Code::InvalidSignature => (18, "INVALID_SIGNATURE", G::InvalidArgument),
            Code::TxNotFound => (19, "TX_NOT_FOUND", G::NotFound),
            Code::InvalidIntentTimerange => (20, "INVALID_INTENT_TIMERANGE", G::InvalidArgument),
            Code::InvalidIntentMessage => (21, "INVALID_INTENT_MESSAGE", G::InvalidArgument),
            Code::InvalidIntentPsbt => (22, "INVALID_INTENT_PSBT", G::InvalidArgument),
            Code::InvalidIntentProof => (23, "INVALID_INTENT_PROOF", G::InvalidArgument),
            Code::InvalidPkscript => (24, "INVALID_PKSCRIPT", G::InvalidArgument),
            Code::ConfirmationSessionNotStarted => (25, "CONFIRMATION_SESSION_NOT_STARTED", G::InvalidArgument),
            Code::InvalidForfeitTxs => (26, "INVALID_FORFEIT_TXS", G::InvalidArgument),
            Code::InvalidBoardingInputSig => (27, "INVALID_BOARDING_INPUT_SIG", G::InvalidArgument),
            Code::SigningSessionTimedOut => (28, "SIGNING_SESSION_TIMED_OUT", G::Internal),
            Code::VtxoBanned => (29, "VTXO_BANNED", G::InvalidArgument),
            Code::VtxoNotFound => (30, "VTXO_NOT_FOUND", G::NotFound),
            Code::IntentInsufficientFee => (31, "INTENT_INSUFFICIENT_FEE", G::InvalidArgument),
            Code::IntentFeeEvaluationFailed => (44, "INTENT_FEE_EVALUATION_FAILED", G::Internal),
            Code::IntentNotFound => (45, "INTENT_NOT_FOUND", G::NotFound),
            Code::TxTooLarge => (46, "TX_TOO_LARGE", G::InvalidArgument),
            Code::BuildVersionTooOld => (48, "BUILD_VERSION_TOO_OLD", G::FailedPrecondition),
            Code::DigestMismatch => (49, "DIGEST_MISMATCH", G::FailedPrecondition),
            Code::SubscriptionNotFound => (50, "SUBSCRIPTION_NOT_FOUND", G::NotFound),
        }
    }

    /// The number on the wire.
    pub fn number(self) -> i32 {
        self.entry().0
    }

    /// The name on the wire, such as `VTXO_BANNED`.
    pub fn name(self) -> &'static str {
        self.entry().1
    }
}

/// A refusal with arkd's code, a text and figures.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// Which of arkd's errors.
    pub code: Code,
    /// What a person reads, without the code in front.
    pub text: String,
    /// Figures, as arkd prints them.
    pub metadata: BTreeMap<String, String>,
}

/// Starts a refusal.
pub(crate) fn refuse(code: Code, text: impl Into<String>) -> Refusal {
    Refusal { code, text: text.into(), metadata: BTreeMap::new() }
}

impl Refusal {
    /// Adds a text to the metadata.
    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.metadata.insert(key.into(), value.to_string());
        self
    }

    /// Adds a number, printed as arkd does (through a float: from a million on with an exponent).
    pub(crate) fn number(self, key: &str, value: i64) -> Self {
        let text = go_number(value);
        self.with(key, text)
    }

    /// The whole line: `NAME (code): text`.
    pub(crate) fn line(&self) -> String {
        let (number, name, _) = self.code.entry();
        format!("{name} ({number}): {}", self.text)
    }
}

/// arkd's metadata passes through JSON, so whole numbers come out as Go prints floats: `1.795342378e+09`.
fn go_number(value: i64) -> String {
    if value.unsigned_abs() < 1_000_000 {
        return value.to_string();
    }
    let digits = value.unsigned_abs().to_string();
    let (head, tail) = digits.split_at(1);
    let tail = tail.trim_end_matches('0');
    let sign = if value < 0 { "-" } else { "" };
    let point = if tail.is_empty() { "" } else { "." };
    format!("{sign}{head}{point}{tail}e+{:02}", digits.len() - 1)
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        let (number, name, grpc) = refusal.code.entry();
        let line = refusal.line();
        let details = ErrorDetails {
            code: number,
            name: name.into(),
            message: line.clone(),
            metadata: refusal.metadata.into_iter().collect(),
        };
        let status = RpcStatus {
            code: grpc as i32,
            message: line.clone(),
            details: vec![AnyValue {
                type_url: "type.googleapis.com/ark.v1.ErrorDetails".into(),
                value: details.encode_to_vec(),
            }],
        };
        Status::with_details(grpc, line, status.encode_to_vec().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_like_go_floats() {
        assert_eq!(go_number(330), "330");
        assert_eq!(go_number(999_999), "999999");
        assert_eq!(go_number(1_000_000), "1e+06");
        assert_eq!(go_number(1_795_344_522), "1.795344522e+09");
    }
}
