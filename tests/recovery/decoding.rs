//! Anything at all into the decoder of backups: no panic, bounded memory, and what is read can be written and read again.

use std::sync::Arc;

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{OutPoint, ScriptBuf, Transaction, TxIn, TxOut, Witness};
use secp256k1::rand::Rng;
use virtual_channels::channel::backup::{
    BackupScript, ChannelBackup, MAX_BYTES, SALT, ScriptUse, StaticBackup, open, seal,
};
use virtual_channels::channel::branch::{Branch, BranchNode};
use virtual_channels::channel::message::Funding;
use virtual_channels::channel::operator_info::{DeprecatedSigner, FeePrograms};
use virtual_channels::channel::{ChannelError, Delay, Network, Offer, OperatorInfo, Unit};

use crate::pair::{Pair, keypair, outpoint, rng, sats};

fn node(from: u64, cosigners: usize, script: usize) -> BranchNode {
    let mut rng = rng(from);
    let input =
        TxIn { previous_output: outpoint(&mut rng), witness: Witness::from_slice(&[[7u8; 64]]), ..TxIn::default() };
    let output = TxOut { value: sats(1_000 + from), script_pubkey: ScriptBuf::from_bytes(vec![0x51; script]) };
    let tx = Transaction { version: Version(3), lock_time: LockTime::ZERO, input: vec![input], output: vec![output] };
    BranchNode { tx, cosigners: (0..cosigners).map(|_| keypair(&mut rng).public_key()).collect() }
}

fn backup() -> StaticBackup {
    let [first, second] = [Pair::new(1, Unit::Seconds, 100_000), Pair::new(2, Unit::Blocks, 50_000)];
    let operator = first.info.signer;
    let other = second.info.signer;
    let nodes = [node(1, 3, 34), node(2, 2, 34), node(3, 0, 34)];
    let branch = |picked: &[usize]| Branch { nodes: picked.iter().map(|i| nodes[*i].clone()).collect() };
    let channel = |pair: &Pair, is_payer| ChannelBackup {
        is_payer,
        is_offchain: !is_payer,
        was_confirmed: is_payer,
        terms: pair.channel.terms,
        funding: pair.channel.funding,
        key_index: 7,
        commitments: vec![nodes[0].tx.input[0].previous_output.txid],
        batch_expiry: Delay::seconds(604_672).unwrap(),
        expiry: 1_800_600_000,
        expires_at: 1_800_600_100,
        levels: 2,
        created_at: 1_800_000_000,
        authorisation: is_payer.then(|| pair.authorisation()),
        branch: branch(&[0, 1]),
    };
    let script = |script_use, key_index, operator, delay: Option<u16>| BackupScript {
        script_use,
        key_index,
        operator,
        delay: delay.map(|blocks| Delay::blocks(blocks).unwrap()),
    };
    StaticBackup {
        network: Network::Regtest,
        info: first.info.clone(),
        operator,
        made_at: 1_800_000_000,
        next_key_index: 99,
        whole: true,
        batch_expiry: Some(Delay::blocks(500).unwrap()),
        scripts: vec![
            script(ScriptUse::Vtxo, 0, operator, Some(10)),
            script(ScriptUse::Boarding, 1, other, Some(20)),
            script(ScriptUse::Chain, 2, operator, None),
        ],
        channels: vec![channel(&first, true), channel(&second, false)],
        openings: vec![Offer {
            invite_id: [3; 32],
            terms: first.channel.terms,
            cosigner: nodes[0].cosigners[0],
            funding: Funding::Batch { inputs: vec![first.channel.funding] },
        }],
        branches: vec![(OutPoint::new(nodes[2].tx.compute_txid(), 0), branch(&[0, 1, 2]))],
    }
}

#[test]
fn comes_back_the_same() {
    let backup = backup();
    let bytes = backup.encode().unwrap();
    assert_eq!(StaticBackup::decode(&bytes), Ok(backup.clone()));
    let empty = StaticBackup {
        scripts: vec![],
        channels: vec![],
        openings: vec![],
        branches: vec![],
        batch_expiry: None,
        ..backup
    };
    assert_eq!(StaticBackup::decode(&empty.encode().unwrap()), Ok(empty));
}

/// Transactions and keys that channels of one batch share are in it once.
#[test]
fn what_is_shared_is_written_once() {
    let one = backup();
    let mut three = one.clone();
    for number in 3..5 {
        let pair = Pair::new(number, Unit::Seconds, 100_000);
        let channel =
            ChannelBackup { terms: pair.channel.terms, funding: pair.channel.funding, ..one.channels[0].clone() };
        three.channels.push(channel);
    }
    let more = three.encode().unwrap().len() - one.encode().unwrap().len();
    assert!(more < 2 * 800, "{more}");
}

#[test]
fn cut_lengthened_and_of_a_later_version() {
    let good = backup().encode().unwrap();
    for end in 0..good.len() {
        assert!(StaticBackup::decode(&good[..end]).is_err(), "cut at {end}");
    }
    assert!(StaticBackup::decode(&[good.as_slice(), &[0]].concat()).is_err());
    let mut later = good.clone();
    later[0] = 2;
    assert_eq!(StaticBackup::decode(&later), Err(ChannelError::UnknownVersion { version: 2 }));
    let long = vec![1; MAX_BYTES + 1];
    assert_eq!(StaticBackup::decode(&long), Err(ChannelError::TooLarge { size: MAX_BYTES + 1, limit: MAX_BYTES }));
}

/// Bits flipped, bytes set, parts moved and numbers blown up: read or refused, and what is read is stable.
#[test]
fn mutations() {
    let good = backup().encode().unwrap();
    let mut rng = rng(77);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..15_000 {
        let mut bytes = good.clone();
        for _ in 0..rng.gen_range(1..4) {
            let at = rng.gen_range(0..bytes.len());
            match rng.gen_range(0..5) {
                0 => bytes[at] ^= 1 << rng.gen_range(0..8),
                1 => bytes[at] = [0, 1, 0x7f, 0xfd, 0xfe, 0xff][rng.gen_range(0..6)],
                2 => bytes.truncate(at.max(1)),
                3 => {
                    let from = rng.gen_range(0..bytes.len());
                    let part = bytes[from..bytes.len().min(from + rng.gen_range(0..64))].to_vec();
                    bytes.splice(at..at, part);
                }
                _ => {
                    let end = bytes.len().min(at + 9);
                    bytes[at..end].fill(0xff);
                }
            }
        }
        match StaticBackup::decode(&bytes) {
            Ok(backup) => {
                read += 1;
                let again = backup.encode().unwrap();
                assert_eq!(StaticBackup::decode(&again).as_ref(), Ok(&backup));
            }
            Err(_) => refused += 1,
        }
    }
    assert!(read > 300 && refused > 5_000, "{read} read, {refused} refused");
    for _ in 0..20_000 {
        let noise: Vec<u8> = (0..rng.gen_range(0..400)).map(|_| rng.r#gen()).collect();
        let _ = StaticBackup::decode(&noise);
        let _ = open(&[7; 32], &String::from_utf8_lossy(&noise));
        let _ = StaticBackup::decode(&[&[1, 4], noise.as_slice()].concat());
    }
}

/// A few bytes that name the same large transaction again and again do not fill the memory.
#[test]
fn branches_that_would_fill_the_memory() {
    let large = node(9, 0, 36_000);
    let branch = Branch { nodes: vec![large; 64] };
    let many = |count: u64| StaticBackup {
        branches: (0..count).map(|n| (outpoint(&mut rng(n)), branch.clone())).collect(),
        ..backup()
    };
    let fits = many(5).encode().unwrap();
    assert!(fits.len() < 60_000 && StaticBackup::decode(&fits).is_ok());
    // What could not be read back is not written.
    let refused = many(40).encode();
    let limit = 8 * MAX_BYTES;
    assert!(
        matches!(refused, Err(ChannelError::TooLarge { size, limit: at }) if size > at && at == limit),
        "{refused:?}"
    );
    let text = FeePrograms { offchain_input: "0".repeat(300_000), ..FeePrograms::default() };
    let unreadable = StaticBackup { info: OperatorInfo { fees: text, ..backup().info }, ..backup() };
    assert_eq!(unreadable.encode(), Err(ChannelError::Malformed { what: "backup" }));
}

/// Thousands of channels from large batches: each of a thousand co-signers, all of whom are in each level's transaction or
/// in one beside it.
#[test]
fn channels_from_large_batches() {
    let mut large = backup();
    let pattern = large.channels[0].clone();
    let level = |batch: u64, level: u64| node(10_000 + 20 * batch + level, 1_000 >> level, 34);
    let batches: Vec<Vec<BranchNode>> = (0..3).map(|batch| (0..10).map(|at| level(batch, at)).collect()).collect();
    large.channels = (0..3_000)
        .map(|number| {
            let mut nodes = batches[number as usize % 3].clone();
            nodes.push(node(50_000 + number, 1, 34));
            ChannelBackup { funding: outpoint(&mut rng(number)), branch: Branch { nodes }, ..pattern.clone() }
        })
        .collect();
    let bytes = large.encode().unwrap();
    assert!(bytes.len() < 3_500_000, "{}", bytes.len());
    let read = StaticBackup::decode(&bytes).unwrap();
    assert!(read == large, "it comes back the same");
    let [first, other] = [0, 3].map(|at| &read.channels[at].branch.nodes[0].cosigners);
    assert!(Arc::ptr_eq(first, other), "not a thousand keys for every channel");
}

/// A few bytes that name the same co-signers again and again do not fill the memory either.
#[test]
fn co_signers_that_would_fill_the_memory() {
    let key = node(1, 1, 34).cosigners[0];
    let crowd: Vec<BranchNode> =
        (0..1_100).map(|n| BranchNode { cosigners: vec![key; 1_024].into(), ..node(n, 0, 34) }).collect();
    let branches =
        crowd.chunks(50).enumerate().map(|(n, nodes)| (outpoint(&mut rng(n as u64)), Branch { nodes: nodes.to_vec() }));
    let refused = StaticBackup { branches: branches.collect(), ..backup() }.encode();
    assert!(matches!(refused, Err(ChannelError::TooLarge { .. })), "{:?}", refused.map(|bytes| bytes.len()));
}

/// What the largest answers of an operator leave in a backup.
#[test]
fn an_operator_that_says_much() {
    let mut talkative = backup();
    let program = "\u{1}".repeat(4096);
    talkative.info.fees = FeePrograms {
        offchain_input: program.clone(),
        offchain_output: program.clone(),
        onchain_input: program.clone(),
        onchain_output: program,
    };
    let signer = DeprecatedSigner { key: talkative.operator, cutoff: Some(i64::MAX as u64) };
    talkative.info.deprecated_signers = vec![signer; 256];
    assert_eq!(StaticBackup::decode(&talkative.encode().unwrap()), Ok(talkative));
}

/// A thousand channels fit, and are read in no time to speak of.
#[test]
fn a_thousand_channels() {
    let mut large = backup();
    let pattern = large.channels[0].clone();
    large.channels = (0..1_000)
        .map(|number| ChannelBackup {
            funding: outpoint(&mut rng(number)),
            branch: Branch { nodes: vec![node(number % 50, 3, 34), node(1_000 + number, 2, 34)] },
            ..pattern.clone()
        })
        .collect();
    let text = seal(&[7; 32], [1; SALT], large.encode().unwrap()).unwrap();
    println!("backup of 1000 channels: {} characters", text.len());
    assert!(text.len() < 2_500_000);
    let plain = open(&[7; 32], &text).unwrap().unwrap();
    assert!(StaticBackup::decode(&plain).unwrap() == large, "it comes back the same");
}
