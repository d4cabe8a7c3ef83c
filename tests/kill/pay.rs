//! A payer killed while it pays: what has left it is never forgotten, what it never signed does not appear.

use std::path::PathBuf;
use std::time::Duration;

use secp256k1::rand::{Rng, SeedableRng, rngs::StdRng};
use virtual_channels::channel::{ChannelId, UpdateMessage};
use virtual_channels::wallet::Wallet;

use crate::child::{Victim, points, say, wait_exactly};
use crate::pair::sats;
use crate::ready::{Ready, Side};

/// Kills of a run that is not told otherwise.
const POINTS: u32 = 140;
const STEP: u64 = 500;
const CAPACITY: u64 = 1_000_000_000;

/// Pays for ever; says each update after `pay` has returned.
pub async fn child(arguments: &[&str]) {
    let side = Side { path: PathBuf::from(arguments[0]), words: arguments[1].to_owned() };
    let id: ChannelId = arguments[2].parse().unwrap();
    let limit: u64 = arguments[3].parse().unwrap();
    let wallet = side.open().await;
    // Loads the channel, so that a moment is one of paying.
    wallet.channel(&id).unwrap();
    say("ready");
    for _ in 0..limit {
        let next = wallet.channel(&id).unwrap().amount.to_sat() + STEP;
        let payment = wallet.pay(&id, sats(STEP), &payment_id(next), None).unwrap();
        assert_eq!((payment.amount.to_sat(), payment.repeated), (next, false));
        say(&payment.message.to_text().unwrap());
    }
}

/// Each payment is named for the amount it leads to.
fn payment_id(amount: u64) -> String {
    format!("up to {amount}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_payer_forgets_no_update() {
    let ready = Ready::new(CAPACITY, 1);
    let id = ready.id();
    let receiver = ready.receiver.open().await;
    let mut rng = StdRng::seed_from_u64(300);
    let mut amount = 0;
    let (mut said, mut unsaid) = (0, 0);
    let points = points(POINTS);
    for _ in 0..points {
        let arguments = [ready.payer.path.to_str().unwrap(), &ready.payer.words, &id.to_string(), "1000000"];
        let victim = Victim::start("pay", &arguments);
        assert_eq!(victim.hear(), "ready");
        wait_exactly(Duration::from_micros(rng.gen_range(0..40_000)));
        let texts = victim.kill();
        let updates: Vec<UpdateMessage> = texts.iter().map(|text| UpdateMessage::parse(text).unwrap()).collect();
        let payer = ready.payer.open().await;
        let stored = check(&payer, &id, amount, &updates);
        said += updates.len();
        unsaid += usize::from(stored > amount + STEP * updates.len() as u64);
        // What left is good money; so is the update that was stored and had not left.
        for update in updates.iter().chain(&payer.latest_update(&id).ok().map(|payment| payment.message)) {
            let received = receiver.receive(update).unwrap();
            assert_eq!(received.amount, update.update.amount);
        }
        amount = pay_again(&payer, &id, stored);
        payer.close().unwrap();
    }
    println!("{points} kills: {said} payments had left, {unsaid} were stored and had not left");
    assert!(said > 0, "no payment was ever said: the moments are too early to show anything");
}

/// What is stored after a kill, against what was stored before and what left since. Answers the amount.
fn check(payer: &Wallet, id: &ChannelId, before: u64, left: &[UpdateMessage]) -> u64 {
    let info = payer.channel(id).unwrap();
    let (stored, high) = (info.amount.to_sat(), info.high.to_sat());
    for (number, message) in (1..).zip(left) {
        assert_eq!(message.update.amount.to_sat(), before + STEP * number, "payments follow on each other");
        assert!(message.update.amount <= info.high, "{} left, the payer owns up to {high}", message.update.amount);
    }
    let last = before + STEP * left.len() as u64;
    assert!(stored >= last, "{last} left, {stored} is stored: an update was forgotten");
    assert!(stored <= last + STEP, "{last} left, {stored} is stored: an update was invented");
    assert_eq!((high, stored % STEP), (stored, 0));
    if let Some(message) = left.last().filter(|_| stored == last) {
        assert_eq!(payer.latest_update(id).unwrap().message.update, message.update);
    }
    stored
}

/// The app asks again for what it cannot know the end of: the last payment and the one after it. Each counts once.
fn pay_again(payer: &Wallet, id: &ChannelId, stored: u64) -> u64 {
    if stored > 0 {
        let again = payer.pay(id, sats(STEP), &payment_id(stored), None).unwrap();
        assert_eq!((again.amount, again.repeated), (sats(stored), true));
    }
    let next = payer.pay(id, sats(STEP), &payment_id(stored + STEP), None).unwrap();
    assert_eq!((next.amount, next.repeated), (sats(stored + STEP), false));
    stored + STEP
}
