//! Two wallets of two processes on one file pay at once: every payment counts once, none is lost.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use virtual_channels::channel::UpdateMessage;

use crate::pair::sats;
use crate::ready::{Ready, Side};

const FILE: &str = "TOGETHER_FILE";
const CHANNEL: &str = "TOGETHER_CHANNEL";
const PAYMENTS: u64 = 60;
const STEP: u64 = 500;

/// Pays and answers the updates, as text.
async fn pay(side: &Side, channel: &str, who: &str) -> Vec<String> {
    let wallet = side.open().await;
    let id = channel.parse().unwrap();
    let pay = |n| wallet.pay(&id, sats(STEP), &format!("{who} {n}"), None).unwrap().message.to_text().unwrap();
    let texts = (0..PAYMENTS).map(pay).collect();
    // The same ids again, as after a lost answer: the ring knows the latest of both processes.
    assert!(wallet.pay(&id, sats(STEP), &format!("{who} {}", PAYMENTS - 1), None).unwrap().repeated);
    wallet.close().unwrap();
    texts
}

/// Not a test of its own: what the other process does.
#[tokio::test(flavor = "multi_thread")]
async fn the_child() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let side = Side { path: PathBuf::from(path), words: crate::ready::words("payer") };
    println!();
    for text in pay(&side, &std::env::var(CHANNEL).unwrap(), "child").await {
        println!("> {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_pay_at_once() {
    let ready = Ready::new(1_000_000, 1);
    let receiver = ready.receiver.open().await;
    let channel = ready.id().to_string();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "together::the_child", "--nocapture", "--test-threads=1"]);
    command.env(FILE, &ready.payer.path).env(CHANNEL, &channel).stdout(Stdio::piped());
    let child = command.spawn().unwrap();
    let mut texts = pay(&ready.payer, &channel, "parent").await;
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    texts.extend(said.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned));
    let amounts: HashSet<u64> =
        texts.iter().map(|text| UpdateMessage::parse(text).unwrap().update.amount.to_sat()).collect();
    assert_eq!(amounts, (1..=2 * PAYMENTS).map(|n| n * STEP).collect(), "each payment has an amount of its own");
    let payer = ready.payer.open().await;
    let info = payer.channel(&ready.id()).unwrap();
    assert_eq!((info.amount, info.high), (sats(2 * PAYMENTS * STEP), sats(2 * PAYMENTS * STEP)));
    let received = receiver.receive(&payer.latest_update(&ready.id()).unwrap().message).unwrap();
    assert_eq!(received.amount, info.amount);
}
