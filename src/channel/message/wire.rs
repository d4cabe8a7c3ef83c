//! The protobuf shapes. Every one begins with its version; field numbers are never used again.

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::secp256k1::schnorr;
use bitcoin::{OutPoint, Sequence, Txid, XOnlyPublicKey};

use crate::channel::{ChannelError, Delay};

/// The version all messages have today.
pub const VERSION: u32 = 1;

/// What all messages have in common.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Versioned {
    #[prost(uint32, tag = "1")]
    pub version: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Invite {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(uint32, tag = "2")]
    pub network: u32,
    #[prost(bytes = "vec", tag = "3")]
    pub operator: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    pub receiver: Option<Party>,
    #[prost(bytes = "vec", tag = "5")]
    pub cosigner: Vec<u8>,
    #[prost(uint64, tag = "6")]
    pub min_capacity: u64,
    #[prost(uint64, tag = "7")]
    pub max_capacity: u64,
    #[prost(uint64, tag = "8")]
    pub min_lifetime: u64,
    #[prost(uint64, tag = "9")]
    pub max_lifetime: u64,
    #[prost(uint32, tag = "10")]
    pub min_d1: u32,
    #[prost(uint32, tag = "11")]
    pub max_d1: u32,
    #[prost(uint64, tag = "12")]
    pub min_gap: u64,
    #[prost(uint32, tag = "13")]
    pub funding: u32,
    #[prost(string, tag = "14")]
    pub memo: String,
    #[prost(uint64, tag = "15")]
    pub expires_at: u64,
    #[prost(bool, tag = "16")]
    pub on_close: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Party {
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub ark_payout: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub chain_payout: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Offer {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub invite_id: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub network: u32,
    #[prost(bytes = "vec", tag = "4")]
    pub operator: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub payer: Option<Party>,
    #[prost(message, optional, tag = "6")]
    pub receiver: Option<Party>,
    #[prost(uint64, tag = "7")]
    pub capacity: u64,
    #[prost(uint32, tag = "8")]
    pub locktime: u32,
    #[prost(uint32, tag = "9")]
    pub d1: u32,
    #[prost(uint32, tag = "10")]
    pub d2: u32,
    #[prost(bytes = "vec", tag = "11")]
    pub cosigner: Vec<u8>,
    #[prost(message, repeated, tag = "12")]
    pub inputs: Vec<Point>,
    #[prost(message, optional, tag = "13")]
    pub funding: Option<Point>,
    #[prost(uint32, tag = "14")]
    pub authorisation: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Point {
    #[prost(bytes = "vec", tag = "1")]
    pub txid: Vec<u8>,
    #[prost(uint32, tag = "2")]
    pub vout: u32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Accept {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub offer_id: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub valid_until: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Update {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub channel_id: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub previous: u64,
    #[prost(uint64, tag = "4")]
    pub amount: u64,
    /// Ark signature and exit signature, 64 bytes each.
    #[prost(bytes = "vec", tag = "5")]
    pub signatures: Vec<u8>,
    #[prost(message, optional, tag = "6")]
    pub authorisation: Option<Authorisation>,
    #[prost(string, tag = "7")]
    pub memo: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Authorisation {
    #[prost(uint32, tag = "1")]
    pub delay: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// Two of the pending proof, two of the delete proof, 64 bytes each; before them the checkpoint's where it is given.
    #[prost(bytes = "vec", tag = "3")]
    pub signatures: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CloseRequest {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub channel_id: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub previous: u64,
    #[prost(uint64, tag = "4")]
    pub amount: u64,
    /// Ark signature and exit signature, 64 bytes each; nothing where nothing was paid.
    #[prost(bytes = "vec", tag = "5")]
    pub signatures: Vec<u8>,
    #[prost(bool, tag = "6")]
    pub exactly: bool,
    #[prost(uint64, tag = "7")]
    pub expires_at: u64,
    #[prost(bytes = "vec", tag = "8")]
    pub signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct CloseGrant {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub channel_id: Vec<u8>,
    /// The payer's.
    #[prost(message, optional, tag = "3")]
    pub close: Option<Close>,
    /// The receiver's.
    #[prost(message, optional, tag = "4")]
    pub release: Option<Release>,
    #[prost(bytes = "vec", tag = "5")]
    pub signature: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Close {
    #[prost(uint64, tag = "1")]
    pub previous: u64,
    #[prost(uint64, tag = "2")]
    pub amount: u64,
    /// Ark signature and exit signature, 64 bytes each.
    #[prost(bytes = "vec", tag = "3")]
    pub signatures: Vec<u8>,
    #[prost(message, optional, tag = "4")]
    pub authorisation: Option<Authorisation>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Release {
    #[prost(uint32, tag = "1")]
    pub delay: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub key: Vec<u8>,
    /// Checkpoint, ark transaction, two of the pending proof, 64 bytes each.
    #[prost(bytes = "vec", tag = "3")]
    pub signatures: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct Receipt {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(bytes = "vec", tag = "2")]
    pub channel_id: Vec<u8>,
    #[prost(uint64, tag = "3")]
    pub amount: u64,
    #[prost(bytes = "vec", tag = "4")]
    pub memo_hash: Vec<u8>,
    #[prost(bytes = "vec", tag = "5")]
    pub signature: Vec<u8>,
}

pub fn xonly(bytes: &[u8]) -> Result<XOnlyPublicKey, ChannelError> {
    XOnlyPublicKey::from_slice(bytes).map_err(|_| ChannelError::InvalidKey)
}

pub fn public_key(bytes: &[u8]) -> Result<PublicKey, ChannelError> {
    if bytes.len() != 33 {
        return Err(ChannelError::InvalidKey);
    }
    PublicKey::from_slice(bytes).map_err(|_| ChannelError::InvalidKey)
}

pub fn hash32(bytes: &[u8], what: &'static str) -> Result<[u8; 32], ChannelError> {
    bytes.try_into().map_err(|_| ChannelError::Malformed { what })
}

pub fn delay(sequence: u32) -> Result<Delay, ChannelError> {
    Delay::from_sequence(Sequence::from_consensus(sequence))
}

/// `N` signatures of 64 bytes, one after the other.
pub fn signatures<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[schnorr::Signature; N], ChannelError> {
    let malformed = || ChannelError::Malformed { what };
    if bytes.len() != N * 64 {
        return Err(malformed());
    }
    let parsed = bytes
        .chunks_exact(64)
        .map(|chunk| schnorr::Signature::from_slice(chunk).map_err(|_| malformed()))
        .collect::<Result<Vec<_>, _>>()?;
    parsed.try_into().map_err(|_| malformed())
}

impl Point {
    pub fn of(outpoint: &OutPoint) -> Self {
        Self { txid: outpoint.txid.to_byte_array().to_vec(), vout: outpoint.vout }
    }

    pub fn outpoint(&self) -> Result<OutPoint, ChannelError> {
        let txid = Txid::from_slice(&self.txid).map_err(|_| ChannelError::Malformed { what: "outpoint" })?;
        Ok(OutPoint::new(txid, self.vout))
    }
}

impl Party {
    pub fn of(party: &crate::channel::Party) -> Self {
        Self {
            key: party.key.serialize().to_vec(),
            ark_payout: party.ark_payout.key().serialize().to_vec(),
            chain_payout: party.chain_payout.key().serialize().to_vec(),
        }
    }

    pub fn party(&self) -> Result<crate::channel::Party, ChannelError> {
        use bitcoin::hex::DisplayHex;
        let payout = |bytes: &[u8]| {
            XOnlyPublicKey::from_slice(bytes).map(crate::channel::Payout::new).map_err(|_| {
                ChannelError::InvalidPayout {
                    script: bytes.iter().take(40).copied().collect::<Vec<_>>().to_lower_hex_string(),
                }
            })
        };
        Ok(crate::channel::Party {
            key: xonly(&self.key)?,
            ark_payout: payout(&self.ark_payout)?,
            chain_payout: payout(&self.chain_payout)?,
        })
    }
}

pub fn party(wire: Option<&Party>) -> Result<crate::channel::Party, ChannelError> {
    wire.ok_or(ChannelError::Malformed { what: "party" })?.party()
}
