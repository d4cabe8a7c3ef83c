//! A thousand channels, in few batches and in many, and many that are due at once: one run asks a bounded number of
//! questions.

use std::time::Instant;

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use regtest::operator::{Call, Unit};
use virtual_channels::channel::branch::{Branch, BranchNode};
use virtual_channels::channel::{Channel, ChannelId, ChannelTerms, ChannelUpdate, Network};
use virtual_channels::store::{ChannelRecord, ChannelRow, ChannelState, Role, Store, StoreError};
use virtual_channels::wallet::{KeyUse, Keys};

use crate::world::{World, eventually, pay};

/// The channels, and the batches they are in.
const CHANNELS: u32 = 1_000;
const BATCHES: usize = 4;

/// As many channels in so many batches.
const MANY_BATCHES: usize = 100;

/// Channels that are due together, and what closing one may ask of the operator: the submission, its end, and a look before and
/// after.
const DUE: usize = 8;
const CALLS_A_CLOSE: u64 = 4;

/// All that a run may ask for that many channels.
const CHAIN_CALLS: u64 = 40;
const OPERATOR_CALLS: u64 = 40;

/// A batch with many leaves below the real output of a real commitment transaction.
struct Batch {
    model: ChannelRow,
    root: BranchNode,
}

impl Batch {
    /// Of a channel that was opened for real: its commitment transaction is on chain, and its output there unspent.
    fn of(model: ChannelRow, branch: &Branch, leaves: usize) -> Self {
        let real = branch.nodes.first().unwrap();
        let output = (0..leaves).map(|n| TxOut { value: Amount::from_sat(n as u64), script_pubkey: ScriptBuf::new() });
        let tx = Transaction { output: output.collect(), ..real.tx.clone() };
        Self { model, root: BranchNode { tx, cosigners: real.cosigners.clone() } }
    }

    /// A channel with keys of its own in one of the leaves.
    fn channel(&self, keys: &Keys, index: u32, leaf: u32) -> (ChannelRecord, Branch) {
        let model = &self.model.record;
        let terms = ChannelTerms::from_canonical(&model.terms).unwrap();
        let role = if index.is_multiple_of(2) { Role::Receiver } else { Role::Payer };
        let key = |key_use| keys.keypair(key_use, index).unwrap().xonly();
        let mut terms = terms;
        match role {
            Role::Receiver => terms.receiver.key = key(KeyUse::Receiver),
            Role::Payer => terms.payer.key = key(KeyUse::Payer),
        }
        let output = Channel::new(terms, OutPoint::null()).unwrap().prevout();
        let input = TxIn {
            previous_output: OutPoint::new(self.root.tx.compute_txid(), leaf),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let tx =
            Transaction { version: Version(3), lock_time: LockTime::ZERO, input: vec![input], output: vec![output] };
        let funding = OutPoint::new(tx.compute_txid(), 0);
        let id = Channel::new(terms, funding).unwrap().id;
        let record = ChannelRecord { id, role, terms: terms.canonical(), funding, key_index: index, ..model.clone() };
        let leaf = BranchNode { tx, cosigners: self.root.cosigners.clone() };
        (record, Branch { nodes: vec![self.root.clone(), leaf] })
    }
}

fn fill(store: &Store, keys: &Keys, batches: &[Batch]) -> Result<Vec<ChannelId>, StoreError> {
    store.write(|db| {
        let mut ids = Vec::new();
        for index in 0..CHANNELS {
            let batch = &batches[index as usize % batches.len()];
            let (record, branch) = batch.channel(keys, 10_000 + index, index / batches.len() as u32);
            db.put_branch(&record.funding, &branch)?;
            db.insert_channel(&record, ChannelState::Open, batch.model.authorisation.as_deref())?;
            let update = batch.model.hot.update.unwrap();
            let update = ChannelUpdate { channel_id: record.id, ..update };
            db.put_update(&record.id, &update, update.amount, None, None)?;
            ids.push(record.id);
        }
        Ok(ids)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_channels_take_few_calls() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let mut real = Vec::new();
    for batch in 1..=BATCHES {
        let id = world.open(&payer, &receiver, 10_000).await;
        pay(&payer, &receiver, &id, 2_000, &batch.to_string());
        real.push(id);
        // The change of the opening is what the next one is funded with.
        eventually("settled change", async || {
            payer.balance().await.is_ok_and(|b| b.settled.to_sat() == 100_000 - 10_000 * batch as u64)
        })
        .await;
    }
    receiver.close().unwrap();

    let store = Store::open(&world.path("receiver")).unwrap();
    let leaves = CHANNELS as usize / BATCHES;
    let batch = |id: &ChannelId| {
        let row = store.read(|db| db.channel(id)).unwrap().unwrap();
        let branch = store.read(|db| db.branch(&row.record.funding)).unwrap().unwrap();
        Batch::of(row, &branch, leaves)
    };
    let batches: Vec<Batch> = real.iter().map(batch).collect();
    let keys = Keys::from_mnemonic(&World::mnemonic("receiver"), Network::Regtest).unwrap();
    let ids = fill(&store, &keys, &batches).unwrap();
    store.close().unwrap();

    let receiver = world.wallet("receiver").await;
    for run in ["first", "second"] {
        let calls = [Call::GetInfo, Call::GetVtxos, Call::GetVtxoChain, Call::GetVirtualTxs, Call::SubmitTx];
        let asked = async || {
            let operator = world.regtest.operator().await;
            calls.iter().map(|call| operator.faults().seen(*call)).sum::<u64>()
        };
        let (chain, operator, started) = (world.regtest.esplora_requests(), asked().await, Instant::now());
        let report = receiver.maintain().await.unwrap();
        let took = started.elapsed();
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        assert!(report.changed.is_empty() && report.next_run.is_some());
        let (chain, operator) = (world.regtest.esplora_requests() - chain, asked().await - operator);
        println!("{run} run, 1000 channels: {chain} chain calls, {operator} operator calls, {took:?}");
        assert!(chain > BATCHES as u64 && chain <= CHAIN_CALLS, "{chain} chain calls");
        assert!(operator > u64::from(CHANNELS / 100) && operator <= OPERATOR_CALLS, "{operator} operator calls");
    }
    // It was a look at every one of them.
    let seen = receiver.channels().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    for id in &ids {
        let info = seen.iter().find(|info| info.id == *id).unwrap();
        assert_eq!(info.state, ChannelState::Open);
        assert!(info.role == Role::Payer || info.takes_money_until.unwrap() > now);
    }
}

/// What was asked of the operator so far.
async fn operator_calls(world: &World) -> u64 {
    let calls = [
        Call::GetInfo,
        Call::GetVtxos,
        Call::GetVtxoChain,
        Call::GetVirtualTxs,
        Call::GetPendingTx,
        Call::SubmitTx,
        Call::FinalizeTx,
        Call::DeleteIntent,
    ];
    let operator = world.regtest.operator().await;
    calls.iter().map(|call| operator.faults().seen(*call)).sum()
}

/// The same channels in a hundred batches: some calls more for each batch, none for each channel.
#[tokio::test(flavor = "multi_thread")]
async fn many_batches_take_some_calls_each() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 10_000).await;
    pay(&payer, &receiver, &id, 2_000, "one");
    receiver.close().unwrap();
    let store = Store::open(&world.path("receiver")).unwrap();
    let row = store.read(|db| db.channel(&id)).unwrap().unwrap();
    let branch = store.read(|db| db.branch(&row.record.funding)).unwrap().unwrap();
    // A transaction with an output for each batch stands for a commitment transaction of its own.
    let output =
        world.regtest.node().transaction(&row.record.commitments[0]).await.unwrap().unwrap().0.output[0].clone();
    let mut batches = Vec::new();
    for _ in 0..MANY_BATCHES {
        let commitment = world.regtest.node().pay(std::slice::from_ref(&output)).await.unwrap();
        let vout = commitment.output.iter().position(|found| *found == output).unwrap() as u32;
        let mut row = row.clone();
        row.record.commitments = vec![commitment.compute_txid()];
        let mut batch = Batch::of(row, &branch, CHANNELS as usize / MANY_BATCHES);
        batch.root.tx.input[0].previous_output = OutPoint::new(commitment.compute_txid(), vout);
        batches.push(batch);
    }
    world.mine(1).await;
    let keys = Keys::from_mnemonic(&World::mnemonic("receiver"), Network::Regtest).unwrap();
    fill(&store, &keys, &batches).unwrap();
    store.close().unwrap();

    let receiver = world.wallet("receiver").await;
    for run in ["first", "second"] {
        let (chain, operator, started) =
            (world.regtest.esplora_requests(), operator_calls(&world).await, Instant::now());
        let report = receiver.maintain().await.unwrap();
        let took = started.elapsed();
        assert!(report.errors.is_empty(), "{:?}", report.errors);
        let (chain, operator) = (world.regtest.esplora_requests() - chain, operator_calls(&world).await - operator);
        println!(
            "{run} run, 1000 channels in {MANY_BATCHES} batches: {chain} chain calls, {operator} operator calls, {took:?}"
        );
        assert!(chain > MANY_BATCHES as u64 && chain <= CHAIN_CALLS + 3 * MANY_BATCHES as u64, "{chain} chain calls");
        assert!(operator <= OPERATOR_CALLS, "{operator} operator calls");
    }
}

/// Channels that are to be closed at once: each takes its own calls, and no more than that.
#[tokio::test(flavor = "multi_thread")]
async fn many_due_channels_take_some_calls_each() {
    let world = World::start(Unit::Blocks).await;
    let receiver = world.wallet("receiver").await;
    let mut payers = Vec::new();
    for number in 0..DUE {
        let payer = world.wallet(&format!("payer {number}")).await;
        world.board(&payer, 20_000).await;
        payers.push(payer);
    }
    world.regtest.operator().await.change(|settings| settings.min_participants = DUE);
    let settling = payers.iter().map(|payer| payer.settle(false));
    for settled in futures_util::future::join_all(settling).await {
        settled.unwrap();
    }
    world.regtest.operator().await.change(|settings| settings.min_participants = 1);
    world.mine(1).await;
    let mut ids = Vec::new();
    for payer in &payers {
        eventually("settled", async || payer.balance().await.is_ok_and(|balance| balance.settled.to_sat() == 20_000))
            .await;
        let id = world.open_offchain(payer, &receiver, 10_000).await;
        pay(payer, &receiver, &id, 2_000, "one");
        ids.push(id);
    }
    let close_by = ids.iter().map(|id| receiver.channel(id).unwrap().close_by).max().unwrap();
    let tip = u64::from(world.regtest.node().tip().await.unwrap().height);
    world.mine((close_by - tip) as u32).await;
    // Settling what came of them is another story.
    world.regtest.operator().await.change(|settings| settings.fees.offchain_input = "2000.0".into());
    let (chain, operator, started) = (world.regtest.esplora_requests(), operator_calls(&world).await, Instant::now());
    let report = receiver.maintain().await.unwrap();
    let took = started.elapsed();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.changed.len(), DUE);
    let (chain, operator) = (world.regtest.esplora_requests() - chain, operator_calls(&world).await - operator);
    println!("{DUE} channels closed in one run: {chain} chain calls, {operator} operator calls, {took:?}");
    assert!(
        operator >= 2 * DUE as u64 && operator <= OPERATOR_CALLS / 2 + CALLS_A_CLOSE * DUE as u64,
        "{operator} operator calls"
    );
    assert!(chain <= CHAIN_CALLS, "{chain} chain calls");
}
