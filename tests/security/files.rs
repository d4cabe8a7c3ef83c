//! The database is taken away while the wallet is open: a clear error, and no payment that is not stored leaves.

use std::fs;
use std::path::Path;

use virtual_channels::store::StoreError;
use virtual_channels::wallet::{Wallet, WalletError};

use crate::pair::sats;
use crate::ready::{Ready, Side};

const FILES: [&str; 3] = ["db", "db-wal", "db-shm"];

fn pay(payer: &Wallet, ready: &Ready, payment: &str) -> Result<u64, Box<WalletError>> {
    payer.pay(&ready.id(), sats(1_000), payment, None).map(|payment| payment.amount.to_sat())
}

fn refused(result: Result<u64, Box<WalletError>>) {
    assert!(
        matches!(result.as_ref().map_err(|error| &**error), Err(WalletError::Store(StoreError::Moved))),
        "{result:?}"
    );
}

fn rename(from: &Path, to: &Path) {
    for extension in FILES {
        let from = from.with_extension(extension);
        if from.exists() {
            fs::rename(from, to.with_extension(extension)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_and_moved_back() {
    let ready = Ready::new(100_000, 1);
    let payer = ready.payer.open().await;
    assert_eq!(pay(&payer, &ready, "one").unwrap(), 1_000);
    let elsewhere = ready.folder.path().join("elsewhere.db");
    rename(&ready.payer.path, &elsewhere);
    refused(pay(&payer, &ready, "two"));
    assert!(!ready.payer.path.exists(), "nothing is made in its place");
    rename(&elsewhere, &ready.payer.path);
    assert_eq!(payer.channel(&ready.id()).unwrap().amount, sats(1_000));
    assert_eq!(pay(&payer, &ready, "two").unwrap(), 2_000);
    // Nothing is lost where it was moved for good, either.
    rename(&ready.payer.path, &elsewhere);
    refused(pay(&payer, &ready, "three"));
    let _ = payer.close();
    let moved = Side { path: elsewhere, ..ready.payer.clone() }.open().await;
    assert_eq!(moved.channel(&ready.id()).unwrap().amount, sats(2_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_or_replaced() {
    let ready = Ready::new(100_000, 1);
    let payer = ready.payer.open().await;
    assert_eq!(pay(&payer, &ready, "one").unwrap(), 1_000);
    let copy = ready.folder.path().join("copy.db");
    fs::copy(&ready.payer.path, &copy).unwrap();
    fs::remove_file(&ready.payer.path).unwrap();
    refused(pay(&payer, &ready, "two"));
    // An old copy in its place is another file.
    fs::rename(&copy, &ready.payer.path).unwrap();
    refused(pay(&payer, &ready, "two"));
    // What had been paid can still be shown.
    assert_eq!(payer.latest_update(&ready.id()).unwrap().amount, sats(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_gives_no_receipt_for_what_it_cannot_store() {
    let ready = Ready::new(100_000, 1);
    let (payer, receiver) = (ready.payer.open().await, ready.receiver.open().await);
    let first = payer.pay(&ready.id(), sats(1_000), "one", None).unwrap().message;
    let second = payer.pay(&ready.id(), sats(1_000), "two", None).unwrap().message;
    receiver.receive(&first).unwrap();
    fs::rename(&ready.receiver.path, ready.folder.path().join("gone")).unwrap();
    refused(receiver.receive(&second).map(|received| received.amount.to_sat()));
    refused(receiver.receive_many(&[second]).map(|_| 0));
    assert_eq!(receiver.receipt(&ready.id(), None).unwrap().amount, sats(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_folder_is_gone() {
    let ready = Ready::new(100_000, 1);
    let payer = ready.payer.open().await;
    assert_eq!(pay(&payer, &ready, "one").unwrap(), 1_000);
    let folder = ready.payer.path.parent().unwrap();
    let away = folder.with_extension("away");
    fs::rename(folder, &away).unwrap();
    refused(pay(&payer, &ready, "two"));
    fs::rename(&away, folder).unwrap();
    assert_eq!(pay(&payer, &ready, "two").unwrap(), 2_000);
}
