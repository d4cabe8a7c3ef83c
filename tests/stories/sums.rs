//! What a wallet shows: no sat is ever counted twice or not at all, quotes spend nothing, texts are told apart, events
//! come until they are acknowledged.

use std::time::Duration;

use bitcoin::Amount;
use regtest::operator::{Call, Knob, Phase, Unit};
use virtual_channels::channel::message::{Message, UpdateMessage};
use virtual_channels::channel::{ArkAddress, ChannelError};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{
    Event, EventKind, FundingChoice, InviteRequest, Parsed, Step, Wallet, WalletConfig, WalletError,
};

use crate::coins::{elsewhere, set_fees, total};
use crate::opening::{shown, take_events, with_clock};
use crate::world::{World, eventually, pay, refused, request, sats};

/// While a settling stands at `phase`, every sat is shown once.
async fn sum_while_settling(phase: Phase) {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    world.board(&wallet, 5_000).await;
    world.regtest.operator().await.faults().turn(Knob::Stall(phase));
    let registered = world.regtest.operator().await.faults().seen(Call::SubmitTreeNonces);
    let settling = tokio::spawn({
        let wallet = wallet.clone();
        async move { wallet.settle(true).await }
    });
    eventually("pending", async || wallet.balance().await.is_ok_and(|b| b.pending == sats(15_000))).await;
    if phase != Phase::Started {
        let seen = async || world.regtest.operator().await.faults().seen(Call::SubmitTreeNonces);
        eventually("nonces", async || seen().await > registered).await;
    }
    for _ in 0..5 {
        assert_eq!(total(&wallet).await, sats(15_000));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    world.regtest.operator().await.faults().clear();
    settling.await.unwrap().unwrap();
    let balance = wallet.balance().await.unwrap();
    assert_eq!((balance.preconfirmed, balance.total()), (sats(15_000), sats(15_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn sum_while_a_batch_has_started() {
    sum_while_settling(Phase::Started).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sum_before_forfeits_are_taken() {
    sum_while_settling(Phase::Forfeits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sum_before_the_end_is_told() {
    sum_while_settling(Phase::Finalized).await;
}

/// The receiver has closed and the payer has not looked yet, then it has: the sum is the same.
#[tokio::test(flavor = "multi_thread")]
async fn sum_around_a_close() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    let sums = async || (total(&payer).await, total(&receiver).await);
    assert_eq!(sums().await, (sats(28_000), sats(12_000)));
    receiver.close_channel(&id).await.unwrap();
    assert_eq!(sums().await, (sats(28_000), sats(12_000)));
    eventually("the payer sees the close", async || {
        assert_eq!(total(&payer).await, sats(28_000));
        payer.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Closed)
    })
    .await;
    assert_eq!(sums().await, (sats(28_000), sats(12_000)));
    // An address that was shown is for nothing else: what arrives there does not blur the sums.
    let own = payer.ark_address().unwrap();
    receiver.send(&own, sats(2_000)).await.unwrap();
    assert_eq!(sums().await, (sats(30_000), sats(10_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn quoting_a_channel_spends_nothing() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    set_fees(&world).await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let before = shown(&payer).await;
    let batch = payer.quote_open(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    assert_eq!((batch.fee, batch.amount), (sats(70), sats(30_000)));
    let offchain = payer.quote_open(&invite, &request(30_000, FundingChoice::Offchain)).await.unwrap();
    assert_eq!((offchain.fee, offchain.amount), (Amount::ZERO, sats(30_000)));
    for quote in [&batch, &offchain] {
        assert!(quote.close_by.unwrap() < quote.locktime.unwrap());
        assert!(!quote.trust.is_empty());
    }
    assert!(offchain.trust[0].contains("preconfirmed") && !batch.trust[0].contains("preconfirmed"));
    assert_eq!(shown(&payer).await, before);
    // What was quoted is what is proposed.
    let proposal = payer.propose(&invite, &request(30_000, FundingChoice::Batch)).await.unwrap();
    let locktime = u64::from(proposal.offer.terms.locktime.to_consensus_u32());
    assert!(locktime.abs_diff(batch.locktime.unwrap()) <= 30);
    assert_eq!(shown(&payer).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_text_is_told_apart() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let (offer, accept) = world.agree(&payer, &receiver, 30_000).await;
    let id = payer.open_channel(&accept).await.unwrap();
    world.confirm(&payer, &receiver, &id).await;
    let payment = payer.pay(&id, sats(5_000), "one", Some("tea")).unwrap();
    receiver.receive(&payment.message).unwrap();
    let receipt = receiver.receipt(&id, Some("tea")).unwrap();
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let texts = [
        invite.to_text().unwrap(),
        offer.to_text().unwrap(),
        accept.to_text().unwrap(),
        payment.message.to_text().unwrap(),
        receipt.to_text().unwrap(),
    ];
    for (index, text) in texts.iter().enumerate() {
        for written in [text.clone(), text.to_uppercase(), format!("  {text}\n")] {
            let Parsed::Message(message) = payer.parse(&written).unwrap() else { panic!("{written}") };
            let kind = match *message {
                Message::Invite(found) => found == invite && index == 0,
                Message::Offer(found) => *found == offer && index == 1,
                Message::Accept(found) => found == accept && index == 2,
                Message::Update(found) => *found == payment.message && index == 3,
                Message::Receipt(found) => found == receipt && index == 4,
                Message::CloseRequest(_) | Message::CloseGrant(_) => false,
            };
            assert!(kind, "{written}");
        }
        let damaged: String =
            text.chars().enumerate().map(|(i, c)| if i == 20 { if c == 'q' { 'p' } else { 'q' } } else { c }).collect();
        assert!(matches!(refused(payer.parse(&damaged)), WalletError::Channel(ChannelError::Checksum)));
        assert!(payer.parse(&text[..text.len() / 2]).is_err());
    }
    let ark = receiver.ark_address().unwrap();
    assert_eq!(payer.parse(&ark).unwrap(), Parsed::ArkAddress(ark.clone()));
    let (chain, _) = elsewhere(0);
    let bare = Parsed::ChainAddress(chain.clone());
    for text in [chain.clone(), format!("bitcoin:{chain}"), format!("BITCOIN:{chain}?amount=0.001&label=x")] {
        assert_eq!(payer.parse(&text).unwrap(), bare);
    }
    let parsed = ArkAddress::parse(&ark).unwrap();
    let mainnet = ArkAddress { mainnet: true, ..parsed }.to_string();
    let long = "x".repeat(1 << 20);
    let foreign = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr";
    for text in ["", " ", "hello", "bitcoin:", "lnbc1", "ü€😀:", foreign, &mainnet, &long] {
        let error = refused(payer.parse(text));
        assert!(matches!(error, WalletError::Channel(_)), "{error}");
    }
    assert!(UpdateMessage::parse(&texts[0]).is_err(), "another kind");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_again_until_acknowledged() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 40_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 30_000).await;
    take_events(&payer).await;
    pay(&payer, &receiver, &id, 5_000, "one");
    pay(&payer, &receiver, &id, 1_000, "two");
    let received = EventKind::PaymentReceived { amount: sats(6_000), increase: sats(6_000) };
    let durable = async |wallet: &Wallet| {
        loop {
            let event = wallet.next_event().await.unwrap();
            if event.token.is_some() {
                return event;
            }
        }
    };
    let opened = durable(&receiver).await;
    assert_eq!(durable(&receiver).await, opened, "the same again");
    receiver.close().unwrap();
    let receiver = world.wallet("receiver").await;
    assert_eq!(durable(&receiver).await, opened, "after a restart, too");
    let all = take_events(&receiver).await;
    assert_eq!(all, vec![EventKind::ChannelFunded, EventKind::ChannelOpened, received]);
    assert!(take_events(&receiver).await.is_empty());
    assert_eq!(take_events(&payer).await, vec![EventKind::PaymentSent { amount: sats(6_000), increase: sats(6_000) }]);
    pay(&payer, &receiver, &id, 500, "three");
    let more = EventKind::PaymentReceived { amount: sats(6_500), increase: sats(500) };
    assert_eq!(take_events(&receiver).await, vec![more]);
    assert!(receiver.acknowledge_event("rubbish").is_err());
}

/// Expired VTXOs are shown as such and come back by settling.
#[tokio::test(flavor = "multi_thread")]
async fn expired_coins_come_back() {
    let world = World::start(Unit::Seconds).await;
    let wallet = world.rich("wallet", 10_000).await;
    wallet.close().unwrap();
    let (wallet, clock) = with_clock(&world, "wallet").await;
    clock.by(90_000);
    world.regtest.operator().await.change(|settings| settings.clock_shift = 90_000);
    let balance = wallet.balance().await.unwrap();
    assert_eq!((balance.recoverable, balance.total()), (sats(10_000), sats(10_000)));
    let error = refused(wallet.send(&world.wallet("shop").await.ark_address().unwrap(), sats(5_000)).await);
    let WalletError::InsufficientFunds { available, .. } = error else { panic!("{error}") };
    assert_eq!(available, Amount::ZERO);
    let settled = wallet.settle(false).await.unwrap();
    assert_eq!((settled.amount, settled.fee), (sats(10_000), Amount::ZERO));
    assert_eq!(wallet.balance().await.unwrap().preconfirmed, sats(10_000));
}

/// Without the operator the wallet opens and shows its channels; what needs the operator says so soon.
#[tokio::test(flavor = "multi_thread")]
async fn operator_away() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    wallet.close().unwrap();
    world.regtest.stop_operator().await;
    let wallet = world.wallet("wallet").await;
    assert!(wallet.channels().unwrap().is_empty());
    let started = std::time::Instant::now();
    for error in [refused(wallet.settle(true).await), refused(wallet.balance().await)] {
        assert!(matches!(&error, WalletError::Operator(error) if error.is_transport()), "{error}");
    }
    assert!(started.elapsed() < Duration::from_secs(20));
    let config = WalletConfig { ..world.config("new") };
    assert!(Wallet::open(config, &World::mnemonic("new")).await.is_err());
    assert!(!world.path("new").exists());
    world.regtest.start_operator().await.unwrap();
    assert_eq!(wallet.settle(true).await.unwrap().amount, sats(10_000));
}

/// An indexer that shows what has been spent, and not yet what came of it: no sat is counted twice, or missed.
#[tokio::test(flavor = "multi_thread")]
async fn books_that_lag_behind() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 20_000).await;
    let shop = world.wallet("shop").await;
    wallet.pending_events(1_000).unwrap();
    let ended = |event: &Event| matches!(event.kind, EventKind::Progress { step: Step::BatchFinalized, .. });
    let late = async {
        let seen = async || world.regtest.operator().await.faults().seen(Call::ConfirmRegistration);
        let before = seen().await;
        eventually("a batch", async || seen().await > before).await;
        world.regtest.operator().await.faults().turn(Knob::StaleNew);
        eventually("its end", async || wallet.pending_events(10).is_ok_and(|events| events.iter().any(ended))).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        world.regtest.operator().await.faults().release(Knob::StaleNew);
    };
    let (settled, ()) = tokio::join!(wallet.settle(true), late);
    settled.unwrap();
    assert_eq!(total(&wallet).await, sats(20_000));
    world.regtest.operator().await.faults().turn(Knob::StaleSpent);
    wallet.settle(true).await.unwrap();
    assert_eq!(total(&wallet).await, sats(20_000));
    // What was just spent is not picked again either.
    wallet.send(&shop.ark_address().unwrap(), sats(5_000)).await.unwrap();
    wallet.send(&shop.ark_address().unwrap(), sats(5_000)).await.unwrap();
    assert_eq!((total(&wallet).await, total(&shop).await), (sats(10_000), sats(10_000)));
}
