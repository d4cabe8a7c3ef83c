//! The message a payment signs, without building a transaction.
//!
//! Between two payments of a channel only the two amounts change. All of the BIP341 message before the outputs' hash
//! is hashed once, when the channel is loaded; a payment hashes about 250 bytes more and allocates nothing.

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::sighash::TapSighash;
use bitcoin::taproot::TapLeafHash;
use bitcoin::{Amount, Transaction, TxOut, consensus::Encodable};
use secp256k1::Message;

use super::script::ANCHOR_SCRIPT;
use super::terms::Payout;

/// Makes the messages of one transaction with outputs receiver, payer, anchor, for every split of its capacity.
#[derive(Clone)]
pub struct SplitSighash {
    prefix: <TapSighash as Hash>::Engine,
    leaf: TapLeafHash,
    receiver: Payout,
    payer: Payout,
    capacity: Amount,
}

impl SplitSighash {
    /// `template` is the transaction with any outputs and its one input spending `prevout` by `leaf`.
    pub fn new(
        template: &Transaction,
        prevout: &TxOut,
        leaf: TapLeafHash,
        receiver: Payout,
        payer: Payout,
        capacity: Amount,
    ) -> Self {
        let mut prefix = TapSighash::engine();
        prefix.input(&[0, 0]); // epoch, SIGHASH_DEFAULT
        prefix.input(&template.version.0.to_le_bytes());
        prefix.input(&template.lock_time.to_consensus_u32().to_le_bytes());
        let mut prevouts = sha256::Hash::engine();
        let mut sequences = sha256::Hash::engine();
        for input in &template.input {
            // Writing into a hash engine cannot fail.
            let _ = input.previous_output.consensus_encode(&mut prevouts);
            let _ = input.sequence.consensus_encode(&mut sequences);
        }
        let mut amounts = sha256::Hash::engine();
        let _ = prevout.value.consensus_encode(&mut amounts);
        let mut scripts = sha256::Hash::engine();
        let _ = prevout.script_pubkey.consensus_encode(&mut scripts);
        for engine in [prevouts, amounts, scripts, sequences] {
            prefix.input(sha256::Hash::from_engine(engine).as_byte_array());
        }
        Self { prefix, leaf, receiver, payer, capacity }
    }

    /// The message for `amount` to the receiver and the rest to the payer. `amount` must not exceed the capacity.
    pub fn message(&self, amount: Amount) -> Message {
        let mut outputs = sha256::Hash::engine();
        let mut p2tr = |value: Amount, payout: &Payout| {
            outputs.input(&value.to_sat().to_le_bytes());
            outputs.input(&[34, 0x51, 32]);
            outputs.input(&payout.key().serialize());
        };
        p2tr(amount, &self.receiver);
        let rest = self.capacity.checked_sub(amount).unwrap_or(Amount::ZERO);
        if rest > Amount::ZERO {
            p2tr(rest, &self.payer);
        }
        outputs.input(&0u64.to_le_bytes());
        outputs.input(&[ANCHOR_SCRIPT.len() as u8]);
        outputs.input(&ANCHOR_SCRIPT);

        let mut engine = self.prefix.clone();
        engine.input(sha256::Hash::from_engine(outputs).as_byte_array());
        engine.input(&[2]); // script path, no annex
        engine.input(&0u32.to_le_bytes()); // input index
        engine.input(self.leaf.as_byte_array());
        engine.input(&[0]); // key version
        engine.input(&u32::MAX.to_le_bytes()); // no OP_CODESEPARATOR
        Message::from_digest(TapSighash::from_engine(engine).to_byte_array())
    }
}
