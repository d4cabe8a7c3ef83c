//! A closed wallet answers every call with an error, and has let go of everything.

use virtual_channels::store::StoreError;
use virtual_channels::wallet::{InviteRequest, Wallet, WalletError};

use crate::calls::{Things, all};
use crate::pair::sats;
use crate::ready::Ready;

/// Payments on both sides, and what the calls need.
async fn things(ready: &Ready, payer: &Wallet, receiver: &Wallet) -> Things {
    let id = ready.id();
    let update = payer.pay(&id, sats(1_000), "one", None).unwrap().message;
    receiver.receive(&update).unwrap();
    let receipt = receiver.receipt(&id, None).unwrap();
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    Things { id, update, receipt, invite, offer: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_wallet_refuses_every_call() {
    let ready = Ready::new(100_000, 1);
    let (payer, receiver) = (ready.payer.open().await, ready.receiver.open().await);
    let things = things(&ready, &payer, &receiver).await;
    for wallet in [&payer, &receiver] {
        let waiting = wallet.clone();
        // The event of the payment is acknowledged first: this one has to wait.
        for event in wallet.pending_events(10).unwrap() {
            wallet.acknowledge_event(&event.token.unwrap()).unwrap();
        }
        let waiting = tokio::spawn(async move { waiting.next_event().await });
        wallet.close().unwrap();
        wallet.close().unwrap();
        assert!(matches!(waiting.await.unwrap().map_err(|error| *error), Err(WalletError::Store(StoreError::Closed))));
        for (call, error) in all(wallet, &things).await {
            let error = error.unwrap_or_else(|| panic!("{call} worked on a closed wallet"));
            // Some ask the operator first, which is not there; nothing else may come between.
            let expected = matches!(
                *error,
                WalletError::Store(StoreError::Closed)
                    | WalletError::Closed
                    | WalletError::Operator(_)
                    | WalletError::Chain(_)
            );
            assert!(expected || call == "send", "{call}: {error:?}");
        }
    }
}

/// Names of what this process holds open.
#[cfg(target_os = "linux")]
fn open_files() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    links.map(|link| link.display().to_string()).collect()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_closed_wallet_holds_no_file() {
    let ready = Ready::new(100_000, 1);
    let folder = ready.folder.path().to_str().unwrap().to_owned();
    let held = || open_files().into_iter().filter(|name| name.starts_with(&folder)).collect::<Vec<_>>();
    let (payer, receiver) = (ready.payer.open().await, ready.receiver.open().await);
    things(&ready, &payer, &receiver).await;
    assert!(held().len() >= 4, "{:?}", held());
    payer.close().unwrap();
    receiver.close().unwrap();
    assert_eq!(held(), Vec::<String>::new());
    // All changes are in the main files: these can be copied alone.
    for side in [&ready.payer, &ready.receiver] {
        let log = side.path.with_extension("db-wal");
        assert!(std::fs::metadata(&log).map_or(0, |file| file.len()) == 0, "{}", log.display());
    }
}

/// In a process of its own, so that no other test's threads are counted.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_wallet_leaves_no_thread() {
    const INSIDE: &str = "CLOSED_WALLET_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "closed::a_closed_wallet_leaves_no_thread", "--test-threads=1"]).env(INSIDE, "1");
        assert!(command.status().unwrap().success());
        return;
    }
    let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
    let before = threads();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let ready = Ready::new(100_000, 1);
        let (payer, receiver) = (ready.payer.open().await, ready.receiver.open().await);
        let things = things(&ready, &payer, &receiver).await;
        receiver.receive_many(&vec![things.update; 100]).unwrap();
        payer.close().unwrap();
        receiver.close().unwrap();
    });
    drop(runtime);
    assert_eq!(threads(), before);
}
