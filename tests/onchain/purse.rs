//! Coins for the on-chain wallet, and parents without a fee.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, absolute};
use regtest::operator::Unit;
use virtual_channels::channel::offchain::{anchor, version3};
use virtual_channels::wallet::{OnchainBalance, Wallet};

use crate::world::{World, sats};

pub fn per_vbyte(sats: u64) -> FeeRate {
    FeeRate::from_sat_per_vb(sats).expect("a rate")
}

pub fn script_of(address: &str) -> ScriptBuf {
    let address: bitcoin::Address<_> = address.parse().expect("an address");
    address.assume_checked().script_pubkey()
}

pub async fn world() -> World {
    World::start(Unit::Blocks).await
}

/// Pays each amount to the wallet's on-chain address, all in one transaction that is not confirmed.
pub async fn pay_in(world: &World, wallet: &Wallet, amounts: &[u64]) -> Txid {
    let script_pubkey = script_of(&wallet.onchain_address().expect("an address"));
    let output = |amount: &u64| TxOut { value: sats(*amount), script_pubkey: script_pubkey.clone() };
    let outputs: Vec<TxOut> = amounts.iter().map(output).collect();
    world.regtest.node().pay(&outputs).await.expect("faucet pays").compute_txid()
}

/// The same, confirmed.
pub async fn fund(world: &World, wallet: &Wallet, amounts: &[u64]) -> Txid {
    let txid = pay_in(world, wallet, amounts).await;
    world.mine(1).await;
    wallet.sync_onchain().await.expect("syncs");
    txid
}

pub async fn holds(wallet: &Wallet, confirmed: u64, pending: u64) {
    let held = wallet.onchain_balance().await.expect("a balance");
    assert_eq!(held, OnchainBalance { confirmed: sats(confirmed), pending: sats(pending) });
}

/// A version 3 transaction without a fee, with `outputs` and an anchor; what it spends is confirmed.
pub async fn parent(world: &World, outputs: &[TxOut]) -> Transaction {
    let anyone = ScriptBuf::from_bytes(vec![bitcoin::opcodes::all::OP_PUSHNUM_1.to_u8()]);
    let value: Amount = outputs.iter().map(|output| output.value).sum();
    let coin = TxOut { value, script_pubkey: ScriptBuf::new_p2wsh(&anyone.wscript_hash()) };
    let funding = world.regtest.node().pay(std::slice::from_ref(&coin)).await.expect("faucet pays");
    world.mine(1).await;
    let vout = funding.output.iter().position(|output| *output == coin).expect("the output") as u32;
    let input = TxIn {
        previous_output: OutPoint::new(funding.compute_txid(), vout),
        sequence: Sequence::MAX,
        script_sig: ScriptBuf::new(),
        witness: Witness::from_slice(&[anyone.as_bytes()]),
    };
    version3(absolute::LockTime::ZERO, vec![input], outputs.iter().cloned().chain([anchor()]).collect())
}

/// An output of `amount` to somebody else.
pub fn elsewhere(amount: u64) -> TxOut {
    let program = bitcoin::WitnessProgram::new(bitcoin::WitnessVersion::V0, &Txid::all_zeros().to_byte_array());
    TxOut { value: sats(amount), script_pubkey: ScriptBuf::new_witness_program(&program.expect("32 bytes")) }
}

/// Offers both to bitcoind: `None` when they are taken.
pub async fn offer(world: &World, parent: &Transaction, child: &Transaction) -> Option<String> {
    let answer = world.regtest.node().submit_package(&[parent.clone(), child.clone()]).await.expect("bitcoind answers");
    (answer["package_msg"] != "success").then(|| answer.to_string())
}
