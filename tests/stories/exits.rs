//! Shown, not said: what a wallet has stored takes its money out on chain, with the operator gone.
//!
//! The real bitcoind judges the signatures: the stored branch is put on chain level by level, the exit update is
//! refused before d1 and taken after, the payer's refund the same at d2.

use bitcoin::{Amount, OutPoint, Transaction, TxOut};
use regtest::operator::Unit;
use secp256k1::Keypair;
use virtual_channels::channel::branch::Branch;
use virtual_channels::channel::{
    Channel, ChannelId, ChannelTerms, ChannelUpdate, Delay, Network, Payout, Unit as DelayUnit,
};
use virtual_channels::store::{ChannelRow, ChannelState, FundingKind, Role, Store};
use virtual_channels::wallet::{EventKind, KeyUse, Keys, SecretKeypair, Wallet, WalletError};

use crate::world::{World, eventually, pay, sats};

const NOT_YET: &str = "non-BIP68-final";

/// What one side has in its file, and the keys its mnemonic gives.
struct Stored {
    row: ChannelRow,
    branch: Branch,
    channel: Channel,
    keys: Keys,
    keypair: SecretKeypair,
}

impl Stored {
    /// Reads the file of a closed wallet.
    fn read(world: &World, name: &str, id: &ChannelId) -> Self {
        let store = Store::open(&world.path(name)).unwrap();
        let row = store.read(|db| db.channel(id)).unwrap().expect("the channel is stored");
        let branch = store.read(|db| db.branch(&row.record.funding)).unwrap().expect("its branch is stored");
        let terms = ChannelTerms::from_canonical(&row.record.terms).unwrap();
        let channel = Channel::new(terms, row.record.funding).unwrap();
        let keys = Keys::from_mnemonic(&World::mnemonic(name), Network::Regtest).unwrap();
        let (key_use, key) = match row.record.role {
            Role::Payer => (KeyUse::Payer, terms.payer.key),
            Role::Receiver => (KeyUse::Receiver, terms.receiver.key),
        };
        let keypair = keys.keypair(key_use, row.record.key_index).unwrap();
        assert_eq!(keypair.xonly(), key, "the mnemonic gives the channel's key");
        Self { row, branch, channel, keys, keypair }
    }

    fn update(&self) -> ChannelUpdate {
        self.row.hot.update.expect("an update is stored")
    }

    fn exit(&self) -> Transaction {
        self.update().exit_transaction(&self.channel, &self.keypair).unwrap()
    }

    /// Puts the branch on chain, parents first, a block each.
    async fn unroll(&self, world: &World) {
        for node in &self.branch.nodes {
            assert_eq!(offer(world, &node.tx).await, None, "{} of the branch", node.tx.compute_txid());
            world.mine(1).await;
        }
        let funding = world.regtest.node().utxo(&self.channel.funding).await.unwrap();
        assert_eq!(funding, Some(self.channel.prevout()), "the channel is on chain");
    }

    /// Whether the payout is an address of this mnemonic.
    fn owns(&self, payout: Payout) -> bool {
        (0..50).any(|index| self.keys.chain_payout(index).is_ok_and(|own| own == payout))
    }
}

/// Offers a transaction with a child that pays for both: `None` when they are taken, else why not.
async fn offer(world: &World, tx: &Transaction) -> Option<String> {
    let answer = world.regtest.node().cpfp(tx, sats(5_000)).await.expect("bitcoind answers");
    if answer["package_msg"] == "success" {
        return None;
    }
    // The child fails as well, for want of its parent.
    let txid = tx.compute_txid().to_string();
    let mut results = answer["tx-results"].as_object().expect("a result for each transaction").values();
    let result = results.find(|result| result["txid"] == txid.as_str()).expect("a result for this one");
    Some(result["error"].as_str().unwrap_or_else(|| panic!("refused without a reason: {answer}")).to_owned())
}

/// Lets all of a delay pass but its last block, or its last 300 s.
async fn wait_almost(world: &World, delay: Delay) {
    let left = delay.value();
    match delay.unit() {
        // The funding output's own block counts, and the mempool looks at the next block.
        DelayUnit::Blocks => world.mine(left as u32 - 2).await,
        DelayUnit::Seconds => {
            world.regtest.node().generate_after(11, left - 300).await.unwrap();
        }
    }
}

async fn wait_last_step(world: &World, delay: Delay) {
    match delay.unit() {
        DelayUnit::Blocks => world.mine(1).await,
        DelayUnit::Seconds => {
            world.regtest.node().generate_after(11, 300).await.unwrap();
        }
    }
}

/// Two payments, so that there is an old update as well.
fn pay_twice(payer: &Wallet, receiver: &Wallet, id: &ChannelId) -> ChannelUpdate {
    pay(payer, receiver, id, 5_000, "one");
    let old = payer.latest_update(id).unwrap().message.update;
    assert_eq!(pay(payer, receiver, id, 7_000, "two").amount, sats(12_000));
    old
}

async fn unspent(world: &World, tx: &Transaction, vout: u32) -> Option<TxOut> {
    world.regtest.node().utxo(&OutPoint::new(tx.compute_txid(), vout)).await.unwrap()
}

fn output(payout: Payout, value: Amount) -> Option<TxOut> {
    Some(TxOut { value, script_pubkey: payout.script() })
}

/// The receiver leaves with the latest update; nobody else can with anything else.
async fn receiver_exits(world: &World, id: &ChannelId, old: ChannelUpdate) {
    let own = Stored::read(world, "receiver", id);
    let payer = Stored::read(world, "payer", id);
    let terms = &own.channel.terms;
    let latest = own.exit();
    own.unroll(world).await;

    assert_eq!(offer(world, &latest).await.as_deref(), Some(NOT_YET));
    wait_almost(world, terms.d1).await;
    assert_eq!(offer(world, &latest).await.as_deref(), Some(NOT_YET), "a step before d1");
    wait_last_step(world, terms.d1).await;

    // The payer has an old update with its own signature; the receiver's it never had.
    let sign = |update: ChannelUpdate, by: &Keypair| update.exit_transaction(&own.channel, by).unwrap();
    refused_signature(world, "an old update by the payer alone", &sign(old, &payer.keypair)).await;
    // The signature of one amount beside another amount, and one with a flipped bit.
    let mixed = ChannelUpdate { exit_signature: old.exit_signature, ..own.update() };
    refused_signature(world, "a signature of another amount", &sign(mixed, &own.keypair)).await;
    let mut bytes = own.update().exit_signature.serialize();
    bytes[40] ^= 1;
    let flipped = ChannelUpdate {
        exit_signature: bitcoin::secp256k1::schnorr::Signature::from_slice(&bytes).unwrap(),
        ..own.update()
    };
    refused_signature(world, "a flipped bit", &sign(flipped, &own.keypair)).await;
    let alone = payer.channel.signed_unilateral_refund(&payer.keypair).unwrap();
    assert_eq!(offer(world, &alone).await.as_deref(), Some(NOT_YET), "the payer alone has to wait for d2");

    assert_eq!(offer(world, &latest).await, None, "after d1");
    world.mine(1).await;
    let (amount, rest) = (sats(12_000), terms.capacity - sats(12_000));
    assert_eq!(unspent(world, &latest, 0).await, output(terms.receiver.chain_payout, amount));
    assert_eq!(unspent(world, &latest, 1).await, output(terms.payer.chain_payout, rest));
    assert!(own.owns(terms.receiver.chain_payout) && payer.owns(terms.payer.chain_payout));
}

/// The payer leaves alone, when the receiver does not take what it has.
async fn payer_exits(world: &World, id: &ChannelId) {
    let own = Stored::read(world, "payer", id);
    let terms = &own.channel.terms;
    let refund = own.channel.signed_unilateral_refund(&own.keypair).unwrap();
    own.unroll(world).await;

    assert_eq!(offer(world, &refund).await.as_deref(), Some(NOT_YET));
    wait_almost(world, terms.d2).await;
    assert_eq!(offer(world, &refund).await.as_deref(), Some(NOT_YET), "a step before d2");
    wait_last_step(world, terms.d2).await;
    let receiver = Stored::read(world, "receiver", id);
    let stranger = receiver.channel.signed_unilateral_refund(&receiver.keypair).unwrap();
    refused_signature(world, "the receiver by the payer's leaf", &stranger).await;

    assert_eq!(offer(world, &refund).await, None, "after d2");
    world.mine(1).await;
    assert_eq!(unspent(world, &refund, 0).await, output(terms.payer.chain_payout, terms.capacity));
    // Too late for the receiver: that is why it watches.
    let late = offer(world, &receiver.exit()).await.expect("the output is spent");
    assert!(late.contains("missingorspent"), "{late}");
}

async fn refused_signature(world: &World, what: &str, tx: &Transaction) {
    let why = offer(world, tx).await.unwrap_or_else(|| panic!("{what} was taken"));
    assert!(why.contains("Schnorr signature"), "{what}: {why}");
}

/// Two channels, the first in a batch with strangers.
async fn in_batches(world: &World, payer: &Wallet, receiver: &Wallet) -> [ChannelId; 2] {
    world.board(payer, 100_000).await;
    world.settle(payer).await;
    let (_, accept) = world.agree(payer, receiver, 30_000).await;
    let first = world.in_a_crowd(payer.open_channel(&accept)).await;
    world.confirm(payer, receiver, &first).await;
    [first, world.open(payer, receiver, 30_000).await]
}

/// Two preconfirmed channels, the first from a coin of a batch with strangers.
async fn off_chain(world: &World, payer: &Wallet, receiver: &Wallet) -> [ChannelId; 2] {
    let settled = async |amount| {
        world.mine(1).await;
        eventually("settled", async || payer.balance().await.is_ok_and(|b| b.settled == sats(amount))).await;
    };
    world.board(payer, 100_000).await;
    world.in_a_crowd(payer.settle(false)).await;
    settled(100_000).await;
    let first = world.open_offchain(payer, receiver, 30_000).await;
    // Only settled coins fund a channel; the change is not settled yet.
    payer.settle(false).await.unwrap();
    settled(70_000).await;
    [first, world.open_offchain(payer, receiver, 30_000).await]
}

async fn exits(unit: Unit, kind: FundingKind) {
    let world = World::start(unit).await;
    let payer = world.wallet("payer").await;
    let receiver = world.wallet("receiver").await;
    let [first, second] = match kind {
        FundingKind::Batch => in_batches(&world, &payer, &receiver).await,
        FundingKind::Offchain => off_chain(&world, &payer, &receiver).await,
    };
    let old = pay_twice(&payer, &receiver, &first);
    pay_twice(&payer, &receiver, &second);
    payer.close().unwrap();
    receiver.close().unwrap();
    world.regtest.stop_operator().await;

    let stored = Stored::read(&world, "receiver", &first);
    assert_eq!(stored.row.record.funding_kind, kind);
    let trees = stored.branch.nodes.iter().filter(|node| !node.cosigners.is_empty()).count();
    assert!(trees >= 2, "three in a batch: the tree has a root and leaves");
    // Off chain: beside the tree a checkpoint and an ark transaction.
    assert_eq!(stored.branch.nodes.len() - trees, if kind == FundingKind::Offchain { 2 } else { 0 });
    receiver_exits(&world, &first, old).await;
    payer_exits(&world, &second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_batch_in_blocks() {
    exits(Unit::Blocks, FundingKind::Batch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_batch_in_seconds() {
    exits(Unit::Seconds, FundingKind::Batch).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconfirmed_in_blocks() {
    exits(Unit::Blocks, FundingKind::Offchain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconfirmed_in_seconds() {
    exits(Unit::Seconds, FundingKind::Offchain).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_on_chain_takes_no_payment_any_more() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 50_000).await;
    pay(&payer, &receiver, &id, 5_000, "one");
    let late = payer.pay(&id, sats(1_000), "two", None).unwrap();

    Stored::read(&world, "payer", &id).unroll(&world).await;
    for wallet in [&payer, &receiver] {
        let report = wallet.watch(&id).await.unwrap();
        assert!(report.unrolled);
        assert_eq!(report.state, ChannelState::Exiting);
        let events = wallet.pending_events(100).unwrap();
        assert!(events.iter().any(|event| event.kind == EventKind::ChannelUnrolled));
    }
    let refused = receiver.receive(&late.message).unwrap_err();
    assert!(matches!(*refused, WalletError::WrongState { state: ChannelState::Exiting, .. }), "{refused}");
    let refused = payer.pay(&id, sats(1_000), "three", None).unwrap_err();
    assert!(matches!(*refused, WalletError::WrongState { state: ChannelState::Exiting, .. }), "{refused}");
    assert_eq!(receiver.channel(&id).unwrap().amount, sats(5_000));
}
