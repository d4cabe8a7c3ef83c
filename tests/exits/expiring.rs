//! Own VTXOs that nobody renews.

use bitcoin::OutPoint;
use bitcoin::hashes::Hash;
use regtest::operator::{Action, Call, Claim, Code, Unit};
use virtual_channels::channel::{ChannelId, Unit as DelayUnit};
use virtual_channels::wallet::{EventKind, ExitInfo, ExitReason, ExitStage, Wallet};

use crate::coins::all_done;
use crate::signed_away::{coin, coin_of};
use crate::stage::{fund, leave, pair, small, told, wait};
use crate::world::{World, pay, refused, sats};

/// Batches of the test operator live so many blocks; half a day and an hour for one level of them is kept free.
const EXPIRY: u32 = 400;
const FREE: u32 = 29 + 3;

pub async fn height(world: &World) -> u32 {
    world.regtest.node().tip().await.unwrap().height
}

/// Runs maintenance up to the last moment for a coin of that block, and at it.
pub async fn at_the_last_moment(world: &World, wallet: &Wallet, settled_at: u32) -> Vec<ExitInfo> {
    at_a_last_moment(world, wallet, settled_at + EXPIRY - FREE).await
}

async fn at_a_last_moment(world: &World, wallet: &Wallet, last: u32) -> Vec<ExitInfo> {
    world.mine(last - 1 - height(world).await).await;
    let report = wallet.maintain().await.unwrap();
    assert_eq!(report.exits, [], "a block before");
    assert!(report.next_run.is_some());
    world.mine(1).await;
    wallet.maintain().await.unwrap().exits
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_stays_dead() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let coin = coin(&world, &payer).await;
    let settled_at = height(&world).await;
    fund(&world, &payer, &[10_000]).await;
    world.regtest.stop_operator().await;
    assert_eq!(payer.maintain().await.unwrap().exits, []);
    let exits = at_the_last_moment(&world, &payer, settled_at).await;
    assert_eq!(
        exits.iter().map(|exit| (exit.outpoint, exit.reason)).collect::<Vec<_>>(),
        [(coin, ExitReason::Deadline)]
    );
    let began = EventKind::ExitBegan { outpoint: coin, reason: ExitReason::Deadline };
    assert_eq!(told(&payer, |kind| *kind == began), 1);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
}

/// A batch that came to nothing, before anything was signed, leaves the coin as it was.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_refused_it_and_stays_dead() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let coin = coin(&world, &payer).await;
    let settled_at = height(&world).await;
    fund(&world, &payer, &[10_000]).await;
    let no = Action::Refuse(Code::InvalidPsbtInput, "no".into());
    world.regtest.operator().await.faults().always(Call::RegisterIntent, no);
    refused(payer.settle(true).await);
    world.regtest.stop_operator().await;
    let exits = at_the_last_moment(&world, &payer, settled_at).await;
    assert_eq!(exits.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [coin]);
}

/// It answers, and asks for more than the coin is worth. Batches live 86016 s; a 14th of that and a 168th for one level are
/// kept free.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_not_renew() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.wallet("payer").await;
    let coin = coin(&world, &payer).await;
    let settled_at = world.regtest.node().tip().await.unwrap().time;
    fund(&world, &payer, &[10_000]).await;
    world.regtest.operator().await.change(|settings| settings.fees.offchain_input = "60000.0".into());
    let last = settled_at + 86_016 - 6_144 - 512;
    wait(&world, (last - 5_000, DelayUnit::Seconds)).await;
    let report = payer.maintain().await.unwrap();
    assert_eq!((report.exits, report.errors.len()), (vec![], 0));
    wait(&world, (last, DelayUnit::Seconds)).await;
    let report = payer.maintain().await.unwrap();
    assert!(report.fee_refused.is_some(), "renewing is too dear");
    assert_eq!(report.exits.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [coin]);
}

/// Nor does it say what there is: what it has not renewed is known here.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_shows_no_coins() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.wallet("payer").await;
    let coin = coin(&world, &payer).await;
    let settled_at = world.regtest.node().tip().await.unwrap().time;
    fund(&world, &payer, &[10_000]).await;
    world.regtest.operator().await.faults().always(Call::GetVtxos, Action::AnswerError);
    let last = settled_at + 86_016 - 6_144 - 512;
    wait(&world, (last - 5_000, DelayUnit::Seconds)).await;
    assert_eq!(payer.maintain().await.unwrap().exits, []);
    wait(&world, (last, DelayUnit::Seconds)).await;
    let report = payer.maintain().await.unwrap();
    assert_eq!(report.exits.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [coin]);
}

/// What is worth less than its exit is let go: an exit never pays less than 10 sats a vbyte where the rate is higher.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_worth_it_expires() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    coin_of(&world, &payer, 3_000).await;
    let settled_at = height(&world).await;
    fund(&world, &payer, &[10_000]).await;
    world.regtest.stop_operator().await;
    world.regtest.set_fee_rate(400);
    assert_eq!(at_the_last_moment(&world, &payer, settled_at).await, []);
    world.regtest.set_fee_rate(1);
    assert_eq!(payer.maintain().await.unwrap().exits.len(), 1, "the fees have come down");
}

/// A chain server that invents a rate costs half of the coin at most, and does not keep it from being left.
#[tokio::test(flavor = "multi_thread")]
async fn an_invented_rate_lets_nothing_expire() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    coin(&world, &payer).await;
    let settled_at = height(&world).await;
    fund(&world, &payer, &[40_000]).await;
    world.regtest.stop_operator().await;
    world.regtest.set_fee_rate(90_000);
    let exits = at_the_last_moment(&world, &payer, settled_at).await;
    assert_eq!(
        exits.iter().map(|exit| (exit.reason, exit.problem.clone())).collect::<Vec<_>>(),
        [(ExitReason::Deadline, None)]
    );
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 1);
    let has = payer.onchain_balance().await.unwrap().confirmed;
    assert!(has > sats(40_000 + 50_000 - 25_000 - 10_000), "{has}");
}

/// The next runs are told no fee rates, or none that can be read.
fn no_estimates(world: &World, answer: &str) {
    for _ in 0..20 {
        world.regtest.esplora_lies_once("/fee-estimates", answer);
    }
}

/// Nobody says what a transaction costs: it is left all the same.
#[tokio::test(flavor = "multi_thread")]
async fn without_fee_estimates() {
    for answer in ["{}", "nobody knows"] {
        let world = World::start(Unit::Blocks).await;
        let payer = world.wallet("payer").await;
        let coin = coin(&world, &payer).await;
        let settled_at = height(&world).await;
        fund(&world, &payer, &[10_000]).await;
        world.regtest.stop_operator().await;
        no_estimates(&world, answer);
        let exits = at_the_last_moment(&world, &payer, settled_at).await;
        assert!(world.regtest.esplora_lies_left() < 20, "it was asked for");
        assert_eq!(exits.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [coin], "{answer}");
        world.mine(1).await;
        assert_eq!(all_done(&world, &payer).await.len(), 1);
    }
}

/// The same with a channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_without_fee_estimates() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[10_000]).await;
    world.regtest.stop_operator().await;
    world.mine(receiver.channel(&id).unwrap().exit_by as u32 - height(&world).await).await;
    no_estimates(&world, "nobody knows");
    let exits = receiver.maintain().await.unwrap().exits;
    assert!(world.regtest.esplora_lies_left() < 20, "it was asked for");
    assert_eq!(
        exits.iter().map(|exit| (exit.channel_id, exit.reason)).collect::<Vec<_>>(),
        [(Some(id), ExitReason::Deadline)]
    );
    world.mine(1).await;
    assert_eq!(leave(&world, &receiver).await.stage, ExitStage::Done);
}

/// A payer's channel that was funded off chain, with its change beside it and the operator gone.
async fn with_change(capacity: u64, paid: u64) -> (World, Wallet, ChannelId, u32) {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    coin(&world, &payer).await;
    let settled_at = height(&world).await;
    let id = world.open_offchain(&payer, &receiver, capacity).await;
    if paid > 0 {
        pay(&payer, &receiver, &id, paid, "all");
    }
    fund(&world, &payer, &[10_000, 10_000]).await;
    world.regtest.stop_operator().await;
    (world, payer, id, settled_at)
}

/// The channel alone is not worth its exit; with the change beside it, it is.
#[tokio::test(flavor = "multi_thread")]
async fn change_beside_a_small_channel() {
    let (world, payer, id, _) = with_change(1_000, 0).await;
    let info = payer.channel(&id).unwrap();
    world.mine(info.payer_exit_by as u32 - height(&world).await).await;
    let exits = payer.maintain().await.unwrap().exits;
    let mut told: Vec<_> = exits.iter().map(|exit| (exit.amount.to_sat(), exit.reason)).collect();
    told.sort_unstable_by_key(|(amount, _)| *amount);
    assert_eq!(told, [(1_000, ExitReason::Deadline), (49_000, ExitReason::Deadline)]);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 2);
}

/// Nothing of the channel is the payer's any more: its change is left by itself.
#[tokio::test(flavor = "multi_thread")]
async fn change_beside_a_channel_that_was_paid_in_full() {
    let (world, payer, id, settled_at) = with_change(20_000, 20_000).await;
    // Checkpoint and ark transaction are two levels more.
    let exits = at_a_last_moment(&world, &payer, settled_at + EXPIRY - FREE - 2 * 3).await;
    let change = OutPoint { vout: 1, ..payer.channel(&id).unwrap().funding };
    let told: Vec<_> = exits.iter().map(|exit| (exit.outpoint, exit.reason, exit.amount)).collect();
    assert_eq!(told, [(change, ExitReason::Deadline, sats(30_000))]);
    world.mine(1).await;
    for _ in 0..20 {
        let exits = payer.advance_exits().await.unwrap();
        match exits.iter().find(|exit| exit.outpoint == change).map(|exit| exit.stage) {
            Some(ExitStage::Done) => return,
            Some(ExitStage::Waiting { until, unit }) => wait(&world, (until, unit)).await,
            _ => world.mine(1).await,
        }
    }
    panic!("20 runs are not enough: {:?}", payer.exits().unwrap());
}

/// It shows one coin, and not the other; or it calls that one spent, and cannot say by what. What it renews it may keep.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_hides_a_coin() {
    let stranger = bitcoin::Txid::from_byte_array([7; 32]);
    let spent = Claim { spent: Some(true), ark_txid: Some(stranger), spent_by: Some(stranger), ..Claim::default() };
    for lie in [Claim { hidden: true, ..Claim::default() }, spent] {
        let world = World::start(Unit::Blocks).await;
        let payer = world.wallet("payer").await;
        let hidden = coin(&world, &payer).await;
        let settled_at = height(&world).await;
        coin_of(&world, &payer, 20_000).await;
        fund(&world, &payer, &[10_000]).await;
        world.regtest.operator().await.faults().claim(hidden, lie);
        let exits = at_the_last_moment(&world, &payer, settled_at).await;
        assert_eq!(exits.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [hidden], "{lie:?}");
        assert_eq!(payer.balance().await.unwrap().settled, sats(20_000));
    }
}

/// It calls one coin spent, and fails to show by what: that may be for a moment, and keeps no other coin in.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_not_show_what_spent_a_coin() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.wallet("payer").await;
    let (hidden, other) = (coin(&world, &payer).await, coin_of(&world, &payer, 20_000).await);
    let settled_at = world.regtest.node().tip().await.unwrap().time;
    fund(&world, &payer, &[10_000, 10_000]).await;
    let stranger = bitcoin::Txid::from_byte_array([7; 32]);
    let spent = Claim { spent: Some(true), spent_by: Some(stranger), ..Claim::default() };
    let operator = world.regtest.operator().await;
    operator.faults().claim(hidden, spent);
    operator.faults().always(Call::GetVirtualTxs, Action::AnswerError);
    operator.change(|settings| settings.fees.offchain_input = "60000.0".into());
    drop(operator);
    let last = settled_at + 86_016 - 6_144 - 512;
    wait(&world, (last, DelayUnit::Seconds)).await;
    let report = payer.maintain().await.unwrap();
    assert_eq!(report.exits.iter().map(|exit| exit.outpoint).collect::<Vec<_>>(), [other], "{report:?}");
    wait(&world, (last + 3_072, DelayUnit::Seconds)).await;
    let exits = payer.maintain().await.unwrap().exits;
    assert!(exits.iter().any(|exit| exit.outpoint == hidden), "there is no more time: {exits:?}");
}

/// What another phone with the same seed has spent is not left.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_phone_has_spent_expires() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let receiver = world.wallet("receiver").await;
    coin(&world, &payer).await;
    let settled_at = height(&world).await;
    fund(&world, &payer, &[10_000]).await;
    let (other, _) = Wallet::restore(world.config("other"), &World::mnemonic("payer"), None).await.unwrap();
    other.send(&receiver.new_ark_address().unwrap(), sats(50_000)).await.unwrap();
    world.mine(settled_at + EXPIRY - FREE - height(&world).await).await;
    assert_eq!(payer.maintain().await.unwrap().exits, []);
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::SeedUsedElsewhere { .. })), 1);
}
