//! File and backup are lost: the other side describes the channel, and shows its latest update.

use regtest::operator::Unit;
use virtual_channels::channel::message::Funding;
use virtual_channels::channel::{ChannelError, ChannelId, Offer, Payout};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{KeyUse, Keys, Wallet, WalletError};

use crate::lost::{assert_all_new, assert_not_surprised, latest, lose, opened};
use crate::world::{World, eventually, pay, refused, sats};

fn described(wallet: &Wallet, id: &ChannelId) -> Offer {
    let text = wallet.describe_channel(id).unwrap().to_text().unwrap();
    Offer::parse(&text).unwrap()
}

async fn receiver_comes_back(unit: Unit, offchain: bool) {
    let world = World::start(unit).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = match offchain {
        true => world.open_offchain(&payer, &receiver, 40_000).await,
        false => world.open(&payer, &receiver, 40_000).await,
    };
    pay(&payer, &receiver, &id, 12_000, "one");
    payer.acknowledge(&receiver.receipt(&id, None).unwrap()).unwrap();
    let kind = receiver.channel(&id).unwrap().funding_kind;
    let (receiver, report) = lose(&world, "receiver", receiver, None).await;
    assert!(report.channels.is_empty());
    assert!(matches!(refused(receiver.receive(&latest(&payer, &id))), WalletError::NotFound));

    assert_eq!(receiver.recover_channel(&described(&payer, &id)).await.unwrap(), id);
    let info = receiver.channel(&id).unwrap();
    assert_eq!((info.funding_kind, info.state, info.awaits_update), (kind, ChannelState::Open, true));
    assert_eq!(receiver.recover_channel(&described(&payer, &id)).await.unwrap(), id, "twice is once");
    assert_eq!(receiver.receive(&latest(&payer, &id)).unwrap().amount, sats(12_000));
    pay(&payer, &receiver, &id, 500, "two");
    receiver.close_channel(&id).await.unwrap();
    eventually("paid", async || receiver.balance().await.is_ok_and(|b| b.preconfirmed == sats(12_500))).await;
    let terms = described(&payer, &id).terms;
    let own = Keys::from_mnemonic(&World::mnemonic("receiver"), virtual_channels::channel::Network::Regtest).unwrap();
    // Its keys are not given out once more.
    let invite = receiver.create_invite(&Default::default()).unwrap();
    let key = |payout: Payout| payout.key().to_string();
    assert_all_new(
        &[terms.receiver.key.to_string(), key(terms.receiver.ark_payout), key(terms.receiver.chain_payout)],
        &[invite.receiver.key.to_string(), key(invite.receiver.ark_payout), key(invite.receiver.chain_payout)],
    );
    assert!((0..50).any(|index| own.keypair(KeyUse::Receiver, index).unwrap().xonly() == terms.receiver.key));
    assert_not_surprised(&receiver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_a_batch_channel() {
    receiver_comes_back(Unit::Seconds, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_a_preconfirmed_channel() {
    receiver_comes_back(Unit::Blocks, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let [id, other] = [world.open(&payer, &receiver, 40_000).await, world.open(&payer, &receiver, 20_000).await];
    pay(&payer, &receiver, &id, 12_000, "one");
    let (payer, _) = lose(&world, "payer", payer, None).await;
    assert_eq!(payer.balance().await.unwrap().total(), sats(40_000));
    for id in [id, other] {
        assert_eq!(payer.recover_channel(&described(&receiver, &id)).await.unwrap(), id);
        assert!(matches!(refused(payer.pay(&id, sats(1_000), "two", None)), WalletError::CatchUpNeeded { .. }));
    }
    assert_eq!(payer.catch_up(&latest(&receiver, &id)).unwrap(), sats(12_000));
    assert_eq!(pay(&payer, &receiver, &id, 1_000, "two").amount, sats(13_000));
    // What was never paid in is taken back after the locktime, as ever.
    let locktime = payer.channel(&other).unwrap().locktime.to_consensus_u32();
    let height = world.regtest.node().tip().await.unwrap().height;
    world.mine(locktime.saturating_sub(height)).await;
    payer.refund(&other).await.unwrap();
    eventually("back", async || payer.balance().await.is_ok_and(|b| b.preconfirmed == sats(20_000))).await;
    assert_not_surprised(&payer);
}

/// A description in which anything is changed leads to no channel, and to no file entry.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_described_is_not_believed() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let closed = world.open(&payer, &receiver, 10_000).await;
    pay(&payer, &receiver, &closed, 5_000, "one");
    receiver.close_channel(&closed).await.unwrap();
    let (receiver, _) = lose(&world, "receiver", receiver, None).await;
    let good = described(&payer, &id);
    let spent = described(&payer, &closed);
    let Funding::Offchain { outpoint } = good.funding else { panic!() };
    let changed = |change: &dyn Fn(&mut Offer)| {
        let mut offer = good.clone();
        change(&mut offer);
        offer
    };
    let payers = good.terms.payer;
    type Bad<'a> = (&'a str, Offer);
    let bad: [Bad<'_>; 10] = [
        ("payouts of the payer's", changed(&|offer| offer.terms.receiver.ark_payout = payers.ark_payout)),
        ("the payer's payout on chain", changed(&|offer| offer.terms.receiver.chain_payout = payers.chain_payout)),
        (
            "payouts of another channel",
            changed(&|offer| offer.terms.receiver.ark_payout = spent.terms.receiver.ark_payout),
        ),
        ("a stranger's key", changed(&|offer| offer.terms.receiver.key = payers.ark_payout.key())),
        ("another capacity", changed(&|offer| offer.terms.capacity = sats(41_000))),
        ("another payer", changed(&|offer| offer.terms.payer.key = payers.chain_payout.key())),
        ("another operator", changed(&|offer| offer.terms.operator = payers.chain_payout.key())),
        (
            "another outpoint",
            changed(&|offer| {
                offer.funding =
                    Funding::Offchain { outpoint: bitcoin::OutPoint { vout: outpoint.vout + 1, ..outpoint } };
            }),
        ),
        ("no outpoint", changed(&|offer| offer.funding = Funding::Batch { inputs: vec![outpoint] })),
        ("a channel that is spent", spent.clone()),
    ];
    for (what, offer) in bad {
        let error = refused(receiver.recover_channel(&offer).await);
        println!("{what}: {error}");
        assert!(receiver.channels().unwrap().is_empty(), "{what}");
    }
    let mismatch =
        refused(receiver.recover_channel(&changed(&|offer| offer.terms.receiver.ark_payout = payers.ark_payout)).await);
    assert!(matches!(mismatch, WalletError::Channel(ChannelError::OfferMismatch { .. })), "{mismatch}");
    // A stranger that hears of it has no part in it.
    let stranger = world.wallet("stranger").await;
    assert!(matches!(refused(stranger.recover_channel(&good).await), WalletError::NotFound));
    assert_eq!(receiver.recover_channel(&good).await.unwrap(), id);
}
