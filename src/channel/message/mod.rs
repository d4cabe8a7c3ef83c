//! What the two sides hand each other, by any transport: QR, NFC, HTTP, a chat.
//!
//! Binary protobuf behind a kind byte, or text with a prefix per kind. Bytes are decoded and checked here, once, into
//! types that cannot be wrong; ids and signatures are made over what was checked and encoded again, never over
//! received bytes.

mod accept;
mod close_grant;
mod close_request;
mod invite;
mod offer;
mod receipt;
mod update;
mod wire;

pub use accept::Accept;
pub use close_grant::{CloseGrant, Grant};
pub use close_request::CloseRequest;
pub use invite::{Bounds, Invite};
pub use offer::{Funding, Offer};
pub use receipt::{Receipt, memo_hash};
pub use update::UpdateMessage;

use super::{ChannelError, text};

/// The longest message in bytes.
pub const MAX_BYTES: usize = 16 * 1024;

/// The longest memo in bytes.
pub const MAX_MEMO: usize = 512;

/// Any message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub enum Message {
    Invite(Invite),
    Offer(Box<Offer>),
    Accept(Accept),
    Update(Box<UpdateMessage>),
    Receipt(Receipt),
    CloseRequest(Box<CloseRequest>),
    CloseGrant(Box<CloseGrant>),
}

/// Kind bytes and text prefixes.
const KINDS: [(u8, &str, &str); 7] = [
    (1, "vci", "an invite"),
    (2, "vco", "an offer"),
    (3, "vca", "an accept"),
    (4, "vcu", "a payment"),
    (5, "vcr", "a receipt"),
    (6, "vcq", "a close request"),
    (7, "vcg", "a close grant"),
];

impl Message {
    fn kind(&self) -> (u8, &'static str, &'static str) {
        let index = match self {
            Self::Invite(_) => 0,
            Self::Offer(_) => 1,
            Self::Accept(_) => 2,
            Self::Update(_) => 3,
            Self::Receipt(_) => 4,
            Self::CloseRequest(_) => 5,
            Self::CloseGrant(_) => 6,
        };
        KINDS.get(index).copied().unwrap_or((0, "", ""))
    }

    /// The kind in words, for errors.
    pub fn kind_name(&self) -> &'static str {
        self.kind().2
    }

    fn payload(&self) -> Vec<u8> {
        match self {
            Self::Invite(message) => message.encode(),
            Self::Offer(message) => message.encode(),
            Self::Accept(message) => message.encode(),
            Self::Update(message) => message.encode(),
            Self::Receipt(message) => message.encode(),
            Self::CloseRequest(message) => message.encode(),
            Self::CloseGrant(message) => message.encode(),
        }
    }

    fn from_payload(kind: u8, payload: &[u8]) -> Result<Self, ChannelError> {
        match kind {
            1 => Invite::decode(payload).map(Self::Invite),
            2 => Offer::decode(payload).map(|offer| Self::Offer(Box::new(offer))),
            3 => Accept::decode(payload).map(Self::Accept),
            4 => UpdateMessage::decode(payload).map(|update| Self::Update(Box::new(update))),
            5 => Receipt::decode(payload).map(Self::Receipt),
            6 => CloseRequest::decode(payload).map(|request| Self::CloseRequest(Box::new(request))),
            7 => CloseGrant::decode(payload).map(|grant| Self::CloseGrant(Box::new(grant))),
            _ => Err(ChannelError::Malformed { what: "message kind" }),
        }
    }

    /// Kind byte and protobuf.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind().0];
        bytes.extend(self.payload());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChannelError> {
        if bytes.len() > MAX_BYTES {
            return Err(ChannelError::TooLarge { size: bytes.len(), limit: MAX_BYTES });
        }
        let (kind, payload) = bytes.split_first().ok_or(ChannelError::Malformed { what: "empty message" })?;
        Self::from_payload(*kind, payload)
    }

    /// Text for a QR code or a chat.
    pub fn to_text(&self) -> Result<String, ChannelError> {
        text::encode(self.kind().1, &self.payload())
    }

    pub fn parse(text: &str) -> Result<Self, ChannelError> {
        let (prefix, payload) = text::decode(text)?;
        let (kind, ..) = KINDS.iter().find(|(_, known, _)| *known == prefix).ok_or(ChannelError::NotOurText)?;
        if payload.len() > MAX_BYTES {
            return Err(ChannelError::TooLarge { size: payload.len(), limit: MAX_BYTES });
        }
        Self::from_payload(*kind, &payload)
    }
}

/// Reads a text as one kind; another kind is named in the error.
macro_rules! text_form {
    ($type:ident, $variant:ident, $expected:literal, $($wrap:tt)*) => {
        impl $type {
            /// Text for a QR code or a chat.
            pub fn to_text(&self) -> Result<String, crate::channel::ChannelError> {
                crate::channel::message::Message::$variant($($wrap)*(self.clone())).to_text()
            }

            /// Reads the text; another kind of message is refused by name.
            pub fn parse(text: &str) -> Result<Self, crate::channel::ChannelError> {
                match crate::channel::message::Message::parse(text)? {
                    crate::channel::message::Message::$variant(message) => Ok(text_form!(@unwrap message, $($wrap)*)),
                    other => Err(crate::channel::ChannelError::OtherKind {
                        expected: $expected,
                        got: other.kind_name(),
                    }),
                }
            }
        }
    };
    (@unwrap $message:ident, Box::new) => { *$message };
    (@unwrap $message:ident, std::convert::identity) => { $message };
}
use text_form;

/// The protobuf of a checked message; encoding into a vector cannot fail.
fn encode(wire: &impl prost::Message) -> Vec<u8> {
    wire.encode_to_vec()
}

/// The version is looked at first: a message of a later version may have any shape.
fn decode<W: prost::Message + Default>(bytes: &[u8], what: &'static str) -> Result<W, ChannelError> {
    let malformed = |_| ChannelError::Malformed { what };
    let wire::Versioned { version } = prost::Message::decode(bytes).map_err(malformed)?;
    if version != wire::VERSION {
        return Err(ChannelError::UnknownVersion { version });
    }
    W::decode(bytes).map_err(malformed)
}

/// A memo as it came: bounded, valid UTF-8 by protobuf.
fn check_memo(memo: String) -> Result<Option<String>, ChannelError> {
    if memo.len() > MAX_MEMO {
        return Err(ChannelError::TooLarge { size: memo.len(), limit: MAX_MEMO });
    }
    Ok((!memo.is_empty()).then_some(memo))
}
