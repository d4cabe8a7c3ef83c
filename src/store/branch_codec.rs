//! Branches in bytes: version, each transaction in consensus encoding with its cosigners, and a checksum, so that a
//! damaged branch is noticed while the indexer still has a good one.

use bitcoin::Transaction;
use bitcoin::consensus::encode::{VarInt, deserialize_partial, serialize};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::PublicKey;

use super::StoreError;
use crate::channel::branch::{Branch, BranchNode, MAX_NODES};

const VERSION: u8 = 1;
const MAX_COSIGNERS: usize = 1024;
const CHECKSUM: usize = 8;

/// Refuses what would not come back the same.
pub(super) fn encode(branch: &Branch) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![VERSION];
    bytes.extend(serialize(&VarInt::from(branch.nodes.len())));
    for node in &branch.nodes {
        bytes.extend(serialize(&node.tx));
        bytes.extend(serialize(&VarInt::from(node.cosigners.len())));
        node.cosigners.iter().for_each(|key| bytes.extend(key.serialize()));
    }
    bytes.extend(checksum(&bytes));
    if decode(&bytes).as_ref() == Ok(branch) { Ok(bytes) } else { Err(StoreError::Invalid { what: "branch" }) }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Branch, StoreError> {
    let corrupt = || StoreError::corrupt("a branch");
    let (bytes, sum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(corrupt)?;
    let (version, mut rest) = bytes.split_first().ok_or_else(corrupt)?;
    if *version != VERSION || *sum != checksum(bytes) {
        return Err(corrupt());
    }
    let count = count(&mut rest, MAX_NODES)?;
    let mut nodes = Vec::with_capacity(count);
    for _ in 0..count {
        let (tx, used) = deserialize_partial::<Transaction>(rest).map_err(|_| corrupt())?;
        rest = rest.get(used..).ok_or_else(corrupt)?;
        let keys = self::count(&mut rest, MAX_COSIGNERS)?;
        let (raw, after) = rest.split_at_checked(keys * 33).ok_or_else(corrupt)?;
        rest = after;
        let cosigners = raw.chunks(33).map(PublicKey::from_slice).collect::<Result<_, _>>().map_err(|_| corrupt())?;
        nodes.push(BranchNode { tx, cosigners });
    }
    if nodes.is_empty() || !rest.is_empty() {
        return Err(corrupt());
    }
    Ok(Branch { nodes })
}

/// The first bytes of the SHA-256.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM] {
    let [a, b, c, d, e, f, g, h, ..] = sha256::Hash::hash(bytes).to_byte_array();
    [a, b, c, d, e, f, g, h]
}

fn count(rest: &mut &[u8], limit: usize) -> Result<usize, StoreError> {
    let corrupt = || StoreError::corrupt("a branch");
    let (VarInt(count), used) = deserialize_partial::<VarInt>(rest).map_err(|_| corrupt())?;
    *rest = rest.get(used..).ok_or_else(corrupt)?;
    usize::try_from(count).ok().filter(|count| *count <= limit).ok_or_else(corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::absolute::LockTime;
    use bitcoin::transaction::Version;
    use bitcoin::{Amount, OutPoint, ScriptBuf, TxIn, TxOut, Witness};

    fn branch() -> Branch {
        let key = |byte: u8| bitcoin::secp256k1::SecretKey::from_slice(&[byte; 32]).unwrap();
        let keys = [1, 2, 3].map(|byte| key(byte).public_key(secp256k1::SECP256K1));
        let tx = |value: u64| Transaction {
            version: Version(3),
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: OutPoint::null(),
                witness: Witness::from_slice(&[[7u8; 64]]),
                ..TxIn::default()
            }],
            output: vec![TxOut {
                value: Amount::from_sat(value),
                script_pubkey: ScriptBuf::from_bytes(vec![0x51; 34]),
            }],
        };
        let nodes = vec![
            BranchNode { tx: tx(5000), cosigners: keys.into() },
            BranchNode { tx: tx(4000), cosigners: [].into() },
        ];
        Branch { nodes }
    }

    #[test]
    fn comes_back_the_same() {
        let bytes = encode(&branch()).unwrap();
        assert_eq!(decode(&bytes).unwrap(), branch());
    }

    #[test]
    fn refuses_what_no_reader_would_take() {
        assert!(encode(&Branch::default()).is_err());
        let mut long = branch();
        long.nodes = vec![branch().nodes[0].clone(); MAX_NODES + 1];
        assert!(encode(&long).is_err());
        let mut crowded = branch();
        crowded.nodes[0].cosigners = vec![branch().nodes[0].cosigners[0]; MAX_COSIGNERS + 1].into();
        assert!(encode(&crowded).is_err());
    }

    #[test]
    fn damage_is_an_error() {
        let good = encode(&branch()).unwrap();
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_err(), "cut at {end}");
        }
        assert!(decode(&[good.as_slice(), &[0]].concat()).is_err());
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bad).is_err(), "bit {bit}");
            // The checksum is no protection against somebody who computes it anew: no panic there either.
            let body = bad.len() - CHECKSUM;
            let sum = checksum(&bad[..body]);
            bad[body..].copy_from_slice(&sum);
            assert_ne!(decode(&bad).ok(), Some(branch()).filter(|_| bit < body * 8), "bit {bit}");
        }
    }
}
