//! A receiver killed while it receives: nothing below what it acknowledged, nothing that was not sent.

use std::path::PathBuf;
use std::time::Duration;

use secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};
use virtual_channels::channel::{ChannelId, Receipt, UpdateMessage};
use virtual_channels::wallet::{EventKind, Wallet};

use crate::child::{Victim, listen, points, say, wait_exactly};
use crate::pair::sats;
use crate::ready::{Ready, Side};

/// Kills of a run that is not told otherwise.
const POINTS: u32 = 140;
const STEP: u64 = 500;
const CAPACITY: u64 = 1_000_000_000;
/// Updates the child is given; more than it can take before it is killed.
const BURST: usize = 24;

/// Receives what it is told; says each receipt after `receive` has returned.
pub async fn child(arguments: &[&str]) {
    let side = Side { path: PathBuf::from(arguments[0]), words: arguments[1].to_owned() };
    let id: ChannelId = arguments[2].parse().unwrap();
    let wallet = side.open().await;
    let mut updates = Vec::new();
    while let Some(line) = listen().filter(|line| line != "now") {
        updates.push(UpdateMessage::parse(&line).unwrap());
    }
    // Loads the channel, so that a moment is one of receiving.
    wallet.channel(&id).unwrap();
    say("ready");
    for update in &updates {
        wallet.receive(update).unwrap();
        say(&wallet.receipt(&id, None).unwrap().to_text().unwrap());
    }
    listen();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_receiver_keeps_what_it_acknowledged() {
    let ready = Ready::new(CAPACITY, 1);
    let id = ready.id();
    let payer = ready.payer.open().await;
    let mut rng = StdRng::seed_from_u64(301);
    let (mut paid, mut stored, mut told) = (0, 0, 0);
    let (mut said, mut unsaid) = (0, 0);
    let points = points(POINTS);
    for _ in 0..points {
        // What the receiver has not taken comes again with the first update that adds to it.
        let sent: Vec<UpdateMessage> = (0..BURST)
            .map(|_| {
                paid += STEP;
                payer.pay(&id, sats(STEP), &paid.to_string(), None).unwrap().message
            })
            .collect();
        let arguments = [ready.receiver.path.to_str().unwrap(), &ready.receiver.words, &id.to_string()];
        let mut victim = Victim::start("receive", &arguments);
        for message in &sent {
            victim.tell(&message.to_text().unwrap());
        }
        victim.tell("now");
        assert_eq!(victim.hear(), "ready");
        wait_exactly(Duration::from_micros(rng.gen_range(0..40_000)));
        let receipts: Vec<Receipt> = victim.kill().iter().map(|text| Receipt::parse(text).unwrap()).collect();
        let receiver = ready.receiver.open().await;
        let after = check(&receiver, &id, stored, &sent, &receipts);
        said += receipts.len();
        unsaid += usize::from(receipts.last().map_or(stored, |receipt| receipt.amount.to_sat()) < after);
        // Receipts are proof of payment, and the payer can hold the receiver to each.
        receipts.iter().for_each(|receipt| payer.acknowledge(receipt).unwrap());
        told = acknowledge_event(&receiver, told, after, rng.gen_bool(0.5));
        stored = after;
        receiver.close().unwrap();
    }
    println!("{points} kills: {said} receipts had left, {unsaid} updates were stored without one");
    assert!(said > 0, "no receipt was ever given: the moments are too early to show anything");
}

/// What is stored after a kill, against what was stored before, what was sent and what was acknowledged.
fn check(receiver: &Wallet, id: &ChannelId, before: u64, sent: &[UpdateMessage], receipts: &[Receipt]) -> u64 {
    let stored = receiver.channel(id).unwrap().amount.to_sat();
    for (receipt, message) in receipts.iter().zip(sent) {
        assert_eq!(receipt.amount, message.update.amount, "receipts follow on each other");
    }
    let acknowledged = receipts.last().map_or(before, |receipt| receipt.amount.to_sat());
    assert!(stored >= acknowledged, "{acknowledged} was acknowledged, {stored} is stored: money was forgotten");
    if stored == before {
        return stored;
    }
    let place = sent.iter().position(|message| message.update.amount.to_sat() == stored);
    let place = place.unwrap_or_else(|| panic!("{stored} is stored, which nobody sent"));
    assert!(place <= receipts.len(), "{stored} is stored, {} receipts were given", receipts.len());
    assert_eq!(receiver.latest_update(id).unwrap().message.update, sent[place].update);
    stored
}

/// The event of the payments is there after the kill until it is acknowledged, and its increases add up.
fn acknowledge_event(receiver: &Wallet, told: u64, stored: u64, acknowledge: bool) -> u64 {
    let events = receiver.pending_events(10).unwrap();
    if stored == told {
        assert_eq!(events, []);
        return told;
    }
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event.kind, EventKind::PaymentReceived { amount: sats(stored), increase: sats(stored - told) });
    if !acknowledge {
        return told;
    }
    receiver.acknowledge_event(event.token.as_ref().unwrap()).unwrap();
    stored
}
