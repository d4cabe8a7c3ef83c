//! What an exit pays with, and what when it is not enough.

use bitcoin::{Amount, OutPoint, Txid};
use regtest::operator::Unit;
use virtual_channels::channel::ChannelId;
use virtual_channels::channel::exit::anchor_of;
use virtual_channels::store::Store;
use virtual_channels::wallet::{EventKind, ExitProblem, ExitStage, Wallet};

use crate::coins::all_done;
use crate::signed_away::coin_of;
use crate::stage::{advance, finish, fund, in_a_batch, pair, small, told, unroll, wait};
use crate::world::{World, pay, sats};

/// The anchor of the first transaction of the channel's branch.
fn first_anchor(world: &World, name: &str, wallet: &Wallet, id: &ChannelId) -> OutPoint {
    let funding = wallet.channel(id).unwrap().funding;
    let branch = Store::open(&world.path(name)).unwrap().read(|db| db.branch(&funding)).unwrap().unwrap();
    anchor_of(&branch.nodes[0].tx).unwrap()
}

/// What spends an output in the mempool, and the fee it pays.
async fn in_mempool(world: &World, spent: OutPoint) -> Option<(Txid, Amount)> {
    let node = world.regtest.node();
    let all = node.call("getrawmempool", vec![serde_json::json!(true)]).await.unwrap();
    for (txid, entry) in all.as_object().unwrap() {
        let txid: Txid = txid.parse().unwrap();
        let (tx, _) = node.transaction(&txid).await.unwrap().unwrap();
        if tx.input.iter().any(|input| input.previous_output == spent) {
            return Some((txid, Amount::from_btc(entry["fees"]["base"].as_f64().unwrap()).unwrap()));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn no_coins_is_said_once_with_the_amount() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    world.regtest.stop_operator().await;
    let quote = receiver.exit_quote(&id, None).await.unwrap();
    assert_eq!((quote.has, quote.missing), (sats(0), quote.fee + sats(330)));

    let info = receiver.exit_channel(&id).await.unwrap();
    let address = receiver.onchain_address().unwrap();
    let Some(ExitProblem::NeedsFees { missing, address: shown }) = info.problem else { panic!("{:?}", info.problem) };
    assert_eq!((&shown, &quote.address), (&address, &address));
    assert!(missing > sats(330) && missing <= quote.missing, "{missing}, and the quote says {}", quote.missing);
    advance(&receiver).await;
    let event = EventKind::ExitNeedsFees { outpoint: info.outpoint, missing, address };
    assert_eq!(told(&receiver, |kind| *kind == event), 1, "once for one shortage");

    // Exactly what was asked for is enough for the whole way.
    fund(&world, &receiver, &[quote.missing.to_sat()]).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_replaced_when_the_rate_rises() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[50_000]).await;
    world.regtest.stop_operator().await;
    let anchor = first_anchor(&world, "receiver", &receiver, &id);
    receiver.exit_channel(&id).await.unwrap();
    let (first, paid) = in_mempool(&world, anchor).await.expect("a child is there");
    assert!(advance(&receiver).await.problem.is_none());
    assert_eq!(in_mempool(&world, anchor).await, Some((first, paid)), "nothing to improve");

    for rate in [5, 12] {
        world.regtest.set_fee_rate(rate);
        let (before, _) = in_mempool(&world, anchor).await.unwrap();
        assert_eq!(advance(&receiver).await.problem, None);
        let (child, fee) = in_mempool(&world, anchor).await.unwrap();
        assert!(child != before && fee >= paid * u64::from(rate), "{rate}: {fee}");
    }
    // And the claim, which has nothing but its own output to pay from.
    world.regtest.set_fee_rate(1);
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    let claim = advance(&receiver).await.claim.unwrap();
    let anchor = OutPoint::new(claim, 2);
    let (_, paid) = in_mempool(&world, anchor).await.unwrap();
    world.regtest.set_fee_rate(5);
    assert_eq!(advance(&receiver).await.problem, None);
    assert!(in_mempool(&world, anchor).await.unwrap().1 > paid * 4);
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rival_on_the_anchor_is_outbid_when_it_pays_too_little() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[50_000]).await;
    world.regtest.stop_operator().await;
    let funding = receiver.channel(&id).unwrap().funding;
    let anchor = first_anchor(&world, "receiver", &receiver, &id);
    let store = Store::open(&world.path("receiver")).unwrap();
    let branch = store.read(|db| db.branch(&funding)).unwrap().unwrap();
    store.close().unwrap();
    // Anybody may broadcast the branch, with a child of theirs, which lives as long as it pays enough.
    let answer = world.regtest.node().cpfp(&branch.nodes[0].tx, sats(600)).await.unwrap();
    assert_eq!(answer["package_msg"], "success", "{answer}");
    let (rival, _) = in_mempool(&world, anchor).await.unwrap();
    assert_eq!(receiver.exit_channel(&id).await.unwrap().problem, None);
    assert_eq!(in_mempool(&world, anchor).await.unwrap().0, rival, "it is enough for today");

    world.regtest.set_fee_rate(10);
    assert_eq!(advance(&receiver).await.problem, None);
    let (own, fee) = in_mempool(&world, anchor).await.unwrap();
    assert!(own != rival && fee > sats(600));
    world.regtest.set_fee_rate(1);
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
}

/// Somebody else's child pays for the first level, after an own one had gone out: the only coin is there for the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_was_outbid_holds_no_coin_back() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = in_a_batch(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    let first = first_anchor(&world, "receiver", &receiver, &id);
    receiver.exit_channel(&id).await.unwrap();
    let (own, _) = in_mempool(&world, first).await.expect("its own child");
    // The on-chain wallet has seen it, too, and would wait two minutes for it to be shown again.
    receiver.sync_onchain().await.unwrap();
    let (parent, _) = world.regtest.node().transaction(&first.txid).await.unwrap().unwrap();
    let answer = world.regtest.node().cpfp(&parent, sats(2_000)).await.unwrap();
    assert_eq!(answer["package_msg"], "success", "{answer}");
    assert_ne!(in_mempool(&world, first).await.unwrap().0, own);
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
}

/// What was paid is hardly more than dust: the claim cannot pay for itself, and a fee coin does.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_hardly_more_than_dust() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    world.board(&payer, 50_000).await;
    world.settle(&payer).await;
    let id = world.open(&payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 400, "crumbs");
    world.regtest.stop_operator().await;
    let quote = receiver.exit_quote(&id, None).await.unwrap();
    assert_eq!((quote.claimed, quote.net), (sats(400), sats(0)));
    assert!(quote.worth_from > sats(900), "it costs more than it brings: {quote:?}");
    assert!(quote.fee > quote.claim_fee, "the claim's fee is among them");

    fund(&world, &receiver, &[quote.missing.to_sat()]).await;
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    let info = finish(&world, &receiver).await;
    assert_eq!((info.stage, info.amount), (ExitStage::Done, sats(400)));
}

/// An own VTXO pays for its claim itself: at a rate where nothing is left it waits, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_vtxo_that_is_dust_at_the_rate_of_today() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    world.board(&payer, 50_000).await;
    world.settle(&payer).await;
    let id = world.open(&payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 700, "crumbs");
    receiver.close_channel(&id).await.unwrap();
    world.regtest.stop_operator().await;
    fund(&world, &receiver, &[20_000]).await;
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    world.regtest.set_fee_rate(8);
    let problem = advance(&receiver).await.problem;
    assert!(
        matches!(problem, Some(ExitProblem::NothingLeft { amount, fee }) if amount == sats(700) && fee > sats(370))
    );
    world.regtest.set_fee_rate(1);
    let info = finish(&world, &receiver).await;
    assert_eq!(info.stage, ExitStage::Done);
    assert!(info.amount > sats(500), "{}", info.amount);
}

/// A server that invents a fee rate costs half of a claim at most.
#[tokio::test(flavor = "multi_thread")]
async fn an_invented_rate_does_not_burn_the_money() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    world.regtest.set_fee_rate(90_000);
    for _ in 0..3 {
        assert!(
            matches!(advance(&receiver).await.stage, ExitStage::Claiming),
            "more does not come of asking more often"
        );
    }
    world.regtest.set_fee_rate(1);
    let info = finish(&world, &receiver).await;
    assert!(info.amount >= sats(6_000), "{}", info.amount);
}

/// Nor all steps together: half of the claim is for the whole way, and half of what is left then for the receiver's claim, which
/// the payer's refund would replace where the rate is true.
#[tokio::test(flavor = "multi_thread")]
async fn an_invented_rate_leaves_a_quarter() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = in_a_batch(&world, &payer, &receiver, 90_000).await;
    pay(&payer, &receiver, &id, 60_000, "one");
    fund(&world, &receiver, &[50_000, 50_000]).await;
    world.regtest.stop_operator().await;
    world.regtest.set_fee_rate(90_000);
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    // 10 sats a vbyte are always allowed.
    let has = receiver.onchain_balance().await.unwrap().confirmed;
    let spent = sats(100_000 + 60_000) - has;
    assert!(spent < sats(30_000 + 15_000 + 10_000), "{spent}");
    assert!(spent > sats(40_000), "{spent}: the claim went out with what the way had left over");
}

/// At that rate the way would take half of the claim, and the wallet has less: it pays what is never too much, and says what is
/// missing.
#[tokio::test(flavor = "multi_thread")]
async fn few_coins_pay_what_they_can() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[5_000]).await;
    world.regtest.stop_operator().await;
    world.regtest.set_fee_rate(90_000);
    let anchor = first_anchor(&world, "receiver", &receiver, &id);
    let info = receiver.exit_channel(&id).await.unwrap();
    let Some(ExitProblem::NeedsFees { missing, .. }) = info.problem else { panic!("{:?}", info.problem) };
    let (_, paid) = in_mempool(&world, anchor).await.expect("it is on its way all the same");
    assert!(paid > sats(2_000) && paid < sats(5_000), "{paid}");
    assert!(missing > sats(100) && missing <= sats(1_330), "{missing}: half of 12 000 sats is for the way");
    advance(&receiver).await;
    assert_eq!(told(&receiver, |kind| matches!(kind, EventKind::ExitNeedsFees { .. })), 1);

    world.regtest.set_fee_rate(1);
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
}

/// Two exits and one coin. Where its child pays what the rate of today asks for, the other exit waits for the change without a
/// word; where it may wait for long, the app is told.
#[tokio::test(flavor = "multi_thread")]
async fn one_coin_for_two_exits() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    for amount in [50_000, 20_000] {
        coin_of(&world, &payer, amount).await;
    }
    fund(&world, &payer, &[40_000]).await;
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.problem.clone()).collect::<Vec<_>>(), [None, None]);
    let missed = || told(&payer, |kind| matches!(kind, EventKind::ExitNeedsFees { .. }));
    assert_eq!(missed(), 0);

    world.regtest.set_fee_rate(1_000);
    let infos = payer.advance_exits().await.unwrap();
    let needs = infos.iter().filter(|exit| matches!(exit.problem, Some(ExitProblem::NeedsFees { .. })));
    assert_eq!((needs.count(), missed()), (1, 1), "{infos:?}");

    world.regtest.set_fee_rate(1);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 2);
}

/// Several exits by ways of their own, and one coin for all of them: each has its turn, and none is forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn one_coin_for_four_exits() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    for amount in [20_000, 20_001, 20_002, 20_003] {
        coin_of(&world, &payer, amount).await;
    }
    fund(&world, &payer, &[4_000]).await;
    world.regtest.stop_operator().await;
    assert_eq!(payer.exit_coins().await.unwrap().len(), 4);
    world.mine(1).await;
    let done = all_done(&world, &payer).await;
    let sum: Amount = done.iter().map(|exit| exit.amount).sum();
    assert!(done.len() == 4 && sum > sats(79_000), "{done:?}");
    let has = payer.onchain_balance().await.unwrap().confirmed;
    assert!(has > sum + sats(1_000), "the ways cost {} of 4000", sum + sats(4_000) - has);
}

/// More than three that wait for the same coin: the app is told, of the last.
#[tokio::test(flavor = "multi_thread")]
async fn one_coin_for_five_exits() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    for amount in [20_000, 20_001, 20_002, 20_003, 20_004] {
        coin_of(&world, &payer, amount).await;
    }
    fund(&world, &payer, &[4_000]).await;
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    let needs = begun.iter().filter(|exit| matches!(exit.problem, Some(ExitProblem::NeedsFees { .. })));
    assert_eq!((begun.len(), needs.count()), (5, 1), "{begun:?}");
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::ExitNeedsFees { .. })), 1);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 5);
}
