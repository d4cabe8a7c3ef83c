//! The operator's own coins, and the commitment transactions they fund.

use std::collections::VecDeque;

use bitcoin::absolute::LockTime;
use bitcoin::key::{Keypair, Secp256k1, TapTweak};
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::{Message, SecretKey};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxIn, TxOut, Witness};

use super::psbt;
use super::script::LeafTree;
use super::state::Boarding;

/// Weight of what a commitment has at least, and of its parts, in virtual bytes (rounded up).
const BASE_VSIZE: u64 = 11;
const OUTPUT_VSIZE: u64 = 43;
const COIN_VSIZE: u64 = 58;
const BOARDING_VSIZE: u64 = 160;

/// A coin of the operator's key.
#[derive(Clone, Debug)]
pub struct Coin {
    /// Where it is.
    pub outpoint: OutPoint,
    /// What it is.
    pub output: TxOut,
}

/// Coins that are free to be spent; the oldest goes first, change goes last.
pub struct Wallet {
    key: Keypair,
    coins: VecDeque<Coin>,
}

/// A commitment transaction before anybody signed.
pub struct Funded {
    /// As clients see it: prevouts, and the dearest leaf of each boarding input.
    pub psbt: Psbt,
    /// The coins it spends.
    pub coins: Vec<Coin>,
    /// What comes back.
    pub change: Option<Coin>,
}

impl Wallet {
    /// A wallet of one key.
    pub fn new(secret: &SecretKey) -> Wallet {
        Wallet { key: Keypair::from_secret_key(&Secp256k1::new(), secret), coins: VecDeque::new() }
    }

    /// Where the operator wants to be paid.
    pub fn script(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr(&Secp256k1::new(), self.key.x_only_public_key().0, None)
    }

    /// Adds coins.
    pub fn add(&mut self, coins: impl IntoIterator<Item = Coin>) {
        self.coins.extend(coins);
    }

    /// Gives coins of a failed batch back.
    pub fn give_back(&mut self, coins: Vec<Coin>) {
        coins.into_iter().rev().for_each(|c| self.coins.push_front(c));
    }

    /// Builds a commitment: own coins first, then boarding inputs, the given outputs, change last.
    pub fn fund(
        &mut self,
        mut outputs: Vec<TxOut>,
        boarding: &[Boarding],
        sats_per_vbyte: u64,
        dust: u64,
    ) -> Result<Funded, String> {
        let paid: u64 = outputs.iter().map(|o| o.value.to_sat()).sum();
        let brought: u64 = boarding.iter().map(|b| b.utxo.value.to_sat()).sum();
        let mut coins = Vec::new();
        let mut have = brought;
        let fee = |coins: usize| {
            let size = BASE_VSIZE
                + OUTPUT_VSIZE * (outputs.len() as u64 + 1)
                + COIN_VSIZE * coins as u64
                + BOARDING_VSIZE * boarding.len() as u64;
            size * sats_per_vbyte
        };
        while coins.is_empty() || have < paid + fee(coins.len()) {
            let Some(coin) = self.coins.pop_front() else {
                self.give_back(coins);
                return Err("not enough liquidity".into());
            };
            have += coin.output.value.to_sat();
            coins.push(coin);
        }
        let change = have - paid - fee(coins.len());
        if change > dust {
            outputs.push(TxOut { value: Amount::from_sat(change), script_pubkey: self.script() });
        }
        let input = |previous_output| TxIn {
            previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let inputs = coins.iter().map(|c| c.outpoint).chain(boarding.iter().map(|b| b.outpoint));
        let tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: inputs.map(input).collect(),
            output: outputs,
        };
        let (txid, last) = (tx.compute_txid(), tx.output.len() - 1);
        let change = (change > dust)
            .then(|| Coin { outpoint: OutPoint::new(txid, last as u32), output: tx.output[last].clone() });
        let mut packet = Psbt::from_unsigned_tx(tx).map_err(|e| e.to_string())?;
        for (i, coin) in coins.iter().enumerate() {
            packet.inputs[i].witness_utxo = Some(coin.output.clone());
        }
        for (i, one) in boarding.iter().enumerate() {
            let slot = &mut packet.inputs[coins.len() + i];
            slot.witness_utxo = Some(one.utxo.clone());
            let tree = LeafTree::parse(&one.scripts)?;
            let leaf = tree.deepest().ok_or("no leaf")?.script.clone();
            let control = tree.control_block(&leaf).ok_or("no leaf")?;
            psbt::set_leaf(slot, control, leaf);
        }
        Ok(Funded { psbt: packet, coins, change })
    }

    /// Signs the leaves that name the operator's own key; None when that is not enough.
    pub fn sign(&self, packet: &mut Psbt) -> Option<Transaction> {
        let prevouts = psbt::prevouts(packet).ok()?;
        psbt::sign_leaves(packet, &prevouts, &self.key, None).ok()?;
        self.finish(packet).ok()
    }

    /// Signs the inputs that spend the operator's own key and gathers the witnesses of the others.
    pub fn finish(&self, packet: &Psbt) -> Result<Transaction, String> {
        let secp = Secp256k1::new();
        let prevouts = psbt::prevouts(packet)?;
        let mut tx = packet.unsigned_tx.clone();
        let signer = self.key.tap_tweak(&secp, None).to_keypair();
        let own = self.script();
        for (index, prevout) in prevouts.iter().enumerate() {
            let witness = if prevout.script_pubkey == own {
                let hash = SighashCache::new(&packet.unsigned_tx)
                    .taproot_key_spend_signature_hash(index, &Prevouts::All(&prevouts), TapSighashType::Default)
                    .map_err(|e| e.to_string())?;
                Witness::from_slice(&[secp.sign_schnorr(&Message::from(hash), &signer).as_ref()])
            } else {
                psbt::leaf_witness(&packet.inputs[index], &[])?
            };
            tx.input[index].witness = witness;
        }
        Ok(tx)
    }
}
