//! Two processes of one receiver over one file: what one has in memory the other may have replaced in the file.

use regtest::operator::Unit;
use virtual_channels::channel::{ChannelError, UpdateMessage};
use virtual_channels::store::Store;
use virtual_channels::wallet::{Wallet, WalletError};

use crate::world::{World, pay, refused, sats};

#[tokio::test(flavor = "multi_thread")]
async fn an_authorisation_in_memory_that_the_file_no_longer_has() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 50_000).await;
    let one = world.wallet("receiver").await;
    let id = world.open(&payer, &one, 40_000).await;
    let other = world.wallet("receiver").await;
    pay(&payer, &one, &id, 1_000, "first");
    pay(&payer, &other, &id, 1_000, "second");
    payer.acknowledge(&one.receipt(&id, None).unwrap()).unwrap();
    let late = payer.pay(&id, sats(500), "third", None).unwrap();

    // The operator asks for another checkpoint script; one process learns it, and gets the amount signed again.
    world.regtest.operator().await.change(|settings| settings.checkpoint_delay += 1);
    let error = refused(one.close_channel(&id).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
    let again = payer.reauthorise(&id).await.unwrap();
    assert_eq!(one.receive(&again.message).unwrap().increase, sats(500));

    // The signature for the old script must not take the place of the new one.
    let error = refused(other.receive(&late.message));
    assert!(matches!(error, WalletError::Channel(ChannelError::UnknownCheckpointScript { .. })), "{error}");
    let answers = other.receive_many(&[late.message]).unwrap();
    let [Err(error)] = &answers[..] else { panic!("{answers:?}") };
    assert!(matches!(**error, WalletError::Channel(ChannelError::UnknownCheckpointScript { .. })));
    assert_eq!(one.latest_update(&id).unwrap().message.update, again.message.update);
    // And what is signed for the new one counts, without its Authorisation.
    let fourth = payer.pay(&id, sats(250), "fourth", None).unwrap().message;
    assert_eq!(other.receive(&UpdateMessage { authorisation: None, ..fourth }).unwrap().amount, sats(2_750));
    one.close_channel(&id).await.unwrap();
}

/// One process has learned the operator's new checkpoint script, and got the payer's signatures for it. The other one has not
/// heard of it: what the payer signed for the old script takes the place of nothing, whatever its amount.
#[tokio::test(flavor = "multi_thread")]
async fn an_authorisation_for_a_script_that_another_process_knows_to_be_old() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 50_000).await;
    let one = world.wallet("receiver").await;
    let id = world.open(&payer, &one, 40_000).await;
    let other = world.wallet("receiver").await;
    other.watch(&id).await.unwrap();
    pay(&payer, &one, &id, 1_000, "first");
    let same = payer.latest_update(&id).unwrap().message;
    payer.close().unwrap();
    std::fs::copy(world.path("payer"), world.path("other phone")).unwrap();
    let payer = world.wallet("payer").await;
    payer.pay(&id, sats(500), "second", None).unwrap();
    let more = payer.latest_update(&id).unwrap().message;

    world.regtest.operator().await.change(|settings| settings.checkpoint_delay += 1);
    one.watch(&id).await.unwrap();
    let phone = Wallet::open(world.config("other phone"), &World::mnemonic("payer")).await.unwrap();
    let again = phone.reauthorise(&id).await.unwrap().message;
    one.receive(&again).unwrap();

    let stored = || Store::open(&world.path("receiver")).unwrap().read(|db| db.channel(&id)).unwrap().unwrap();
    let before = stored();
    for old in [same, more] {
        assert!(old.authorisation.is_some() && old.authorisation != again.authorisation);
        let error = refused(other.receive(&old));
        assert!(matches!(error, WalletError::Channel(ChannelError::UnknownCheckpointScript { .. })), "{error}");
        let answers = other.receive_many(&[old]).unwrap();
        assert!(answers.iter().all(Result::is_err), "{answers:?}");
        assert_eq!(stored(), before);
    }
    one.close_channel(&id).await.unwrap();
}
