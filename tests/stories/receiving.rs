//! Receiving, row by row: order, bursts, files put back on either side.

use virtual_channels::channel::message::UpdateMessage;
use virtual_channels::channel::{Authorisation, Channel, ChannelError, ChannelUpdate};
use virtual_channels::wallet::{KeyUse, Received, Wallet, WalletError};

use crate::offline::{Offline, checkpoint, keys};
use crate::world::{pay, refused, sats};

const CAPACITY: u64 = 100_000;

async fn pair() -> (Offline, Channel, Wallet, Wallet) {
    let place = Offline::new();
    let channel = place.channel("payer", "receiver", 1, CAPACITY);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    (place, channel, payer, receiver)
}

/// Payments of these sizes, not handed over yet.
fn payments(payer: &Wallet, channel: &Channel, amounts: &[u64]) -> Vec<UpdateMessage> {
    let pay =
        |(n, amount): (usize, &u64)| payer.pay(&channel.id, sats(*amount), &format!("{n}"), None).unwrap().message;
    amounts.iter().enumerate().map(pay).collect()
}

fn stale_at(result: Result<Received, Box<WalletError>>) -> u64 {
    match result.map_err(|error| *error) {
        Err(WalletError::Channel(ChannelError::Stale { stored, .. })) => stored.amount.to_sat(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn out_of_order_the_highest_wins() {
    let (place, channel, payer, receiver) = pair().await;
    let [first, second, third] = payments(&payer, &channel, &[1_000, 200, 30]).try_into().unwrap();
    assert_eq!(receiver.receive(&second).unwrap().amount, sats(1_200), "the first is still on its way");
    assert_eq!(receiver.receive(&third).unwrap().increase, sats(30));
    let stored = place.row("receiver", &channel.id);
    assert_eq!(stale_at(receiver.receive(&first)), 1_230);
    assert_eq!(stale_at(receiver.receive(&second)), 1_230);
    assert_eq!(place.row("receiver", &channel.id), stored);
}

#[tokio::test]
async fn replayed() {
    let (place, channel, payer, receiver) = pair().await;
    let [only] = payments(&payer, &channel, &[1_000]).try_into().unwrap();
    receiver.receive(&only).unwrap();
    let stored = place.row("receiver", &channel.id);
    for answer in receiver.receive_many(&vec![only; 50]).unwrap() {
        let received = answer.unwrap();
        assert_eq!((received.amount, received.increase), (sats(1_000), sats(0)));
    }
    assert_eq!(place.row("receiver", &channel.id), stored);
}

#[tokio::test]
async fn a_burst_in_one_call() {
    let (_place, channel, payer, receiver) = pair().await;
    let mut burst = payments(&payer, &channel, &[1_000, 1, 1, 1, 1, 1]);
    burst.swap(1, 4);
    let answers: Vec<u64> = receiver
        .receive_many(&burst)
        .unwrap()
        .into_iter()
        .map(|answer| answer.map_or_else(|error| stale_at(Err(error)), |received| received.amount.to_sat()))
        .collect();
    assert_eq!(answers, [1_000, 1_004, 1_004, 1_004, 1_004, 1_005]);
    assert!(receiver.receive_many(&[]).unwrap().is_empty());
    let too_many = vec![burst[0].clone(); 10_001];
    assert!(matches!(
        receiver.receive_many(&too_many).map_err(|error| *error),
        Err(WalletError::TooMany { limit: 10_000 })
    ));
}

#[tokio::test]
async fn a_thousand_channels_and_one_corrupt_update() {
    let place = Offline::in_memory();
    let channels = place.channels("payer", "receiver", (0..1_000).map(|n| (n, n)), CAPACITY);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    let mut messages: Vec<UpdateMessage> = channels
        .iter()
        .zip(0..)
        .map(|(channel, n)| payer.pay(&channel.id, sats(1_000 + n), "first", None).unwrap().message)
        .collect();
    messages[617].update.amount += sats(1);
    let answers = receiver.receive_many(&messages).unwrap();
    for (n, answer) in answers.iter().enumerate() {
        match answer.as_ref().map_err(|error| &**error) {
            Ok(received) if n != 617 => {
                assert_eq!((received.channel_id, received.amount), (channels[n].id, sats(1_000 + n as u64)));
            }
            Err(WalletError::Channel(ChannelError::InvalidSignature { .. })) if n == 617 => {}
            other => panic!("{n}: {other:?}"),
        }
    }
    let total: u64 = receiver.channels().unwrap().iter().map(|channel| channel.amount.to_sat()).sum();
    assert_eq!(total, (0..1_000).map(|n| 1_000 + n).sum::<u64>() - 1_617);
}

/// A payer that signs for the old checkpoint script after it has authorised the new one would leave the receiver with
/// an ark signature and an Authorisation that do not belong together: nothing could be closed.
#[tokio::test]
async fn an_update_for_the_former_checkpoint_script_in_one_call_with_the_new_one() {
    let mut place = Offline::new();
    let channel = place.channel("payer", "receiver", 1, CAPACITY);
    let (old, new) = (place.info.checkpoint, checkpoint(2 * 86_528));
    let payer_key = keys("payer").keypair(KeyUse::Payer, 1).unwrap();
    let update = |script, previous, amount| {
        let close = channel.close_template(script).unwrap();
        ChannelUpdate::sign(&channel, &close, &payer_key, sats(previous), sats(amount))
    };
    let message = |update, script: Option<_>| UpdateMessage {
        update,
        authorisation: script.map(|script| Authorisation::sign(&channel, script, &payer_key).unwrap()),
        memo: None,
    };
    let receiver = place.wallet("receiver").await;
    receiver.receive(&message(update(old, 0, 1_000), Some(old))).unwrap();
    receiver.close().unwrap();

    // The operator's script changes, and the receiver knows.
    place.info.checkpoint = new;
    let receiver = place.wallet("receiver").await;
    let answers = receiver
        .receive_many(&[
            message(update(new, 1_000, 2_000), Some(new)),
            message(update(old, 2_000, 3_000), None),
            message(update(old, 2_000, 4_000), Some(old)),
            message(update(new, 2_000, 2_500), Some(new)),
        ])
        .unwrap();
    assert_eq!(answers[0].as_ref().unwrap().amount, sats(2_000));
    for answer in &answers[1..3] {
        let refused = matches!(
            answer.as_ref().map_err(|error| &**error),
            Err(WalletError::Channel(ChannelError::UnknownCheckpointScript { .. }))
        );
        assert!(refused, "{answer:?}");
    }
    assert_eq!(answers[3].as_ref().unwrap().amount, sats(2_500));
    let row = place.row("receiver", &channel.id);
    let authorisation = Authorisation::from_bytes(&row.authorisation.unwrap()).unwrap();
    assert_eq!(authorisation.script, new);
    let close = channel.close_template(authorisation.script).unwrap();
    row.hot.update.unwrap().verify(&channel, &[&close]).expect("what is stored can be closed");
}

#[tokio::test]
async fn the_same_amount_signed_again_for_the_new_checkpoint_script() {
    let mut place = Offline::new();
    let channel = place.channel("payer", "receiver", 1, CAPACITY);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    pay(&payer, &receiver, &channel.id, 1_000, "a");
    payer.acknowledge(&receiver.receipt(&channel.id, None).unwrap()).unwrap();
    payer.close().unwrap();
    receiver.close().unwrap();
    place.info.checkpoint = checkpoint(2 * 86_528);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    // The next payment brings the Authorisation for the new script by itself.
    let payment = payer.pay(&channel.id, sats(500), "b", None).unwrap().message;
    assert_eq!(payment.authorisation.unwrap().script, place.info.checkpoint);
    assert_eq!(receiver.receive(&payment).unwrap().increase, sats(500));
    let row = place.row("receiver", &channel.id);
    let stored = Authorisation::from_bytes(&row.authorisation.unwrap()).unwrap();
    assert_eq!(stored.script, place.info.checkpoint);
    // The receipt from before says nothing about the new Authorisation.
    assert!(!payer.channel(&channel.id).unwrap().acknowledged);
}

#[tokio::test]
async fn receipt_after_a_stale_update_names_the_current_amount() {
    let (_place, channel, payer, receiver) = pair().await;
    assert!(matches!(refused(receiver.receipt(&channel.id, None)), WalletError::Channel(ChannelError::NothingPaid)));
    let [first, second] = payments(&payer, &channel, &[1_000, 200]).try_into().unwrap();
    receiver.receive(&second).unwrap();
    stale_at(receiver.receive(&first));
    let receipt = receiver.receipt(&channel.id, Some("a memo")).unwrap();
    assert_eq!(receipt.amount, sats(1_200));
    let mut forged = receipt.clone();
    forged.amount = sats(1_201);
    assert!(matches!(refused(payer.acknowledge(&forged)), WalletError::Channel(ChannelError::InvalidSignature { .. })));
    assert!(!payer.channel(&channel.id).unwrap().acknowledged);
    payer.acknowledge(&receipt).unwrap();
    assert!(payer.channel(&channel.id).unwrap().acknowledged);
    let next = payer.pay(&channel.id, sats(1), "next", None).unwrap().message;
    assert!(next.authorisation.is_none());
    assert!(next.to_text().unwrap().len() < 300);
    assert_eq!(receiver.receive(&next).unwrap().increase, sats(1));
}

#[tokio::test]
async fn the_receiver_was_offline() {
    let (_place, channel, payer, receiver) = pair().await;
    let sent = payments(&payer, &channel, &[1_000, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let received = receiver.receive(sent.last().unwrap()).unwrap();
    assert_eq!((received.amount, received.increase), (sats(1_045), sats(1_045)), "the last says it all");
    assert_eq!(payer.latest_update(&channel.id).unwrap().message, sent[9]);
}

#[tokio::test]
async fn a_receiver_restored_from_an_old_file_gets_the_latest_again() {
    let (place, channel, payer, receiver) = pair().await;
    receiver.close().unwrap();
    place.copy("receiver", "before the first payment");
    let receiver = place.wallet("receiver").await;
    pay(&payer, &receiver, &channel.id, 1_000, "a");
    payer.acknowledge(&receiver.receipt(&channel.id, None).unwrap()).unwrap();
    receiver.close().unwrap();
    place.copy("receiver", "after the first payment");
    let receiver = place.wallet("receiver").await;
    for n in 0..5 {
        pay(&payer, &receiver, &channel.id, 100, &format!("{n}"));
    }
    receiver.close().unwrap();

    place.restore("receiver", "after the first payment");
    let receiver = place.wallet("receiver").await;
    assert_eq!(receiver.channel(&channel.id).unwrap().amount, sats(1_000));
    let latest = payer.latest_update(&channel.id).unwrap().message;
    assert_eq!(receiver.receive(&latest).unwrap().amount, sats(1_500));
    receiver.close().unwrap();

    // A file that is older than the Authorisation says that this is what it lacks; the latest update brings it.
    place.restore("receiver", "before the first payment");
    let receiver = place.wallet("receiver").await;
    let error = refused(receiver.receive(&UpdateMessage { authorisation: None, ..latest.clone() }));
    assert!(matches!(error, WalletError::Channel(ChannelError::MissingAuthorisation { .. })), "{error}");
    assert_eq!(receiver.receive(&latest).unwrap().amount, sats(1_500));
}

#[tokio::test]
async fn a_restored_payer_adopts_only_its_own_signature() {
    let (place, channel, payer, receiver) = pair().await;
    pay(&payer, &receiver, &channel.id, 1_000, "a");
    payer.close().unwrap();
    place.copy("payer", "backup");
    let payer = place.wallet("payer").await;
    pay(&payer, &receiver, &channel.id, 500, "b");
    payer.close().unwrap();
    place.restore("payer", "backup");
    let payer = place.wallet("payer").await;

    let good = receiver.latest_update(&channel.id).unwrap().message;
    assert!(good.authorisation.is_none());
    let thief = keys("receiver").keypair(KeyUse::Receiver, 1).unwrap();
    let close = channel.close_template(place.info.checkpoint).unwrap();
    let forged = ChannelUpdate::sign(&channel, &close, &thief, sats(1_000), sats(90_000));
    let before = place.row("payer", &channel.id);
    for bad in [
        forged,
        ChannelUpdate { amount: sats(2_000), ..good.update },
        ChannelUpdate { exit_signature: good.update.ark_signature, ..good.update },
        ChannelUpdate { exit_signature: forged.exit_signature, ..good.update },
    ] {
        let error = refused(payer.catch_up(&UpdateMessage { update: bad, ..good.clone() }));
        assert!(matches!(error, WalletError::Channel(ChannelError::InvalidSignature { .. })), "{error}");
    }
    let over = ChannelUpdate { amount: sats(CAPACITY + 1), ..good.update };
    let error = refused(payer.catch_up(&UpdateMessage { update: over, ..good.clone() }));
    assert!(matches!(error, WalletError::Channel(ChannelError::OverCapacity { .. })), "{error}");
    assert_eq!(place.row("payer", &channel.id), before);

    // The ark signature may be for a checkpoint script of another day: the exit signature decides.
    let shown = ChannelUpdate { ark_signature: forged.ark_signature, ..good.update };
    assert_eq!(payer.catch_up(&UpdateMessage { update: shown, ..good }).unwrap(), sats(1_500));
    assert_eq!(pay(&payer, &receiver, &channel.id, 100, "c").amount, sats(1_600));
}
