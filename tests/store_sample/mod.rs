//! Rows for the store's stories. Each story uses some of them.
#![allow(dead_code)]

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::schnorr::Signature;
use bitcoin::{Amount, OutPoint, Txid};
use virtual_channels::channel::{ChannelId, ChannelUpdate, Delay};
use virtual_channels::store::{ChannelRecord, Flow, FlowKind, FundingKind, Role};

pub fn record(byte: u8, role: Role) -> ChannelRecord {
    ChannelRecord {
        id: ChannelId([byte; 32]),
        role,
        terms: vec![byte; 300],
        capacity: Amount::from_sat(100_000),
        funding: OutPoint::new(Txid::from_byte_array([byte; 32]), 1),
        funding_kind: FundingKind::Batch,
        key_index: 7,
        commitments: vec![Txid::from_byte_array([1; 32])],
        batch_expiry: Delay::seconds(604_672).unwrap(),
        expiry: 1_800_000_000,
        expires_at: 1_800_000_100,
        levels: 3,
        created_at: 1_700_000_000,
    }
}

pub fn update(byte: u8, previous: u64, amount: u64) -> ChannelUpdate {
    let signature = |fill: u64| Signature::from_slice(&[fill as u8; 64]).unwrap();
    ChannelUpdate {
        channel_id: ChannelId([byte; 32]),
        previous: Amount::from_sat(previous),
        amount: Amount::from_sat(amount),
        ark_signature: signature(amount),
        exit_signature: signature(previous),
    }
}

pub fn flow(byte: u8, kind: FlowKind) -> Flow {
    Flow { id: [byte; 32], kind, step: "begin".into(), data: vec![byte], created_at: 5, updated_at: 5 }
}
