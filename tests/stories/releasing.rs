//! Letting go of the database and picking it up again, with payments and listeners.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use virtual_channels::store::StoreError;
use virtual_channels::wallet::{EventKind, Wallet, WalletError};

use crate::offline::Offline;
use crate::paying::pair;
use crate::world::{pay, refused, sats};

/// What this process has open of a database: the file, its log, its index.
fn handles(path: &Path) -> Vec<PathBuf> {
    let path = path.canonicalize().unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with(&*path.to_string_lossy())).collect()
}

fn is_released<T: std::fmt::Debug>(result: Result<T, Box<WalletError>>) {
    let error = refused(result);
    assert!(matches!(error, WalletError::Store(StoreError::Released)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_says_so_and_nothing_is_lost() {
    let pair = pair().await;
    let (wallet, id) = (&pair.payer, pair.channel.id);
    pair.both(1_000, "before");
    let late = pair.pay(500, "late");
    let path = pair.place.path("payer");
    assert!(!handles(&path).is_empty());
    for wallet in [&pair.payer, &pair.receiver] {
        wallet.release_database().unwrap();
        wallet.release_database().unwrap();
    }
    assert_eq!((handles(&path), handles(&pair.place.path("receiver"))), (vec![], vec![]));
    is_released(wallet.pay(&id, sats(1), "meanwhile", None));
    is_released(pair.receiver.receive(&late.message));
    is_released(pair.receiver.receive_many(std::slice::from_ref(&late.message)));
    is_released(wallet.latest_update(&id));
    is_released(wallet.channels());
    is_released(wallet.channel(&id));
    is_released(wallet.ark_address());
    is_released(wallet.boarding_address());
    is_released(wallet.pending_events(1));
    is_released(wallet.acknowledge_event("e:1"));
    is_released(wallet.watch(&id).await);
    is_released(wallet.resume().await);
    is_released(pair.receiver.close_channel(&id).await);
    is_released(wallet.refund(&id).await);

    for wallet in [&pair.payer, &pair.receiver] {
        wallet.reopen_database().unwrap();
        wallet.reopen_database().unwrap();
    }
    assert_eq!(pair.receiver.receive(&late.message).unwrap().amount, sats(1_500));
    assert_eq!(pair.both(250, "after"), sats(1_750));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_waits_until_it_is_back() {
    let pair = pair().await;
    let (payer, receiver) = (pair.payer.clone(), pair.receiver.clone());
    let payment = pair.pay(700, "a");
    receiver.release_database().unwrap();
    let listening = tokio::spawn({
        let receiver = receiver.clone();
        async move { receiver.next_event().await }
    });
    tokio::task::yield_now().await;
    // What happened meanwhile in another process that has the same file.
    pair.place.wallet("receiver").await.receive(&payment.message).unwrap();
    assert!(!listening.is_finished());
    receiver.reopen_database().unwrap();
    let event = tokio::time::timeout(Duration::from_secs(10), listening).await.unwrap().unwrap().unwrap();
    assert_eq!(event.kind, EventKind::PaymentReceived { amount: sats(700), increase: sats(700) });

    // And one that waits when the wallet is closed hears that.
    payer.acknowledge_event(&payer.next_event().await.unwrap().token.unwrap()).unwrap();
    payer.release_database().unwrap();
    let listening = tokio::spawn({
        let payer = payer.clone();
        async move { payer.next_event().await }
    });
    tokio::task::yield_now().await;
    payer.close().unwrap();
    let heard = tokio::time::timeout(Duration::from_secs(10), listening).await.unwrap().unwrap();
    assert!(
        matches!(heard.as_ref().map_err(|error| &**error), Err(WalletError::Store(StoreError::Closed))),
        "{heard:?}"
    );
    assert!(matches!(payer.reopen_database().map_err(|error| *error), Err(WalletError::Store(StoreError::Closed))));
}

/// Another process paid in the channel, and looked at the chain later than this one.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_changed_is_seen() {
    let pair = pair().await;
    pair.both(1_000, "a");
    let mut changes = pair.payer.next_change(0).await.unwrap();
    pair.payer.release_database().unwrap();
    let extension = pair.place.wallet("payer").await;
    pay(&extension, &pair.receiver, &pair.channel.id, 300, "by the extension");
    extension.acknowledge(&pair.receiver.receipt(&pair.channel.id, None).unwrap()).unwrap();
    extension.close().unwrap();
    pair.place.store("payer").write(|db| db.set_meta(&format!("gone:{}", pair.channel.id), &[1])).unwrap();
    pair.payer.reopen_database().unwrap();
    changes = tokio::time::timeout(Duration::from_secs(10), pair.payer.next_change(changes)).await.unwrap().unwrap();
    assert!(changes > 1);
    assert_eq!(pair.both(200, "b"), sats(1_500));
    let again = pair.pay(300, "by the extension");
    assert!(again.repeated && again.amount == sats(1_500));
    assert!(again.message.authorisation.is_none(), "acknowledged in the other process");

    // What is kept in memory of a channel is read again.
    pair.receiver.release_database().unwrap();
    pair.place.store("receiver").write(|db| db.set_meta(&format!("gone:{}", pair.channel.id), &[1])).unwrap();
    pair.receiver.reopen_database().unwrap();
    let error = pair.receive_refused(&pair.pay(1, "c").message);
    assert!(matches!(error, WalletError::AlreadySpent { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_same_wallets_file_is_picked_up() {
    let place = Offline::new();
    let (wallet, _other) = (place.wallet("one").await, place.wallet("two").await);
    let address = wallet.ark_address().unwrap();
    wallet.release_database().unwrap();
    let (path, kept) = (place.path("one"), place.path("kept"));
    std::fs::rename(&path, &kept).unwrap();
    assert!(matches!(wallet.reopen_database().map_err(|error| *error), Err(WalletError::Store(StoreError::Moved))));
    assert!(!path.exists(), "no empty file is made in its place");
    place.wallet("two").await.close().unwrap();
    std::fs::copy(place.path("two"), &path).unwrap();
    assert!(matches!(
        wallet.reopen_database().map_err(|error| *error),
        Err(WalletError::Store(StoreError::OtherWallet))
    ));
    is_released(wallet.ark_address());
    assert_eq!(handles(&path), Vec::<PathBuf>::new());
    std::fs::rename(&kept, &path).unwrap();
    wallet.reopen_database().unwrap();
    assert_eq!(wallet.ark_address().unwrap(), address);
}

/// 64 payments at once, some of them while the file is not held: each either counts or was refused for that.
#[tokio::test(flavor = "multi_thread")]
async fn payments_while_releasing_and_reopening() {
    const AT_ONCE: u64 = 64;
    let place = Offline::new();
    let channel = place.channel("payer", "receiver", 1, 10_000_000);
    let payer = place.wallet("payer").await;
    let (paid, refusals) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let done = Arc::new(AtomicBool::new(false));
    let releasing = tokio::task::spawn_blocking({
        let (payer, done) = (payer.clone(), done.clone());
        move || {
            let mut rounds = 0;
            while !done.load(Ordering::SeqCst) {
                payer.release_database().unwrap();
                payer.reopen_database().unwrap();
                // Some are to come through.
                std::thread::sleep(Duration::from_millis(5));
                rounds += 1;
            }
            rounds
        }
    });
    let paying: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let (payer, paid, refusals) = (payer.clone(), paid.clone(), refusals.clone());
            tokio::task::spawn_blocking(move || {
                for round in 0..20 {
                    let amount = 1_000 + number;
                    let payment_id = format!("{number}/{round}");
                    match payer.pay(&channel.id, sats(amount), &payment_id, None).map_err(|error| *error) {
                        Ok(payment) => {
                            assert!(!payment.repeated);
                            paid.fetch_add(amount, Ordering::SeqCst);
                        }
                        Err(WalletError::Store(StoreError::Released)) => {
                            refusals.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        })
        .collect();
    for task in paying {
        tokio::time::timeout(Duration::from_secs(120), task).await.expect("no deadlock").unwrap();
    }
    done.store(true, Ordering::SeqCst);
    assert!(releasing.await.unwrap() > 0);
    let (paid, refusals) = (paid.load(Ordering::SeqCst), refusals.load(Ordering::SeqCst));
    assert!(paid > 0 && refusals > 0, "{paid} sats paid, {refusals} refused");
    assert_eq!(payer.channel(&channel.id).unwrap().amount, sats(paid));
    assert_eq!(place.row("payer", &channel.id).hot.amount(), sats(paid));
}

/// Releasing waits for a write of another process only so long, and lets go all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_neighbour_does_not_hold_it_up() {
    let pair = pair().await;
    pair.both(1_000, "a");
    let neighbour = pair.place.store("payer");
    let payer: Wallet = pair.payer.clone();
    let started = std::time::Instant::now();
    neighbour
        .write(|db| {
            db.set_meta("theirs", b"x")?;
            payer.release_database().expect("released");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    payer.reopen_database().unwrap();
    assert_eq!(pair.both(1, "b"), sats(1_001));
}
