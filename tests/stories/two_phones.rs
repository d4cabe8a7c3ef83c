//! One mnemonic on two phones, each with a file of its own: what one spends the other notices, once, and nothing that a
//! wallet did itself is taken for somebody else's.

use bitcoin::OutPoint;
use regtest::operator::{Action, Call, Knob, Phase, Unit};
use virtual_channels::channel::ArkAddress;
use virtual_channels::operator::Operator;
use virtual_channels::wallet::{EventKind, FundingChoice, InviteRequest, Wallet, WalletError};

use crate::world::{World, eventually, pay, refused, request, sats};

/// A second phone with the words of `name`.
async fn second_phone(world: &World, name: &str) -> Wallet {
    let mut config = world.config(name);
    config.database = world.path(&format!("{name}-second"));
    Wallet::open(config, &World::mnemonic(name)).await.unwrap()
}

/// The coins of which the wallet says that somebody else has spent them; all events are acknowledged.
fn told(wallet: &Wallet) -> Vec<OutPoint> {
    let mut coins = Vec::new();
    for event in wallet.pending_events(1_000).unwrap() {
        if let EventKind::SeedUsedElsewhere { outpoint, spent_by } = event.kind {
            assert!(spent_by.is_some());
            coins.push(outpoint);
        }
        if let Some(token) = event.token {
            wallet.acknowledge_event(&token).unwrap();
        }
    }
    coins
}

/// Two phones that both know the same VTXO: both have handed out the same first address.
async fn both_know_a_coin(world: &World) -> (Wallet, Wallet, Wallet) {
    let friend = world.rich("friend", 60_000).await;
    let first = world.wallet("me").await;
    let second = second_phone(world, "me").await;
    let address = first.ark_address().unwrap();
    assert_eq!(second.ark_address().unwrap(), address, "the same key index on both");
    friend.send(&address, sats(20_000)).await.unwrap();
    for phone in [&first, &second] {
        eventually("the coin", async || phone.balance().await.is_ok_and(|b| b.preconfirmed == sats(20_000))).await;
    }
    (friend, first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vtxo_that_the_other_phone_spent() {
    let world = World::start(Unit::Blocks).await;
    let (friend, first, second) = both_know_a_coin(&world).await;
    first.send(&friend.ark_address().unwrap(), sats(5_000)).await.unwrap();
    eventually("noticed", async || {
        second.balance().await.unwrap();
        second.pending_events(1_000).unwrap().len() == 1
    })
    .await;
    let coins = told(&second);
    assert_eq!(coins.len(), 1);
    // Once, also after a restart; and never by the phone that did it.
    for _ in 0..2 {
        second.balance().await.unwrap();
        first.balance().await.unwrap();
    }
    second.close().unwrap();
    let second = second_phone(&world, "me").await;
    second.balance().await.unwrap();
    assert_eq!((told(&second), told(&first)), (vec![], vec![]));
}

/// The second phone picks the coin while the first has just spent it: refused, nothing held, and the app is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_picked_by_both() {
    let world = World::start(Unit::Blocks).await;
    let (friend, first, second) = both_know_a_coin(&world).await;
    let address = friend.ark_address().unwrap();
    // Both have looked at the books before either submits.
    world.regtest.operator().await.faults().once(Call::SubmitTx, Action::Delay(std::time::Duration::from_secs(2)));
    let (one, two) = tokio::join!(first.send(&address, sats(5_000)), second.send(&address, sats(6_000)));
    assert!(one.is_ok() != two.is_ok(), "one of both: {one:?} {two:?}");
    let (winner, loser) = if one.is_ok() { (&first, &second) } else { (&second, &first) };
    let (left, errors) = loser.resume().await.unwrap();
    assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
    eventually("noticed", async || {
        loser.balance().await.unwrap();
        !loser.pending_events(1_000).unwrap().is_empty()
    })
    .await;
    winner.balance().await.unwrap();
    assert_eq!((told(loser).len(), told(winner).len()), (1, 0));
    assert_eq!(loser.balance().await.unwrap().pending, sats(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boarding_coin_that_the_other_phone_settled() {
    let world = World::start(Unit::Blocks).await;
    let first = world.wallet("me").await;
    let second = second_phone(&world, "me").await;
    assert_eq!(first.boarding_address().unwrap(), second.boarding_address().unwrap());
    world.board(&first, 30_000).await;
    eventually("seen by both", async || second.balance().await.is_ok_and(|b| b.boarding == sats(30_000))).await;
    first.settle(false).await.unwrap();
    // In a block, not before: what is only announced may come to nothing.
    second.balance().await.unwrap();
    assert_eq!(told(&second), vec![]);
    world.mine(1).await;
    eventually("noticed", async || {
        second.balance().await.unwrap();
        !second.pending_events(1_000).unwrap().is_empty()
    })
    .await;
    assert_eq!(told(&second).len(), 1);
    first.balance().await.unwrap();
    second.balance().await.unwrap();
    assert_eq!((told(&first), told(&second)), (vec![], vec![]));
}

/// Whatever a wallet does itself, also what fails, is tried again, or is interrupted, is no surprise to it.
#[tokio::test(flavor = "multi_thread")]
async fn its_own_spending_is_no_surprise() {
    let world = World::start(Unit::Blocks).await;
    let (payer, shop) = (world.wallet("payer").await, world.wallet("shop").await);
    world.board(&payer, 90_000).await;
    world.regtest.operator().await.faults().turn_once(Knob::FailBatch(Phase::Broadcast));
    world.settle(&payer).await;
    payer.send(&shop.ark_address().unwrap(), sats(3_000)).await.unwrap();
    world.regtest.operator().await.faults().once(Call::FinalizeTx, Action::LoseAnswer);
    let _ = payer.send(&shop.ark_address().unwrap(), sats(3_000)).await;
    payer.resume().await.unwrap();
    payer.settle(false).await.unwrap();
    world.mine(1).await;
    eventually("settled", async || payer.balance().await.is_ok_and(|b| b.settled == sats(84_000))).await;
    let id = world.open_offchain(&payer, &shop, 20_000).await;
    pay(&payer, &shop, &id, 4_000, "a");
    shop.close_channel(&id).await.unwrap();
    shop.settle(false).await.unwrap();
    world.mine(1).await;
    payer.settle(true).await.unwrap();
    world.mine(1).await;
    let elsewhere = shop.boarding_address().unwrap();
    payer.withdraw(&elsewhere, Some(sats(10_000))).await.unwrap();
    world.mine(1).await;
    for wallet in [&payer, &shop] {
        for _ in 0..2 {
            wallet.watch(&id).await.unwrap();
            wallet.balance().await.unwrap();
        }
        assert_eq!(told(wallet), vec![]);
    }
}

/// A key that the operator has seen is not given out again, once the second phone has been online.
#[tokio::test(flavor = "multi_thread")]
async fn keys_in_use_are_skipped() {
    let world = World::start(Unit::Blocks).await;
    let first = world.rich("me", 30_000).await;
    let used = first.new_ark_address().unwrap();
    first.send(&used, sats(1_000)).await.unwrap();
    let second = second_phone(&world, "me").await;
    let books = Operator::connect(world.regtest.operator_url()).await.unwrap();
    let mut fresh = String::new();
    for _ in 0..5 {
        second.balance().await.unwrap();
        fresh = second.new_ark_address().unwrap();
        let script = ArkAddress::parse(&fresh).unwrap().script_pubkey();
        assert!(books.vtxos_by_scripts(&[script]).await.unwrap().is_empty(), "the first phone uses it");
    }
    let friend = world.rich("friend", 10_000).await;
    friend.send(&fresh, sats(2_000)).await.unwrap();
    eventually("only here", async || second.balance().await.is_ok_and(|b| b.preconfirmed == sats(2_000))).await;
    assert_eq!(told(&second), vec![]);
}

/// A channel is known to the phone that opened it alone: the other cannot pay in it, nor spend what is in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_one_phones() {
    let world = World::start(Unit::Blocks).await;
    let first = world.rich("me", 50_000).await;
    let shop = world.wallet("shop").await;
    let id = world.open(&first, &shop, 20_000).await;
    let second = second_phone(&world, "me").await;
    assert!(matches!(refused(second.pay(&id, sats(1_000), "a", None)), WalletError::NotFound));
    assert!(matches!(refused(second.refund(&id).await), WalletError::NotFound));
    let invite = shop.create_invite(&InviteRequest::default()).unwrap();
    assert!(second.propose(&invite, &request(10_000, FundingChoice::Batch)).await.is_err(), "no coins of its own");
    pay(&first, &shop, &id, 1_000, "a");
}
