//! The app goes to the background and comes back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use virtual_channels::ffi::WalletError;

use crate::opened::{invite, open, sats};
use crate::ready::Ready;

fn handles(path: &Path) -> Vec<PathBuf> {
    let path = path.canonicalize().unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with(&*path.to_string_lossy())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_held_while_it_sleeps() {
    let ready = Ready::new(100_000, 1);
    let wallet = open(&ready.payer, None).await.unwrap();
    let id = ready.ids[0].to_string();
    let pay = |payment_id: &'static str| wallet.pay(id.clone(), sats(1_000), payment_id.into(), None);
    pay("a").await.unwrap();
    assert!(!handles(&ready.payer.path).is_empty());
    for _ in 0..2 {
        wallet.release_database().await.unwrap();
        assert_eq!(handles(&ready.payer.path), Vec::<PathBuf>::new());
    }
    let error = pay("b").await.unwrap_err();
    assert_eq!(error, WalletError::DatabaseReleased);
    assert_eq!(error.to_string(), "the database is released: reopen it first");
    assert_eq!(wallet.create_invite(invite()).await.unwrap_err(), WalletError::DatabaseReleased);
    assert_eq!(wallet.resume().await.unwrap_err(), WalletError::DatabaseReleased);
    for _ in 0..2 {
        wallet.reopen_database().await.unwrap();
    }
    assert_eq!(pay("b").await.unwrap().amount, sats(2_000));
    wallet.release_database().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), wallet.shutdown()).await.unwrap().unwrap();
    assert_eq!(wallet.reopen_database().await.unwrap_err(), WalletError::Closed);
}
