//! Static backups: the bytes behind a right seal, and the text as it comes.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use virtual_channels::channel::backup::{BackupScript, ChannelBackup, SALT, ScriptUse, StaticBackup, open, seal};
use virtual_channels::channel::{Delay, Network};

use super::stored;
use crate::pair::Pair;

/// The wallet's backup key.
const KEY: [u8; 32] = [7; 32];

/// What is read can be written, and reads the same.
pub fn whole(data: &[u8]) -> bool {
    let text = seal(&KEY, [9; SALT], data.to_vec()).expect("inputs are short");
    assert_eq!(open(&KEY, &text), Ok(Some(data.to_vec())));
    let Ok(read) = StaticBackup::decode(data) else { return false };
    let again = read.encode().expect("what was read can be written");
    assert_eq!(StaticBackup::decode(&again), Ok(read));
    true
}

/// A text with any change; one that opens is the one that was sealed.
pub fn sealed(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    matches!(open(&KEY, &text), Ok(Some(_)))
}

pub fn seed(pair: &Pair) -> Vec<u8> {
    let branch = stored::a_branch();
    let channel = ChannelBackup {
        is_payer: true,
        is_offchain: false,
        was_confirmed: true,
        terms: pair.channel.terms,
        funding: pair.channel.funding,
        key_index: 7,
        commitments: vec![Txid::from_byte_array([1; 32])],
        batch_expiry: Delay::seconds(604_672).expect("a delay"),
        expiry: 1_800_600_000,
        expires_at: 1_800_600_100,
        levels: 2,
        created_at: 1_800_000_000,
        authorisation: Some(pair.authorisation()),
        branch: branch.clone(),
    };
    let script = |script_use, delay| BackupScript { script_use, key_index: 3, operator: pair.info.signer, delay };
    let backup = StaticBackup {
        network: Network::Regtest,
        info: pair.info.clone(),
        operator: pair.info.signer,
        made_at: 1_800_000_000,
        next_key_index: 99,
        whole: true,
        batch_expiry: Some(Delay::seconds(604_672).expect("a delay")),
        scripts: vec![script(ScriptUse::Vtxo, Some(pair.channel.terms.d1)), script(ScriptUse::Chain, None)],
        channels: vec![channel],
        openings: Vec::new(),
        branches: vec![(OutPoint::new(Txid::from_byte_array([2; 32]), 0), branch)],
    };
    backup.encode().expect("a short backup")
}

pub fn sealed_seed(pair: &Pair) -> Vec<u8> {
    seal(&KEY, [9; SALT], seed(pair)).expect("a short backup").into_bytes()
}
