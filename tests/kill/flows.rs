//! Killed while it settles, sends, funds a channel off chain, or takes a channel back: each call of each flow, before
//! the operator has seen it and before its answer has come.

use regtest::operator::{Call, Phase, Unit};
use virtual_channels::channel::{ChannelId, Invite};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Acceptance, FundingChoice, InviteRequest, Wallet};

use crate::child::{listen, say};
use crate::stage::{Kill, Stage, enter};
use crate::world::{pay, request, sats};

const FUNDS: u64 = 300_000;
const SENT: u64 = 1_000;
const CAPACITY: u64 = 10_000;

/// Settles everything again.
pub async fn settle(arguments: &[&str]) {
    let (wallet, _) = enter(arguments).await;
    wallet.settle(true).await.unwrap();
    say("done");
    listen();
}

/// Sends to the address it is told of.
pub async fn send(arguments: &[&str]) {
    let (wallet, rest) = enter(arguments).await;
    wallet.send(rest[0], sats(SENT)).await.unwrap();
    say("done");
    listen();
}

/// Funds a channel for the invite it is told of.
pub async fn fund(arguments: &[&str]) {
    let (wallet, rest) = enter(arguments).await;
    let invite = Invite::parse(rest[0]).unwrap();
    wallet.propose(&invite, &request(CAPACITY, FundingChoice::Offchain)).await.unwrap();
    say("done");
    listen();
}

/// Takes back the channel it is told of.
pub async fn refund(arguments: &[&str]) {
    let (wallet, rest) = enter(arguments).await;
    let id: ChannelId = rest[0].parse().unwrap();
    wallet.refund(&id).await.unwrap();
    say("done");
    listen();
}

fn around(calls: &[Call]) -> Vec<Kill> {
    calls.iter().flat_map(|call| [Kill::Before(*call), Kill::Answering(*call)]).collect()
}

/// The steps of every off-chain transaction.
fn offchain_points() -> Vec<Kill> {
    let mut points = around(&[Call::GetInfo, Call::GetVtxos, Call::SubmitTx, Call::FinalizeTx]);
    points.extend(["Submitted", "done"].map(Kill::Said));
    points
}

/// Resumes until nothing is under way, with blocks and time in between.
async fn resume(stage: &Stage, wallet: &Wallet, name: &str) {
    for attempt in 0.. {
        let (left, errors) = wallet.resume().await.unwrap();
        if left == 0 {
            assert_eq!(stage.flows(name), Vec::<String>::new());
            assert_eq!(wallet.balance().await.unwrap().pending, sats(0));
            return;
        }
        println!("  {attempt}: {left} left, {errors:?}");
        assert!(attempt < 20, "it does not come to an end");
        stage.pass(20);
    }
}

/// A wallet with funds, not open.
async fn funded(unit: Unit) -> Stage {
    let stage = Stage::new(unit).await;
    let wallet = stage.wallet("wallet").await;
    stage.world.board(&wallet, FUNDS).await;
    stage.world.settle(&wallet).await;
    wallet.close().unwrap();
    stage
}

/// Runs `task` in a child until it is killed; answers the wallet, opened again.
async fn killed(stage: &Stage, task: &str, argument: &str, kill: Kill) -> Wallet {
    stage.prepare(kill).await;
    let victim = stage.victim(task, "wallet", &[argument]);
    stage.strike(victim, kill, async |_, _| {}).await;
    println!("{task}: killed {kill:?}; it left {:?}", stage.flows("wallet"));
    stage.wallet("wallet").await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_settles() {
    let stage = funded(Unit::Seconds).await;
    let calls = [
        Call::RegisterIntent,
        Call::ConfirmRegistration,
        Call::SubmitTreeNonces,
        Call::SubmitTreeSignatures,
        Call::SubmitSignedForfeitTxs,
    ];
    let mut points = around(&calls);
    points.extend([Kill::At(Phase::Broadcast), Kill::At(Phase::Finalized), Kill::Said("done")]);
    for (number, kill) in (0..).zip(points) {
        let expected = FUNDS + SENT;
        if number == 0 {
            // The first time from a boarding coin, too.
            let wallet = stage.wallet("wallet").await;
            stage.world.board(&wallet, SENT).await;
            wallet.close().unwrap();
        }
        let wallet = killed(&stage, "settle", "", kill).await;
        resume(&stage, &wallet, "wallet").await;
        stage.world.mine(1).await;
        assert_eq!(wallet.balance().await.unwrap().total(), sats(expected));
        // Everything is free for the next batch.
        wallet.settle(true).await.unwrap();
        stage.world.mine(1).await;
        assert_eq!(wallet.balance().await.unwrap().settled, sats(expected));
        wallet.close().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_sends() {
    let stage = funded(Unit::Seconds).await;
    let other = stage.wallet("other").await;
    let address = other.ark_address().unwrap();
    let mut arrived = 0;
    for kill in offchain_points() {
        let wallet = killed(&stage, "send", &address, kill).await;
        let begun = !stage.flows("wallet").is_empty() || matches!(kill, Kill::Said(_));
        resume(&stage, &wallet, "wallet").await;
        let now = other.balance().await.unwrap().total().to_sat();
        assert_eq!(now, arrived + if begun { SENT } else { 0 }, "sent once, or never begun");
        arrived = now;
        assert_eq!(wallet.balance().await.unwrap().total(), sats(FUNDS - arrived));
        wallet.close().unwrap();
    }
    assert!(arrived >= 4 * SENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_funds_a_channel_off_chain() {
    let stage = funded(Unit::Seconds).await;
    let receiver = stage.wallet("receiver").await;
    let mut paid = 0;
    for kill in offchain_points() {
        let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
        let wallet = killed(&stage, "fund", &invite.to_text().unwrap(), kill).await;
        let begun = !stage.flows("wallet").is_empty() || matches!(kill, Kill::Said(_));
        resume(&stage, &wallet, "wallet").await;
        assert_eq!(wallet.balance().await.unwrap().total(), sats(FUNDS - paid));
        let opened = wallet.channels().unwrap().into_iter().find(|info| info.state == ChannelState::Open);
        assert_eq!(opened.is_some(), begun, "funded once, or never begun");
        let offer = match opened {
            // The killed process did not hand the offer over.
            Some(info) => wallet.offer(&info.id).unwrap(),
            None => wallet.propose(&invite, &request(CAPACITY, FundingChoice::Offchain)).await.unwrap().offer,
        };
        let Acceptance::Open(id) = receiver.accept(&offer).await.unwrap() else { panic!("open at once") };
        pay(&wallet, &receiver, &id, SENT, "one");
        receiver.close_channel(&id).await.unwrap();
        paid += SENT;
        assert_eq!(wallet.watch(&id).await.unwrap().state, ChannelState::Closed);
        // The next one needs settled coins.
        wallet.settle(true).await.unwrap();
        stage.world.mine(1).await;
        assert_eq!(wallet.balance().await.unwrap().settled, sats(FUNDS - paid));
        wallet.close().unwrap();
    }
    assert_eq!(receiver.balance().await.unwrap().total(), sats(paid));
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_refunds() {
    let stage = funded(Unit::Blocks).await;
    let wallet = stage.wallet("wallet").await;
    let receiver = stage.wallet("receiver").await;
    let points = offchain_points();
    let mut channels = Vec::new();
    for _ in &points {
        channels.push(stage.world.open(&wallet, &receiver, CAPACITY).await);
    }
    let height = stage.world.regtest.node().tip().await.unwrap().height;
    let locktime = wallet.channel(channels.last().unwrap()).unwrap().locktime.to_consensus_u32();
    stage.world.mine(locktime - height).await;
    wallet.close().unwrap();
    for (id, kill) in channels.iter().zip(points) {
        let wallet = killed(&stage, "refund", &id.to_string(), kill).await;
        resume(&stage, &wallet, "wallet").await;
        if wallet.channel(id).unwrap().state == ChannelState::Open {
            // It had not begun.
            wallet.refund(id).await.unwrap();
        }
        assert_eq!(wallet.channel(id).unwrap().state, ChannelState::Refunded);
        let balance = wallet.balance().await.unwrap();
        assert_eq!((balance.total(), balance.pending), (sats(FUNDS), sats(0)));
        wallet.close().unwrap();
    }
}
