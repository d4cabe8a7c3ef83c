//! Coins that were signed away for nothing: in a batch that never came, or only in the operator's books.

use std::time::Duration;

use bitcoin::{OutPoint, TxIn, Txid};
use regtest::operator::{Claim, Knob, Phase, Unit};
use virtual_channels::wallet::{EventKind, ExitProblem, ExitStage, Wallet};

use crate::coins::all_done;
use crate::stage::{fund, leave, told};
use crate::world::{World, eventually, sats};

/// The one coin of a wallet.
pub async fn coin(world: &World, wallet: &Wallet) -> OutPoint {
    coin_of(world, wallet, 50_000).await
}

/// A coin that was signed away in a batch which was never published, and that batch; the operator is gone.
pub async fn withheld(world: &World, wallet: &Wallet) -> (OutPoint, Txid) {
    let old = coin(world, wallet).await;
    fund(world, wallet, &[10_000, 10_000]).await;
    world.regtest.operator().await.faults().turn(Knob::HoldCommitment);
    let settled = wallet.settle(true).await.unwrap();
    world.regtest.stop_operator().await;
    (old, settled.commitment_txid)
}

/// One of that size.
pub async fn coin_of(world: &World, wallet: &Wallet, amount: u64) -> OutPoint {
    coin_and_batch(world, wallet, amount).await.0
}

/// The same, and the commitment transaction of its batch.
async fn coin_and_batch(world: &World, wallet: &Wallet, amount: u64) -> (OutPoint, Txid) {
    assert_eq!(wallet.maintain().await.unwrap().errors.len(), 0);
    let all = wallet.balance().await.unwrap().settled + sats(amount);
    world.board(wallet, amount).await;
    let settled = wallet.settle(false).await.unwrap();
    world.mine(1).await;
    eventually("settled", async || wallet.balance().await.is_ok_and(|b| b.settled == all)).await;
    (settled.outpoint.unwrap(), settled.commitment_txid)
}

/// All is signed, the operator calls the batch failed, and nothing was broadcast: forfeits without a batch take nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_failed_with_everything_signed() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let old = coin(&world, &payer).await;
    fund(&world, &payer, &[10_000]).await;
    world.regtest.operator().await.faults().turn(Knob::FailBatch(Phase::Broadcast));
    payer.settle(true).await.unwrap_err();
    world.regtest.stop_operator().await;

    let backup = payer.backup().unwrap();
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [old], "nor is what never came left");
    payer.close().unwrap();

    // A lost phone leaves with the same.
    let config = world.config("another phone");
    let (payer, _) = Wallet::restore(config, &World::mnemonic("payer"), Some(&backup)).await.unwrap();
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [old]);
    world.mine(1).await;
    let done = all_done(&world, &payer).await;
    assert!(done.len() == 1 && done[0].amount > sats(49_000), "{done:?}");
    assert_eq!(payer.exit_coins().await.unwrap(), [], "what has been left is not left again");
}

/// The operator goes away when all is signed, and nobody knows what becomes of the batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_nobody_decides() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let old = coin(&world, &payer).await;
    fund(&world, &payer, &[10_000]).await;
    world.regtest.operator().await.faults().turn(Knob::Stall(Phase::Broadcast));
    let settling = tokio::spawn({
        let payer = payer.clone();
        async move { payer.settle(true).await }
    });
    eventually("all is signed", async || world.regtest.operator().await.faults().held() > 0).await;
    world.regtest.stop_operator().await;
    settling.await.unwrap().unwrap_err();
    payer.close().unwrap();
    let payer = world.wallet("payer").await;

    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [old]);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
    assert_eq!(payer.resume().await.unwrap().0, 0, "the settling is over");
}

/// The batch is published after all, in the middle of the old coin's exit.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_late() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let old = coin(&world, &payer).await;
    fund(&world, &payer, &[10_000, 10_000]).await;
    world.regtest.operator().await.faults().turn(Knob::HoldCommitment);
    let settled = payer.settle(true).await.unwrap();
    let commitment = world.regtest.operator().await.commitment(&settled.commitment_txid).unwrap();
    world.regtest.stop_operator().await;

    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [old], "the books are only words");
    world.regtest.node().broadcast(&commitment).await.unwrap();
    world.mine(1).await;
    let exits = payer.advance_exits().await.unwrap();
    let conflict = ExitProblem::Conflict { outpoint: old, spent_by: settled.commitment_txid };
    assert_eq!(exits[0].problem, Some(conflict));
    let exits = payer.advance_exits().await.unwrap();
    assert_eq!(exits.last().map(|exit| exit.outpoint), settled.outpoint, "the new coin leaves");

    world.mine(5).await;
    let exits = payer.advance_exits().await.unwrap();
    assert_ne!(exits[0].stage, ExitStage::Lost, "one look ends nothing");
    world.mine(1).await;
    let exits = payer.advance_exits().await.unwrap();
    assert_eq!(exits[0].stage, ExitStage::Lost, "and the old one is not left any more");
    world.mine(1).await;
    assert_eq!(leave(&world, &payer).await.outpoint, settled.outpoint.unwrap());
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::ExitClaimed { .. })), 1);
}

/// A word in the operator's books takes nothing either.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_the_books_call_spent() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let coin = coin(&world, &payer).await;
    fund(&world, &payer, &[10_000]).await;
    let lie = Claim { spent: Some(true), spent_by: Some(coin.txid), ark_txid: Some(coin.txid), ..Claim::default() };
    world.regtest.operator().await.faults().claim(coin, lie);
    assert_eq!(payer.balance().await.unwrap().total(), sats(0));
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::SeedUsedElsewhere { .. })), 1);
    payer.maintain().await.unwrap();
    tokio::time::timeout(Duration::from_secs(60), payer.idle()).await.unwrap();
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [coin]);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
}

/// What another phone with the same seed has spent is not left: the operator shows the signature.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_another_phone_has_spent() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let receiver = world.wallet("receiver").await;
    let coin = coin(&world, &payer).await;
    fund(&world, &payer, &[10_000]).await;
    let (other, _) = Wallet::restore(world.config("other"), &World::mnemonic("payer"), None).await.unwrap();
    other.send(&receiver.new_ark_address().unwrap(), sats(20_000)).await.unwrap();
    payer.balance().await.unwrap();
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::SeedUsedElsewhere { .. })), 1);
    payer.maintain().await.unwrap();
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    assert!(begun.iter().all(|exit| exit.outpoint != coin), "{begun:?}");
}

/// An intent's proof carries the signature of the coin's key, and spends nothing: neither for good, nor in a batch that has
/// long been on chain.
#[tokio::test(flavor = "multi_thread")]
async fn an_intent_is_no_spend() {
    for in_a_batch in [false, true] {
        let world = World::start(Unit::Blocks).await;
        let payer = world.wallet("payer").await;
        let (coin, old) = coin_and_batch(&world, &payer, 50_000).await;
        fund(&world, &payer, &[10_000]).await;
        let (other, _) = Wallet::restore(world.config("other"), &World::mnemonic("payer"), None).await.unwrap();
        let operator = world.regtest.operator().await;
        operator.faults().turn(Knob::FailBatch(Phase::Started));
        let before = operator.faults().proofs().len();
        let settling = tokio::spawn(async move { other.settle(true).await });
        eventually("a proof is there", async || operator.faults().proofs().len() > before).await;
        settling.abort();
        let proofs = operator.faults().proofs();
        let spends = |input: &TxIn| input.previous_output == coin;
        let proof = proofs.iter().map(|proof| &proof.unsigned_tx).rfind(|tx| tx.input.iter().any(spends)).unwrap();
        let lie = Claim {
            spent: Some(true),
            spent_by: Some(proof.compute_txid()),
            settled_by: in_a_batch.then_some(old),
            ..Claim::default()
        };
        operator.faults().claim(coin, lie);
        drop(operator);
        assert_eq!(payer.balance().await.unwrap().total(), sats(0));
        payer.maintain().await.unwrap();
        tokio::time::timeout(Duration::from_secs(60), payer.idle()).await.unwrap();
        world.mine(6).await;
        world.regtest.stop_operator().await;
        payer.maintain().await.unwrap();
        let begun = payer.exit_coins().await.unwrap();
        assert_eq!(begun.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [coin], "{in_a_batch}");
        world.mine(1).await;
        assert_eq!(all_done(&world, &payer).await.len(), 1);
    }
}

/// What another phone has put into a batch is not left once that batch is on chain: the forfeit hangs on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_another_phone_has_settled() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let coin = coin(&world, &payer).await;
    fund(&world, &payer, &[10_000]).await;
    let (other, _) = Wallet::restore(world.config("other"), &World::mnemonic("payer"), None).await.unwrap();
    other.settle(true).await.unwrap();
    payer.balance().await.unwrap();
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::SeedUsedElsewhere { .. })), 1);
    payer.maintain().await.unwrap();
    world.mine(1).await;
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    assert!(begun.iter().all(|exit| exit.outpoint != coin), "{begun:?}");
}
