//! The faucet's coins. There is no wallet in this bitcoind: one fixed key owns every coinbase, and this is its purse.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, CompressedPublicKey, FeeRate, NetworkKind, OutPoint, PrivateKey, ScriptBuf, Sequence, Transaction, TxIn,
    TxOut, Weight, Witness,
};
use serde_json::json;

use crate::bitcoind::Bitcoind;
use crate::error::NodeError;

/// Blocks until a coinbase is spent here: twenty more than the chain asks for, so that a reorganisation of a few blocks does
/// not undo what was paid with it.
pub const MATURITY: u32 = 120;
const FEE_RATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);
/// Weight of one P2WPKH input.
const INPUT: Weight = Weight::from_wu(272);
/// What a change output must be worth to be made.
pub const DUST: Amount = Amount::from_sat(1_000);

/// A coin of the faucet key.
#[derive(Clone, Debug)]
pub struct Coin {
    pub outpoint: OutPoint,
    pub value: Amount,
    /// The height of the chain from which on it may be spent; 0 for change.
    pub from_height: u32,
}

/// The coins that nobody has taken yet. Taking removes them, so two payers never meet on one.
#[derive(Default)]
pub struct Purse {
    coins: Vec<Coin>,
}

impl Purse {
    pub fn put(&mut self, coins: impl IntoIterator<Item = Coin>) {
        self.coins.extend(coins);
    }

    /// Takes coins worth at least `wanted` plus the fee of spending them. `confirmed`: leaves unconfirmed change alone,
    /// as a v3 child may have no other unconfirmed parent. Blocks.
    pub fn take(&mut self, node: &Bitcoind, wanted: Amount, confirmed: bool) -> Result<Vec<Coin>, NodeError> {
        let height = node.call("getblockcount", &[])?.as_u64().unwrap_or_default();
        let height = u32::try_from(height).unwrap_or(u32::MAX);
        let (mut taken, mut later, mut gone) = (vec![], vec![], vec![]);
        let (mut has, mut target) = (Amount::ZERO, wanted);
        for (index, coin) in self.coins.iter().enumerate() {
            if coin.from_height > height {
                continue;
            }
            let out = node.call("gettxout", &[json!(coin.outpoint.txid), json!(coin.outpoint.vout), json!(true)])?;
            match out["confirmations"].as_u64() {
                // Reorganised away, or never mined.
                None => gone.push(index),
                Some(0) => later.push(index),
                Some(_) => {
                    taken.push(index);
                    has += coin.value;
                    target += fee(INPUT);
                }
            }
            if has >= target {
                break;
            }
        }
        for index in later {
            if has >= target || confirmed {
                break;
            }
            taken.push(index);
            has += self.coins[index].value;
            target += fee(INPUT);
        }
        let enough = has >= target;
        let mut coins = vec![];
        for (index, coin) in std::mem::take(&mut self.coins).into_iter().enumerate() {
            if enough && taken.contains(&index) {
                coins.push(coin);
            } else if !gone.contains(&index) {
                self.coins.push(coin);
            }
        }
        if enough { Ok(coins) } else { Err(NodeError::Funds { wanted: target, has, coins: taken.len() }) }
    }
}

/// The fixed key that owns every coinbase.
pub fn key() -> PrivateKey {
    let secret = SecretKey::from_slice(&[0x11; 32]).expect("a valid scalar");
    PrivateKey::new(secret, NetworkKind::Test)
}

/// The P2WPKH script of [`key`].
pub fn script() -> ScriptBuf {
    let public = CompressedPublicKey::from_private_key(&Secp256k1::new(), &key()).expect("a compressed key");
    ScriptBuf::new_p2wpkh(&public.wpubkey_hash())
}

/// What a payment of these outputs takes out of the purse, without the fee of its inputs.
pub fn cost(outputs: &[TxOut]) -> Amount {
    let body: u64 = outputs.iter().map(|o| o.weight().to_wu()).sum();
    // 4 × (version, lock time, counts, change) + marker and flag.
    outputs.iter().map(|o| o.value).sum::<Amount>() + fee(Weight::from_wu(body + 4 * 50 + 2))
}

/// Spends `coins` to `outputs` and the rest to the faucet itself, signed. The change, if any, is the last output.
pub fn payment(coins: &[Coin], outputs: &[TxOut]) -> Transaction {
    let has: Amount = coins.iter().map(|c| c.value).sum();
    let mut spent = cost(outputs);
    for _ in coins {
        spent += fee(INPUT);
    }
    let mut output = outputs.to_vec();
    let change = has.checked_sub(spent).unwrap_or_default();
    if change >= DUST {
        output.push(TxOut { value: change, script_pubkey: script() });
    }
    let input = coins.iter().map(|c| input(c.outpoint)).collect();
    let mut tx = Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output };
    sign(&mut tx, coins, 0);
    tx
}

/// A v3 child of the P2A output `anchor` that gives `fee` to the miners, signed.
pub fn fee_payment(anchor: OutPoint, anchor_value: Amount, coins: &[Coin], fee: Amount) -> Transaction {
    let has: Amount = coins.iter().map(|c| c.value).sum();
    let value = (has + anchor_value).checked_sub(fee).unwrap_or_default();
    let inputs = std::iter::once(anchor).chain(coins.iter().map(|c| c.outpoint));
    let mut tx = Transaction {
        version: Version(3),
        lock_time: LockTime::ZERO,
        input: inputs.map(input).collect(),
        output: vec![TxOut { value, script_pubkey: script() }],
    };
    sign(&mut tx, coins, 1);
    tx
}

/// The outputs of `tx` that belong to the faucet, usable from `from_height` on.
pub fn own(tx: &Transaction, from_height: u32) -> impl Iterator<Item = Coin> {
    let (txid, script) = (tx.compute_txid(), script());
    tx.output
        .iter()
        .enumerate()
        .filter(move |(_, o)| o.script_pubkey == script && o.value > Amount::ZERO)
        .map(move |(vout, o)| Coin { outpoint: OutPoint { txid, vout: vout as u32 }, value: o.value, from_height })
}

fn input(previous_output: OutPoint) -> TxIn {
    TxIn {
        previous_output,
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    }
}

fn fee(weight: Weight) -> Amount {
    FEE_RATE.fee_wu(weight).expect("a weight below the limit")
}

/// Signs the inputs from `first` on, which spend `coins` in that order.
fn sign(tx: &mut Transaction, coins: &[Coin], first: usize) {
    let (secp, key, script) = (Secp256k1::new(), key(), script());
    let public = key.public_key(&secp).inner;
    let mut cache = SighashCache::new(tx);
    for (offset, coin) in coins.iter().enumerate() {
        let index = first + offset;
        let hash = cache
            .p2wpkh_signature_hash(index, &script, coin.value, EcdsaSighashType::All)
            .expect("an input of this transaction");
        let signature = secp.sign_ecdsa(&Message::from_digest(hash.to_byte_array()), &key.inner);
        let signature = bitcoin::ecdsa::Signature::sighash_all(signature);
        if let Some(witness) = cache.witness_mut(index) {
            *witness = Witness::p2wpkh(&signature, &public);
        }
    }
}
