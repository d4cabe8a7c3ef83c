//! The operator is gone, and the phone with it: from the backup on chain. And channels that were unrolled, or whose time
//! was up, while the phone was lost.

use regtest::operator::Unit;
use virtual_channels::channel::ChannelId;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{ExitStage, RestoreWarning, Wallet, WalletError};

use crate::lost::{assert_not_surprised, latest, lose};
use crate::stage::{finish, fund, state, unroll, wait};
use crate::world::{World, eventually, pay, refused, sats};

/// A channel of 40 000 in which 12 000 were paid after both backups.
async fn paid(unit: Unit, offchain: bool) -> (World, [Wallet; 2], [String; 2], ChannelId) {
    let world = World::start(unit).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = match offchain {
        true => world.open_offchain(&payer, &receiver, 40_000).await,
        false => world.open(&payer, &receiver, 40_000).await,
    };
    let backups = [&payer, &receiver].map(|wallet| wallet.backup().unwrap());
    pay(&payer, &receiver, &id, 12_000, "one");
    (world, [payer, receiver], backups, id)
}

/// Takes the exit that has begun to its end; answers what is on chain then.
async fn leave(world: &World, wallet: &Wallet) -> bitcoin::Amount {
    let until = unroll(world, wallet).await;
    wait(world, until).await;
    assert_eq!(finish(world, wallet).await.stage, ExitStage::Done);
    wallet.onchain_balance().await.unwrap().confirmed
}

async fn a_receiver_without_an_operator(unit: Unit, offchain: bool) {
    let (world, [payer, receiver], [_, backup], id) = paid(unit, offchain).await;
    world.regtest.stop_operator().await;
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert!(matches!(report.warnings.as_slice(), [RestoreWarning::OperatorAway { .. }]), "{:?}", report.warnings);
    assert_eq!(report.channels, [id]);
    assert_eq!(receiver.receive(&latest(&payer, &id)).unwrap().amount, sats(12_000));
    fund(&world, &receiver, &[20_000]).await;
    receiver.exit_channel(&id).await.unwrap();
    let on_chain = leave(&world, &receiver).await;
    assert!(on_chain > sats(29_000) && on_chain < sats(32_000), "{on_chain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_in_blocks() {
    a_receiver_without_an_operator(Unit::Blocks, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_in_seconds() {
    a_receiver_without_an_operator(Unit::Seconds, true).await;
}

/// The operator had another checkpoint script since the backup was made, and the payer has signed for that: the update is the
/// receiver's own all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_whose_backup_is_older_than_the_script() {
    let (world, [payer, receiver], [_, before], id) = paid(Unit::Blocks, false).await;
    let after = receiver.backup().unwrap();
    world.regtest.operator().await.change(|settings| settings.checkpoint_delay = 12);
    for wallet in [&payer, &receiver] {
        wallet.watch(&id).await.unwrap();
    }
    pay(&payer, &receiver, &id, 3_000, "two");
    world.regtest.stop_operator().await;
    let mut receiver = receiver;
    for backup in [before, after] {
        (receiver, _) = lose(&world, "receiver", receiver, Some(&backup)).await;
        assert_eq!(receiver.receive(&latest(&payer, &id)).unwrap().amount, sats(15_000));
    }
    fund(&world, &receiver, &[20_000]).await;
    receiver.exit_channel(&id).await.unwrap();
    let on_chain = leave(&world, &receiver).await;
    assert!(on_chain > sats(32_000) && on_chain < sats(35_000), "{on_chain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_without_an_operator() {
    let (world, [payer, _receiver], [backup, _], id) = paid(Unit::Blocks, false).await;
    world.regtest.stop_operator().await;
    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    assert_eq!(report.channels, [id]);
    assert!(matches!(refused(payer.pay(&id, sats(1_000), "two", None)), WalletError::CatchUpNeeded { .. }));
    fund(&world, &payer, &[20_000]).await;
    // The receiver is silent, too: after d2 the payer alone has it all.
    payer.exit_channel(&id).await.unwrap();
    let on_chain = leave(&world, &payer).await;
    // The change of the opening came on chain beside it.
    assert!(on_chain > sats(57_000) && on_chain < sats(120_000), "{on_chain}");
}

/// The payer unrolls while the receiver has no update: it is taken all the same, and answers in time.
#[tokio::test(flavor = "multi_thread")]
async fn unrolled_while_the_phone_was_lost() {
    let (world, [payer, receiver], [_, backup], id) = paid(Unit::Blocks, false).await;
    fund(&world, &payer, &[20_000]).await;
    let update = latest(&payer, &id);
    payer.exit_channel(&id).await.unwrap();
    unroll(&world, &payer).await;
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    let funding = receiver.channel(&id).unwrap().funding;
    assert!(report.exits.contains(&funding), "{report:?}");
    assert_eq!(state(&receiver, &id), ChannelState::Open, "it has nothing to leave with yet");
    assert!(receiver.exit_channel(&id).await.is_err());
    assert_eq!(receiver.receive(&update).unwrap().amount, sats(12_000));
    receiver.watch(&id).await.unwrap();
    assert_eq!(state(&receiver, &id), ChannelState::Exiting);
    // The channel is on chain: the claim pays for itself.
    receiver.exit_channel(&id).await.unwrap();
    let on_chain = leave(&world, &receiver).await;
    assert!(on_chain > sats(11_000) && on_chain < sats(12_000), "{on_chain}");
}

/// No new money is taken after `close_by`; what was paid before the phone was lost is no new money.
#[tokio::test(flavor = "multi_thread")]
async fn past_the_time_for_closing() {
    let (world, [payer, receiver], [_, backup], id) = paid(Unit::Blocks, false).await;
    let next = payer.pay(&id, sats(1_000), "two", None).unwrap().message;
    let close_by = receiver.channel(&id).unwrap().close_by;
    let height = world.regtest.node().tip().await.unwrap().height;
    world.mine(close_by as u32 + 1 - height).await;
    receiver.watch(&id).await.unwrap();
    assert!(matches!(refused(receiver.receive(&next)), WalletError::PastCloseBy { .. }));
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert_eq!((report.channels.as_slice(), report.warnings.as_slice()), ([id].as_slice(), [].as_slice()));
    assert_eq!(receiver.receive(&next).unwrap().amount, sats(13_000));
    // Once it has come back, the rules hold again.
    receiver.watch(&id).await.unwrap();
    let late = payer.pay(&id, sats(1_000), "three", None).unwrap().message;
    assert!(matches!(refused(receiver.receive(&late)), WalletError::PastCloseBy { .. }));
    receiver.close_channel(&id).await.unwrap();
    eventually("paid", async || receiver.balance().await.is_ok_and(|b| b.preconfirmed == sats(13_000))).await;
    assert_not_surprised(&receiver);
}

/// The phone was lost between the operator's answer and the end of a close: the new one ends it.
#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_a_close() {
    use regtest::operator::{Action, Call};
    let (world, [payer, receiver], [_, backup], id) = paid(Unit::Blocks, false).await;
    world.regtest.operator().await.faults().once(Call::FinalizeTx, Action::Hang);
    let closing = receiver.clone();
    let close = tokio::spawn(async move { closing.close_channel(&id).await });
    eventually("submitted", async || world.regtest.operator().await.faults().held() > 0).await;
    close.abort();
    world.regtest.operator().await.faults().clear();
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert_eq!(report.warnings, [RestoreWarning::ChannelSpent { channel_id: id }]);
    assert_eq!(receiver.receive(&latest(&payer, &id)).unwrap().amount, sats(12_000));
    receiver.close_channel(&id).await.unwrap();
    eventually("paid", async || receiver.balance().await.is_ok_and(|b| b.preconfirmed == sats(12_000))).await;
}

/// The lost phone is found again and spends a coin: the new one says so, once, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn the_lost_phone_is_found_again() {
    use virtual_channels::wallet::EventKind;
    let world = World::start(Unit::Blocks).await;
    let friend = world.wallet("friend").await;
    let old = world.rich("me", 30_000).await;
    let (new, _) = crate::lost::restore(&world, "me", "new", None).await.unwrap();
    new.balance().await.unwrap();
    old.send(&friend.ark_address().unwrap(), sats(1_000)).await.unwrap();
    eventually("noticed", async || {
        new.balance().await.unwrap();
        !new.pending_events(100).unwrap().is_empty()
    })
    .await;
    new.balance().await.unwrap();
    let events = new.pending_events(100).unwrap();
    assert!(
        matches!(events.as_slice(), [event] if matches!(event.kind, EventKind::SeedUsedElsewhere { .. })),
        "{events:?}"
    );
    // What is left is the new one's as well as the old one's.
    assert_eq!(new.balance().await.unwrap().total(), sats(29_000));
}

/// A receiver that had left on chain before its phone was lost: the new one sees that there is nothing to wait for.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_had_left_before() {
    let (world, [_payer, receiver], [_, backup], id) = paid(Unit::Blocks, false).await;
    fund(&world, &receiver, &[20_000]).await;
    receiver.exit_channel(&id).await.unwrap();
    let before = leave(&world, &receiver).await;
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert_eq!((report.onchain.confirmed, report.exits.as_slice()), (before, [].as_slice()));
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    assert_eq!(receiver.balance().await.unwrap().receivable, sats(0));
}

/// A payer that was on its way out when its phone was lost: the new one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_in_the_middle_of_an_exit() {
    let (world, [payer, _receiver], [backup, _], id) = paid(Unit::Blocks, false).await;
    world.regtest.stop_operator().await;
    fund(&world, &payer, &[20_000]).await;
    payer.exit_channel(&id).await.unwrap();
    unroll(&world, &payer).await;
    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    assert!(report.onchain.confirmed > sats(18_000), "{:?}", report.onchain);
    let funding = payer.channel(&id).unwrap().funding;
    assert_eq!(report.exits, [funding]);
    payer.maintain().await.unwrap();
    assert_eq!(payer.exits().unwrap().first().map(|exit| exit.outpoint), Some(funding));
    let on_chain = leave(&world, &payer).await;
    // The change of the opening came on chain beside it.
    assert!(on_chain > sats(57_000) && on_chain < sats(120_000), "{on_chain}");
}
