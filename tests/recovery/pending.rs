//! A phone that is lost between the operator's signature on an off-chain transaction and its finalization.

use regtest::operator::{Action, Call, Knob, Unit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{FundingChoice, InviteRequest, RestoreWarning, Wallet, WalletError};

use crate::lost::{assert_not_surprised, latest, lose, opened, restore};
use crate::world::{World, eventually, pay, refused, request, sats};

/// 4 000 of 50 000 sats are on their way to a friend: the operator has signed, and FinalizeTx has never come to it.
async fn submitted(unit: Unit) -> (World, Wallet, Wallet) {
    let world = World::start(unit).await;
    let friend = world.wallet("friend").await;
    let me = world.rich("me", 50_000).await;
    world.regtest.operator().await.faults().always(Call::FinalizeTx, Action::Drop);
    let error = refused(me.send(&friend.ark_address().unwrap(), sats(4_000)).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    world.regtest.operator().await.faults().clear();
    assert_eq!(friend.balance().await.unwrap().total(), sats(0));
    (world, friend, me)
}

async fn holds(wallet: &Wallet, amount: u64) {
    eventually("the payment", async || wallet.balance().await.is_ok_and(|b| b.total() == sats(amount))).await;
}

/// From the words alone: what they had signed is finalized.
#[tokio::test(flavor = "multi_thread")]
async fn it_is_finalized() {
    for unit in [Unit::Blocks, Unit::Seconds] {
        let (world, friend, me) = submitted(unit).await;
        let (me, _) = lose(&world, "me", me, None).await;
        holds(&friend, 4_000).await;
        holds(&me, 46_000).await;
        assert_eq!(me.resume().await.unwrap().0, 0);
        assert_not_surprised(&me);
        me.send(&friend.ark_address().unwrap(), sats(46_000)).await.unwrap();
        holds(&friend, 50_000).await;
    }
}

/// Another FinalizeTx that is lost: the journal of the new phone has the transaction, and goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_once_more() {
    let (world, friend, me) = submitted(Unit::Blocks).await;
    world.regtest.operator().await.faults().always(Call::FinalizeTx, Action::Drop);
    let (me, _) = lose(&world, "me", me, None).await;
    assert_eq!(friend.balance().await.unwrap().total(), sats(0));
    world.regtest.operator().await.faults().clear();
    let (left, errors) = me.resume().await.unwrap();
    assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
    holds(&friend, 4_000).await;
    holds(&me, 46_000).await;
}

/// The operator shows a transaction that this wallet's keys have not signed: nothing is signed for it.
#[tokio::test(flavor = "multi_thread")]
async fn not_for_the_operators_word() {
    let (world, friend, me) = submitted(Unit::Blocks).await;
    world.regtest.operator().await.faults().turn(Knob::UnsignedPending);
    let seen = async || world.regtest.operator().await.faults().seen(Call::FinalizeTx);
    let before = seen().await;
    let (me, _) = lose(&world, "me", me, None).await;
    assert_eq!((seen().await, me.resume().await.unwrap().0), (before, 0));
    assert_eq!(friend.balance().await.unwrap().total(), sats(0));
    // Asked again it tells the truth.
    world.regtest.operator().await.faults().clear();
    me.close().unwrap();
    let (me, _) = restore(&world, "me", "new", None).await.unwrap();
    holds(&friend, 4_000).await;
    holds(&me, 46_000).await;
}

/// The same in a receiver's close: once the payer has shown its latest payment again the close goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_close() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let backup = receiver.backup().unwrap();
    pay(&payer, &receiver, &id, 9_000, "all there is");
    world.regtest.operator().await.faults().always(Call::FinalizeTx, Action::Drop);
    let error = refused(receiver.close_channel(&id).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    world.regtest.operator().await.faults().clear();
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert_eq!(report.warnings, [RestoreWarning::ChannelSpent { channel_id: id }]);
    receiver.maintain().await.unwrap();
    assert_eq!(receiver.receive(&latest(&payer, &id)).unwrap().amount, sats(9_000));
    receiver.maintain().await.unwrap();
    receiver.close_channel(&id).await.unwrap();
    holds(&receiver, 9_000).await;
    assert_eq!(receiver.channel(&id).unwrap().state, ChannelState::Closed);
    eventually("the payer to see it", async || {
        payer.watch(&id).await.is_ok_and(|look| look.state == ChannelState::Closed)
    })
    .await;
}

/// An opening: without the terms nobody could use the channel, so its coins are not signed away. A backup has them.
#[tokio::test(flavor = "multi_thread")]
async fn an_opening() {
    let world = World::start(Unit::Blocks).await;
    let receiver = world.wallet("receiver").await;
    let me = world.rich("me", 50_000).await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    world.regtest.operator().await.faults().always(Call::FinalizeTx, Action::Drop);
    let error = refused(me.propose(&invite, &request(20_000, FundingChoice::Offchain)).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    world.regtest.operator().await.faults().clear();
    let backup = me.backup().unwrap();

    let seen = async || world.regtest.operator().await.faults().seen(Call::FinalizeTx);
    let before = seen().await;
    me.close().unwrap();
    let (words_alone, _) = restore(&world, "me", "words", None).await.unwrap();
    assert_eq!((seen().await, words_alone.resume().await.unwrap().0), (before, 0));
    words_alone.close().unwrap();

    let (me, report) = restore(&world, "me", "backup", Some(&backup)).await.unwrap();
    assert_eq!(report.channels.len(), 1, "{report:?}");
    let info = me.channel(&report.channels[0]).unwrap();
    assert_eq!((info.state, info.capacity), (ChannelState::Open, sats(20_000)));
    me.pay_from_zero(&info.id).unwrap();
    holds(&me, 50_000).await;
}
