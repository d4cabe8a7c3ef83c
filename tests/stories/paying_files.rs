//! Paying by many threads and processes, on a full disk, and in a file that does not grow.

use std::collections::HashSet;

use virtual_channels::channel::message::UpdateMessage;
use virtual_channels::store::StoreError;
use virtual_channels::wallet::{Payment, WalletError};

use crate::offline::Offline;
use crate::paying::{CAPACITY, pair};
use crate::world::{pay, refused, sats};

#[tokio::test]
async fn sixty_four_threads_pay_at_once() {
    const THREADS: u64 = 64;
    let pair = pair().await;
    pair.both(1_000, "first");
    let amounts: Vec<Payment> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let pair = &pair;
                scope.spawn(move || (0..4).map(|n| pair.pay(7, &format!("{thread} {n}"))).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let total = 1_000 + THREADS * 4 * 7;
    assert_eq!(pair.payer.channel(&pair.channel.id).unwrap().amount, sats(total));
    let different: HashSet<u64> = amounts.iter().map(|payment| payment.amount.to_sat()).collect();
    assert_eq!(different.len() as u64, THREADS * 4, "each payment has an amount of its own");
    let messages: Vec<UpdateMessage> = amounts.into_iter().map(|payment| payment.message).collect();
    pair.receiver.receive_many(&messages).unwrap();
    assert_eq!(pair.receiver.channel(&pair.channel.id).unwrap().amount, sats(total));
}

#[tokio::test]
async fn two_wallets_on_one_database() {
    let pair = pair().await;
    let other = pair.place.wallet("payer").await;
    pair.both(1_000, "first");
    std::thread::scope(|scope| {
        for (name, wallet, other) in [("one", &pair.payer, &other), ("two", &other, &pair.payer)] {
            let id = &pair.channel.id;
            scope.spawn(move || {
                for n in 0..40 {
                    let payment_id = format!("{name} {n}");
                    wallet.pay(id, sats(5), &payment_id, None).unwrap();
                    assert!(other.pay(id, sats(5), &payment_id, None).unwrap().repeated, "the other object knows it");
                }
            });
        }
    });
    assert_eq!(pair.payer.channel(&pair.channel.id).unwrap().amount, sats(1_400));
    let receiver = pair.place.wallet("receiver").await;
    let latest = other.latest_update(&pair.channel.id).unwrap().message;
    assert_eq!(receiver.receive(&latest).unwrap().amount, sats(1_400));
    assert_eq!(pair.receiver.receive(&latest).unwrap().increase, sats(0), "the first object sees the second's commit");
}

#[tokio::test]
async fn a_closed_wallet_pays_nothing() {
    let pair = pair().await;
    pair.payer.close().unwrap();
    let error = refused(pair.payer.pay(&pair.channel.id, sats(1_000), "a", None));
    assert!(matches!(error, WalletError::Store(StoreError::Closed)), "{error}");
}

const FULL: &str = "STORIES_FULL_DISK";

/// The test runs itself again with a bound on the size of files, which is as good as a full disk.
#[tokio::test]
async fn a_full_disk() {
    if let Some(folder) = std::env::var_os(FULL) {
        return pay_until_full(folder.as_ref()).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let blocks = 600; // of 512 bytes
    let output = std::process::Command::new("sh")
        .arg("-c")
        .arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\""))
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "paying_files::a_full_disk", "--nocapture", "--test-threads=1"])
        .env(FULL, folder.path())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("> nothing was lost"), "{text}");
}

async fn pay_until_full(folder: &std::path::Path) {
    let place = Offline::at(folder);
    let channel = place.channel("payer", "receiver", 1, CAPACITY);
    let payer = place.wallet("payer").await;
    let mut amount = payer.pay(&channel.id, sats(1_000), "first", None).unwrap().amount;
    // A reader that stays keeps the log from being moved into the file: it grows until it may not.
    let other = rusqlite::Connection::open(place.path("payer")).unwrap();
    other.execute_batch("BEGIN; SELECT count(*) FROM channels;").unwrap();
    let error = loop {
        match payer.pay(&channel.id, sats(1), &amount.to_string(), None) {
            Ok(payment) => amount = payment.amount,
            Err(error) => break error,
        }
        assert!(amount < sats(3_000), "the disk never got full");
    };
    assert!(matches!(*error, WalletError::Store(StoreError::Full | StoreError::Io { .. })), "{error}");
    let latest = payer.latest_update(&channel.id).unwrap();
    assert_eq!((latest.amount, place.row("payer", &channel.id).hot.high), (amount, amount), "as before the failure");
    // There is room again, once the log has been moved into the file.
    other.execute_batch("ROLLBACK; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    drop(other);
    assert_eq!(payer.pay(&channel.id, sats(1), "later", None).unwrap().amount, amount + sats(1));
    println!("> nothing was lost");
}

/// So many, or as many as `PAYMENTS` says: a million take a quarter of an hour.
#[tokio::test]
async fn twenty_thousand_payments_in_a_file_that_does_not_grow() {
    let place = Offline::in_memory();
    let channel = place.channel("payer", "receiver", 1, 2_000_000);
    let (payer, receiver) = (place.wallet("payer").await, place.wallet("receiver").await);
    pay(&payer, &receiver, &channel.id, 1_000, "first");
    let pages = |name: &str| {
        let file = rusqlite::Connection::open(place.path(name)).unwrap();
        file.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = [pages("payer"), pages("receiver")];
    let rounds: u64 = std::env::var("PAYMENTS").map_or(20, |payments| payments.parse::<u64>().unwrap() / 1_000);
    for round in 0..rounds {
        let payments: Vec<UpdateMessage> = (0..1_000)
            .map(|n| payer.pay(&channel.id, sats(1), &format!("{round} {n}"), None).unwrap().message)
            .collect();
        let answers = receiver.receive_many(&payments).unwrap();
        assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|received| received.increase == sats(1))));
    }
    assert_eq!(receiver.channel(&channel.id).unwrap().amount, sats(1_000 + rounds * 1_000));
    assert_eq!([pages("payer"), pages("receiver")], before);
    let file = |name: &str| std::fs::metadata(place.path(name)).unwrap().len();
    payer.close().unwrap();
    receiver.close().unwrap();
    assert_eq!([file("payer"), file("receiver")].map(|bytes| bytes as i64 / 4096), before);
}
