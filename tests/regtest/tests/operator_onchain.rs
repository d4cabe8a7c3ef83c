//! What the operator does on chain: it answers VTXOs that come on chain though they are spent, and takes back what expired.
//! Every transaction is taken by bitcoind.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod operator_support;

use std::time::Duration;

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, Transaction, Txid, Witness};
use operator_support::{Coin, Party, code};
use regtest::Node;
use regtest::operator::{Knob, Operator, Settings, Unit, psbt, wire};

const UNITS: [Unit; 2] = [Unit::Seconds, Unit::Blocks];

struct Scene {
    node: Node,
    operator: Operator,
    alice: Party,
    coin: Coin,
}

async fn scene(unit: Unit) -> Scene {
    let node = Node::start().await.unwrap();
    let settings = Settings { session: Duration::from_secs(3), auto_mine: true, ..Settings::for_unit(unit) };
    let operator = Operator::start(node.clone(), settings).await.unwrap();
    let mut alice = Party::new(&operator).await;
    let boarding = alice.board(&node, 100_000).await;
    alice.settle(&[boarding], vec![alice.vtxo_output(100_000)]).await.unwrap();
    let script = alice.vtxo_tree().script_pubkey();
    let found = alice.vtxos(&script).await[0].outpoint.clone().unwrap();
    let coin = alice.coin(OutPoint::new(found.txid.parse().unwrap(), found.vout), 100_000);
    Scene { node, operator, alice, coin }
}

impl Scene {
    /// The transaction that makes the coin: the only node of its tree.
    async fn branch(&mut self) -> Transaction {
        let txids = vec![self.coin.outpoint.txid.to_string()];
        let request = wire::GetVirtualTxsRequest { txids, ..Default::default() };
        let found = self.alice.indexer.get_virtual_txs(request).await.unwrap().into_inner().txs;
        let packet = psbt::decode(&found[0]).unwrap();
        let mut tx = packet.unsigned_tx.clone();
        tx.input[0].witness = Witness::from_slice(&[packet.inputs[0].tap_key_sig.unwrap().to_vec()]);
        tx
    }

    async fn unroll(&mut self) {
        let tx = self.branch().await;
        self.send(&tx).await;
        self.node.generate(1).await.unwrap();
    }

    async fn send(&self, tx: &Transaction) {
        let answer = self.node.cpfp(tx, Amount::from_sat(5_000)).await.unwrap();
        assert_eq!(answer["package_msg"], "success", "{answer}");
    }

    /// Spends the coin off chain, in full; the ark transaction's id.
    async fn spend(&mut self) -> wire::SubmitTxResponse {
        let outputs = vec![self.alice.vtxo_output(100_000)];
        let (ark, checkpoints) = self.alice.offchain(std::slice::from_ref(&self.coin), outputs);
        self.alice.submit(&ark, &checkpoints).await.unwrap()
    }

    fn vtxo(&self, place: OutPoint) -> wire::IndexerVtxo {
        self.operator.vtxo(&place).unwrap()
    }

    /// The transaction of chain or mempool that spends the output, once there is one.
    async fn spender(&self, place: OutPoint) -> Transaction {
        for _ in 0..150 {
            if let Some(tx) = self.look(place).await {
                return tx;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nothing has spent {place}");
    }

    async fn look(&self, place: OutPoint) -> Option<Transaction> {
        let listed = self.node.call("getrawmempool", Vec::new()).await.unwrap();
        for txid in listed.as_array().unwrap() {
            let txid: Txid = txid.as_str().unwrap().parse().unwrap();
            let Some((tx, _)) = self.node.transaction(&txid).await.unwrap() else { continue };
            if tx.input.iter().any(|i| i.previous_output == place) {
                return Some(tx);
            }
        }
        None
    }

    /// Lets a delay of the settings pass.
    async fn wait(&self, delay: u32) {
        match delay < 512 {
            true => self.node.generate(delay).await.unwrap(),
            false => self.node.generate_after(12, u64::from(delay) + 600).await.unwrap(),
        };
    }

    async fn eventually(&self, what: &str, condition: impl Fn() -> bool) {
        for _ in 0..150 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("waited 15 s for {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_vtxo_on_chain_is_forfeited() {
    let mut scene = scene(Unit::Seconds).await;
    let coin = scene.coin.clone();
    let outputs = vec![scene.alice.vtxo_output(100_000)];
    scene.alice.settle(std::slice::from_ref(&coin), outputs).await.unwrap();
    scene.unroll().await;
    // The connector goes first and has to be confirmed.
    let settled = scene.vtxo(coin.outpoint);
    let commitment: Txid = settled.settled_by.parse().unwrap();
    scene.spender(OutPoint::new(commitment, 1)).await;
    scene.node.generate(1).await.unwrap();
    let forfeit = scene.spender(coin.outpoint).await;
    assert_eq!(forfeit.compute_txid().to_string(), settled.spent_by);
    assert_eq!(forfeit.output[0].script_pubkey, scene.operator.settings().forfeit_address().script_pubkey());
    assert_eq!(forfeit.output[0].value, Amount::from_sat(100_330));
    scene.node.generate(1).await.unwrap();
    assert_eq!(scene.node.utxo(&coin.outpoint).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtxo_spent_off_chain_is_answered_with_its_checkpoint_which_is_swept() {
    for unit in UNITS {
        let mut scene = scene(unit).await;
        let answer = scene.spend().await;
        scene.alice.finalize(&answer).await.unwrap();
        let made = OutPoint::new(answer.ark_txid.parse().unwrap(), 0);
        scene.unroll().await;
        let checkpoint = scene.spender(scene.coin.outpoint).await;
        scene.node.generate(1).await.unwrap();
        assert!(!scene.vtxo(made).is_swept);
        scene.wait(scene.operator.settings().checkpoint_delay).await;
        scene.spender(OutPoint::new(checkpoint.compute_txid(), 0)).await;
        scene.eventually("the books", || scene.vtxo(made).is_swept).await;
        scene.node.generate(1).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_not_swept_once_its_ark_transaction_is_on_chain() {
    let mut scene = scene(Unit::Blocks).await;
    let answer = scene.spend().await;
    scene.alice.finalize(&answer).await.unwrap();
    scene.unroll().await;
    scene.spender(scene.coin.outpoint).await;
    scene.node.generate(1).await.unwrap();
    let packet = psbt::decode(&answer.final_ark_tx).unwrap();
    let mut ark = packet.unsigned_tx.clone();
    ark.input[0].witness = psbt::leaf_witness(&packet.inputs[0], &[]).unwrap();
    scene.send(&ark).await;
    scene.node.generate(1).await.unwrap();
    scene.wait(20).await;
    let made = OutPoint::new(ark.compute_txid(), 0);
    scene.eventually("the VTXO on chain", || scene.vtxo(made).is_unrolled).await;
    assert!(!scene.vtxo(made).is_swept);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_batch_is_swept_on_chain() {
    for unit in UNITS {
        let scene = scene(unit).await;
        let commitment: Txid = scene.vtxo(scene.coin.outpoint).commitment_txids[0].parse().unwrap();
        scene.wait(scene.operator.settings().batch_expiry).await;
        let sweep = scene.spender(OutPoint::new(commitment, 0)).await;
        scene.eventually("the books", || scene.vtxo(scene.coin.outpoint).is_swept).await;
        scene.node.generate(1).await.unwrap();
        assert!(scene.node.utxo(&OutPoint::new(sweep.compute_txid(), 0)).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_unrolled_in_time_is_not_swept() {
    let mut scene = scene(Unit::Blocks).await;
    scene.unroll().await;
    scene.eventually("the VTXO on chain", || scene.vtxo(scene.coin.outpoint).is_unrolled).await;
    // A later batch is: the operator has looked at this one by then, too.
    let boarding = scene.alice.board(&scene.node, 50_000).await;
    scene.alice.settle(&[boarding], vec![scene.alice.vtxo_output(50_000)]).await.unwrap();
    let script = scene.alice.vtxo_tree().script_pubkey();
    let shown = scene.alice.vtxos(&script).await.into_iter().find(|v| v.amount == 50_000).unwrap().outpoint.unwrap();
    let later = OutPoint::new(shown.txid.parse().unwrap(), shown.vout);
    scene.wait(scene.operator.settings().batch_expiry + 5).await;
    scene.eventually("the later batch", || scene.vtxo(later).is_swept).await;
    assert!(scene.node.utxo(&scene.coin.outpoint).await.unwrap().is_some());
    assert!(!scene.vtxo(scene.coin.outpoint).is_swept);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_fails_to_act() {
    let mut scene = scene(Unit::Blocks).await;
    for knob in [Knob::NoCheckpoint, Knob::NoForfeit, Knob::NoSweep] {
        scene.operator.faults().turn(knob);
    }
    let answer = scene.spend().await;
    scene.alice.finalize(&answer).await.unwrap();
    scene.unroll().await;
    scene.eventually("the VTXO on chain", || scene.vtxo(scene.coin.outpoint).is_unrolled).await;
    scene.wait(scene.operator.settings().exit_delay).await;
    // The owner's leaf takes what is spent in the books.
    assert!(scene.node.utxo(&scene.coin.outpoint).await.unwrap().is_some());
    scene.wait(scene.operator.settings().batch_expiry).await;
    assert!(!scene.vtxo(scene.coin.outpoint).is_swept);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_has_spent_it_and_a_pending_transaction_is_spoilt() {
    let mut scene = scene(Unit::Seconds).await;
    let answer = scene.spend().await;
    let ark_txid: Txid = answer.ark_txid.parse().unwrap();
    assert!(scene.operator.poison(&ark_txid) && !scene.operator.poison(&ark_txid));
    assert_eq!(code(&scene.alice.finalize(&answer).await.unwrap_err()), 0, "dead for good");

    let stranger = Txid::from_byte_array([7; 32]);
    assert!(scene.operator.mark_spent(&scene.coin.outpoint, stranger, stranger));
    let shown = scene.alice.vtxos(&scene.alice.vtxo_tree().script_pubkey()).await.remove(0);
    assert_eq!((shown.is_spent, shown.ark_txid), (true, stranger.to_string()));
    assert!(!scene.operator.mark_spent(&OutPoint::new(stranger, 0), stranger, stranger));
}
