//! Killed while a channel is opened in a batch: it exists on both sides or on neither, no coin stays held, and the
//! opening can be taken to its end.

use std::time::Duration;

use regtest::operator::{Call, Phase, Unit};
use secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};
use virtual_channels::channel::{Accept, Invite, Offer};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Acceptance, FundingChoice, InviteRequest, Wallet};

use crate::child::{listen, say};
use crate::stage::{Kill, Stage, enter};
use crate::world::{eventually, request, sats};

const FUNDS: u64 = 2_000_000;
const CAPACITY: u64 = 10_000;

/// Proposes, says the offer, is told the accept, opens.
pub async fn payer(arguments: &[&str]) {
    let (wallet, rest) = enter(arguments).await;
    let invite = Invite::parse(rest[0]).unwrap();
    let proposal = wallet.propose(&invite, &request(CAPACITY, FundingChoice::Batch)).await.unwrap();
    say(&proposal.offer.to_text().unwrap());
    let accept = Accept::parse(&listen().unwrap()).unwrap();
    wallet.open_channel(&accept).await.unwrap();
    say("done");
    listen();
}

/// Accepts the offer, says the accept, and co-signs until it is killed.
pub async fn receiver(arguments: &[&str]) {
    let (wallet, rest) = enter(arguments).await;
    let offer = Offer::parse(rest[0]).unwrap();
    let Acceptance::Accepted(accept) = wallet.accept(&offer).await.unwrap() else { panic!("a batch offer") };
    say(&accept.to_text().unwrap());
    listen();
}

/// The points at which a payer is killed: each call of its own, each step, and random moments.
fn payer_points() -> Vec<Kill> {
    let mut points = vec![Kill::At(Phase::Started), Kill::At(Phase::Nonces), Kill::At(Phase::Signatures)];
    for call in [Call::RegisterIntent, Call::ConfirmRegistration, Call::SubmitSignedForfeitTxs] {
        points.extend([Kill::Before(call), Kill::Answering(call)]);
    }
    points.extend([Kill::At(Phase::Forfeits), Kill::At(Phase::Broadcast), Kill::At(Phase::Finalized)]);
    let steps = ["Registered", "BatchStarted", "TreeSigned", "BranchStored", "BatchFinalized", "done"];
    points.extend(steps.map(Kill::Said));
    let mut rng = StdRng::seed_from_u64(302);
    points.extend((0..8).map(|_| Kill::After(Duration::from_micros(rng.gen_range(0..1_200_000)))));
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_killed_while_it_opens() {
    let stage = Stage::new(Unit::Seconds).await;
    let payer = stage.wallet("payer").await;
    stage.world.board(&payer, FUNDS).await;
    stage.world.settle(&payer).await;
    payer.close().unwrap();
    let receiver = stage.wallet("receiver").await;
    let mut channels = 0;
    for kill in payer_points() {
        println!("the payer is killed: {kill:?}");
        let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
        stage.prepare(kill).await;
        let victim = stage.victim("open: payer", "payer", &[&invite.to_text().unwrap()]);
        let mut offer = None;
        let answer = async |victim: &mut crate::child::Victim, line: &str| {
            if let Ok(heard) = Offer::parse(line) {
                victim.tell(&accepted(&receiver, &heard).await.to_text().unwrap());
                offer = Some(heard);
            }
        };
        stage.strike(victim, kill, answer).await;
        println!("  it left: {:?}", stage.flows("payer"));
        let payer = stage.wallet("payer").await;
        recover(&stage, &payer, &receiver, offer.as_ref(), channels).await;
        channels = payer.channels().unwrap().len();
        payer.close().unwrap();
    }
}

fn receiver_points() -> Vec<Kill> {
    let mut points = vec![Kill::Before(Call::GetEventStream)];
    points.extend([Phase::Started, Phase::Nonces, Phase::Signatures, Phase::Forfeits].map(Kill::At));
    points.extend([Phase::Broadcast, Phase::Finalized].map(Kill::At));
    points.extend(["BatchStarted", "TreeSigned", "BranchStored"].map(Kill::Said));
    let mut rng = StdRng::seed_from_u64(303);
    points.extend((0..6).map(|_| Kill::After(Duration::from_micros(rng.gen_range(0..1_200_000)))));
    points
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_killed_while_it_opens() {
    let stage = Stage::new(Unit::Seconds).await;
    let payer = stage.wallet("payer").await;
    stage.world.board(&payer, FUNDS).await;
    stage.world.settle(&payer).await;
    let mut channels = 0;
    for kill in receiver_points() {
        println!("the receiver is killed: {kill:?}");
        let receiver = stage.wallet("receiver").await;
        let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
        receiver.close().unwrap();
        let offer = payer.propose(&invite, &request(CAPACITY, FundingChoice::Batch)).await.unwrap().offer;
        stage.prepare(kill).await;
        let victim = stage.victim("open: receiver", "receiver", &[&offer.to_text().unwrap()]);
        let mut opening = None;
        let answer = async |_: &mut crate::child::Victim, line: &str| {
            if let Ok(accept) = Accept::parse(line) {
                let payer = payer.clone();
                opening = Some(tokio::spawn(async move { payer.open_channel(&accept).await }));
            }
        };
        stage.strike(victim, kill, answer).await;
        println!("  it left: {:?}", stage.flows("receiver"));
        let receiver = stage.wallet("receiver").await;
        // The payer tries again for as long as the accept holds; the receiver must be back by then.
        let (_, errors) = receiver.resume().await.unwrap();
        println!("  the receiver's resume: {errors:?}");
        if let Some(opening) = opening {
            let opened = opening.await.unwrap();
            println!("  the payer's opening: {:?}", opened.as_ref().err());
        }
        recover(&stage, &payer, &receiver, Some(&offer), channels).await;
        channels += 1;
        assert_eq!(payer.channels().unwrap().len(), channels);
        receiver.close().unwrap();
    }
}

async fn accepted(receiver: &Wallet, offer: &Offer) -> Accept {
    match receiver.accept(offer).await.unwrap() {
        Acceptance::Accepted(accept) => accept,
        Acceptance::Open(id) => panic!("{id} is open already"),
    }
}

/// Resumes both sides until nothing is under way, checks that they agree, and opens what had not been opened.
async fn recover(stage: &Stage, payer: &Wallet, receiver: &Wallet, offer: Option<&Offer>, before: usize) {
    settle_flows(stage, payer, receiver, true).await;
    agree(payer, receiver).await;
    if let Some(offer) = offer.filter(|_| payer.channels().unwrap().len() == before) {
        println!("  opened again");
        let accept = accepted(receiver, offer).await;
        payer.open_channel(&accept).await.unwrap();
        settle_flows(stage, payer, receiver, false).await;
        agree(payer, receiver).await;
    }
}

/// Resumes until both sides have nothing left to do, with blocks and time in between. A payer that met silence has
/// ended its try, while the receiver may still listen for the next one (`listening`).
async fn settle_flows(stage: &Stage, payer: &Wallet, receiver: &Wallet, listening: bool) {
    for attempt in 0.. {
        let (payer_left, payer_errors) = payer.resume().await.unwrap();
        stage.world.mine(1).await;
        let (receiver_left, receiver_errors) = receiver.resume().await.unwrap();
        if payer_left == 0 && (receiver_left == 0 || listening && attempt >= 3) {
            return;
        }
        println!("  {attempt}: payer {payer_left} {payer_errors:?}, receiver {receiver_left} {receiver_errors:?}");
        assert!(attempt < 20, "it does not come to an end");
        if payer_left > 0 {
            stage.pass(20);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Both sides have the same channels, all open; every sat is where it belongs and free.
async fn agree(payer: &Wallet, receiver: &Wallet) {
    let ids = |wallet: &Wallet| {
        let mut ids: Vec<String> = wallet.channels().unwrap().iter().map(|info| info.id.to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(payer), ids(receiver));
    for info in payer.channels().unwrap() {
        for wallet in [payer, receiver] {
            if wallet.channel(&info.id).unwrap().state == ChannelState::Confirming {
                eventually("open", async || {
                    wallet.watch(&info.id).await.is_ok_and(|report| report.state == ChannelState::Open)
                })
                .await;
            }
        }
    }
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.total(), balance.pending), (sats(FUNDS), sats(0)), "{balance:?}");
    assert_eq!(balance.in_channels, sats(CAPACITY * ids(payer).len() as u64));
    assert_eq!(receiver.balance().await.unwrap().total(), sats(0));
}
