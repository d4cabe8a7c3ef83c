//! Receipt: proof of payment, made on demand.

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::schnorr;
use bitcoin::{Amount, XOnlyPublicKey};
use secp256k1::{Keypair, Message};

use super::{decode, encode, text_form, wire};
use crate::channel::terms::tagged_hash;
use crate::channel::{ChannelError, ChannelId, psbt};

/// The receiver's signature under what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub channel_id: ChannelId,
    pub amount: Amount,
    /// SHA256 of the memo the receiver was told; of nothing where there was none.
    pub memo_hash: [u8; 32],
    pub signature: schnorr::Signature,
}

/// What a receipt says of a memo.
pub fn memo_hash(memo: Option<&str>) -> [u8; 32] {
    sha256::Hash::hash(memo.unwrap_or_default().as_bytes()).to_byte_array()
}

impl Receipt {
    pub fn sign(channel_id: ChannelId, amount: Amount, memo_hash: [u8; 32], receiver: &Keypair) -> Self {
        let signature = psbt::sign(&message(&channel_id, amount, &memo_hash), receiver);
        Self { channel_id, amount, memo_hash, signature }
    }

    pub fn verify(&self, receiver: &XOnlyPublicKey) -> Result<(), ChannelError> {
        let message = message(&self.channel_id, self.amount, &self.memo_hash);
        if psbt::verify(&message, receiver, &self.signature) {
            Ok(())
        } else {
            Err(ChannelError::InvalidSignature { what: "receipt signature" })
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        encode(&wire::Receipt {
            version: wire::VERSION,
            channel_id: self.channel_id.0.to_vec(),
            amount: self.amount.to_sat(),
            memo_hash: self.memo_hash.to_vec(),
            signature: self.signature.as_ref().to_vec(),
        })
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, ChannelError> {
        let wire: wire::Receipt = decode(bytes, "receipt")?;
        let [signature] = wire::signatures(&wire.signature, "receipt: signature")?;
        Ok(Self {
            channel_id: ChannelId::from_slice(&wire.channel_id)?,
            amount: Amount::from_sat(wire.amount),
            memo_hash: wire::hash32(&wire.memo_hash, "receipt: memo hash")?,
            signature,
        })
    }
}

fn message(channel_id: &ChannelId, amount: Amount, memo_hash: &[u8; 32]) -> Message {
    let mut bytes = channel_id.0.to_vec();
    bytes.extend(amount.to_sat().to_be_bytes());
    bytes.extend(memo_hash);
    Message::from_digest(tagged_hash(b"virtual-channels/receipt", &bytes))
}

text_form!(Receipt, Receipt, "a receipt", std::convert::identity);
