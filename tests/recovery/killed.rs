//! `kill -9` in the middle of a restore: it is called again, and comes to the same.
//!
//! The child is this test program again, told by environment variables to restore.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::Network;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Wallet, WalletConfig};

use crate::lost::{assert_not_surprised, latest, new_phone, opened};
use crate::world::{World, eventually, pay, sats};

const ARGUMENTS: &str = "RECOVERY_CHILD";

/// Does nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread")]
async fn the_child() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    let [path, name, operator, esplora, backup] =
        arguments.split('\n').collect::<Vec<_>>().try_into().expect("five arguments");
    let config = WalletConfig::new(path, Network::Regtest, operator, esplora);
    println!("\n> restoring");
    Wallet::restore(config, &World::mnemonic(name), Some(backup)).await.unwrap();
    println!("> done");
    std::thread::sleep(Duration::from_secs(60));
}

/// Restores in a child, and kills it when `now` says so, or when it is done.
async fn killed(config: &WalletConfig, name: &str, backup: &str, now: impl AsyncFn() -> bool) {
    let program = std::env::current_exe().unwrap();
    let path = config.database.to_str().unwrap();
    let arguments = [path, name, &config.operator_url, &config.esplora_url, backup].join("\n");
    let mut child = Command::new(program)
        .args(["--exact", "killed::the_child", "--nocapture", "--test-threads=1"])
        .env(ARGUMENTS, arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.stdout.take().unwrap();
    let (sender, lines) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok()
    });
    let done = || lines.try_iter().any(|line| line == "> done");
    eventually("the moment", async || done() || now().await).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_step() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let backup = payer.backup().unwrap();
    pay(&payer, &receiver, &id, 5_000, "one");
    payer.close().unwrap();
    let config = new_phone(&world, "payer", "new");
    let operator = async || world.regtest.operator().await;
    // In the first, second, … question to the books, and after the file has come to be.
    for questions in 0..8 {
        for _ in 0..questions {
            operator().await.faults().once(Call::GetVtxos, Action::Delay(Duration::ZERO));
        }
        operator().await.faults().once(Call::GetVtxos, Action::Hang);
        killed(&config, "payer", &backup, async || operator().await.faults().held() > 0).await;
        operator().await.faults().clear();
    }
    for call in [Call::GetVtxoChain, Call::GetVirtualTxs, Call::GetInfo] {
        operator().await.faults().once(call, Action::Hang);
        killed(&config, "payer", &backup, async || operator().await.faults().held() > 0).await;
        operator().await.faults().clear();
    }
    for millis in [0, 1, 2, 5, 10] {
        let path = config.database.clone();
        let _ = std::fs::remove_file(&path);
        killed(&config, "payer", &backup, async || path.exists()).await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    let (payer, report) = Wallet::restore(config, &World::mnemonic("payer"), Some(&backup)).await.unwrap();
    assert_eq!((report.channels.as_slice(), report.warnings.len()), ([id].as_slice(), 0));
    assert_eq!(payer.balance().await.unwrap().total(), sats(60_000));
    assert_eq!(payer.catch_up(&latest(&receiver, &id)).unwrap(), sats(5_000));
    assert_eq!(pay(&payer, &receiver, &id, 1_000, "two").amount, sats(6_000));
    assert_eq!(payer.channel(&id).unwrap().state, ChannelState::Open);
    assert_not_surprised(&payer);
}
