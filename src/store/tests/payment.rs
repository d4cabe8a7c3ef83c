//! The rules and the cost of a payment.

use super::*;

fn with_channel(role: Role) -> Fresh {
    let fresh = fresh();
    fresh.store.write(|db| db.insert_channel(&record(1, role), ChannelState::Open, None)).unwrap();
    fresh
}

fn hot(store: &Store) -> HotRow {
    store.read(|db| db.hot(&ChannelId([1; 32]))).unwrap().unwrap()
}

#[test]
fn an_update_comes_back() {
    let Fresh { store, .. } = with_channel(Role::Payer);
    assert_eq!(hot(&store).update, None);
    let mut ring = Ring::default();
    ring.push(Ring::hash(b"coffee"));
    let update = update(1, 0, 500);
    let high = Amount::from_sat(700);
    store.write(|db| db.put_update(&update.channel_id, &update, high, Some(&ring), Some(b"auth"))).unwrap();
    let row = hot(&store);
    assert_eq!((row.update, row.high, &row.ring), (Some(update), high, &ring));
    assert_eq!(store.read(|db| db.authorisation(&update.channel_id)).unwrap().unwrap(), b"auth");
    store.write(|db| put(db, &super::update(1, 500, 800))).unwrap();
    assert_eq!(hot(&store).ring, ring);
}

#[test]
fn a_receiver_never_takes_less() {
    let Fresh { store, .. } = with_channel(Role::Receiver);
    store.write(|db| put(db, &update(1, 0, 500))).unwrap();
    let before = hot(&store);
    let sats = Amount::from_sat;
    let lower = store.write(|db| put(db, &update(1, 0, 499)));
    assert_eq!(lower, Err(StoreError::LowerAmount { stored: sats(500), refused: sats(499) }));
    let over = store.write(|db| put(db, &update(1, 0, 100_001)));
    assert_eq!(over, Err(StoreError::OverCapacity { amount: sats(100_001), capacity: sats(100_000) }));
    for sql in [
        "UPDATE channel_hot SET amount = 499",
        "UPDATE channel_hot SET amount = 0, previous = NULL, ark_signature = NULL, exit_signature = NULL",
        "UPDATE channel_hot SET high = 0",
        "UPDATE channel_hot SET amount = 501, high = 500",
        "UPDATE channel_hot SET amount = -1",
        "UPDATE channel_hot SET amount = 100001, high = 100001",
        "UPDATE channel_hot SET capacity = 1000000",
        "UPDATE channel_hot SET role = 'payer'",
        "UPDATE channels SET terms = x'00'",
        "UPDATE channels SET expiry = 1",
        "DELETE FROM channels",
    ] {
        assert!(raw(&store, sql).is_err(), "{sql}");
    }
    assert_eq!(hot(&store), before);
}

#[test]
fn a_payer_may_fall_back_but_remembers_what_it_signed() {
    let Fresh { store, .. } = with_channel(Role::Payer);
    let sats = Amount::from_sat;
    store.write(|db| put(db, &update(1, 0, 500))).unwrap();
    let adopted = update(1, 0, 400);
    let id = adopted.channel_id;
    store.write(|db| db.put_update(&id, &adopted, sats(500), None, None)).unwrap();
    assert_eq!((hot(&store).amount(), hot(&store).high), (sats(400), sats(500)));
    for high in [450, 499] {
        let forgets = store.write(|db| db.put_update(&id, &adopted, sats(high), None, None));
        assert_eq!(forgets, Err(StoreError::LowerAmount { stored: sats(500), refused: sats(high) }));
    }
    store.write(|db| db.raise_high(&id, sats(600))).unwrap();
    assert!(store.write(|db| db.raise_high(&id, sats(599))).is_err());
    assert_eq!(hot(&store).high, sats(600));
    // Once it has granted a close it falls back no more, and still remembers what it finds out.
    store.write(|db| db.set_state(&id, &[ChannelState::Open], ChannelState::Closing)).unwrap();
    store.write(|db| put(db, &update(1, 400, 700))).unwrap();
    let lower = store.write(|db| db.put_update(&id, &update(1, 400, 600), sats(700), None, None));
    assert_eq!(lower, Err(StoreError::NotOpen { state: ChannelState::Closing }));
    assert_eq!((hot(&store).amount(), hot(&store).high), (sats(700), sats(700)));
}

#[test]
fn only_a_channel_that_is_open_takes_payments() {
    use ChannelState::*;
    for state in [Closing, Closed, Settled, Refunding, Refunded, Exiting, Lost] {
        let Fresh { store, .. } = with_channel(Role::Receiver);
        let id = ChannelId([1; 32]);
        store.write(|db| put(db, &update(1, 0, 500))).unwrap();
        store.write(|db| db.set_state(&id, &[Confirming, Open], state)).unwrap();
        let before = hot(&store);
        assert_eq!(store.write(|db| put(db, &update(1, 500, 600))), Err(StoreError::NotOpen { state }));
        // Not even by hand.
        assert!(raw(&store, "UPDATE channel_hot SET amount = 600, high = 600").is_err());
        for to in [Confirming, Open] {
            let back = store.write(|db| db.set_state(&id, &[state], to));
            assert_eq!(back, Err(StoreError::StateChanged { found: state, to }));
            assert!(raw(&store, &format!("UPDATE channel_hot SET state = '{to}'")).is_err());
        }
        assert_eq!(hot(&store), before);
    }
    let Fresh { store, .. } = with_channel(Role::Payer);
    store.write(|db| put(db, &update(1, 0, 500))).unwrap();
    store.write(|db| db.set_state(&ChannelId([1; 32]), &[Open], Confirming)).unwrap();
    store.write(|db| put(db, &update(1, 500, 600))).unwrap();
}

#[test]
fn an_update_of_another_or_of_no_channel() {
    let Fresh { store, .. } = with_channel(Role::Payer);
    let (id, other) = (ChannelId([1; 32]), update(2, 0, 500));
    let result = store.write(|db| db.put_update(&id, &other, other.amount, None, None));
    assert!(matches!(result, Err(StoreError::Invalid { .. })));
    assert_eq!(store.write(|db| put(db, &other)), Err(StoreError::NotFound { what: "the channel" }));
    assert_eq!(hot(&store).update, None);
}

/// Within one transaction, one bad update leaves the good ones.
#[test]
fn a_burst_with_one_refused_update() {
    let Fresh { store, .. } = fresh();
    store
        .write(|db| (1..=50).try_for_each(|n| db.insert_channel(&record(n, Role::Receiver), ChannelState::Open, None)))
        .unwrap();
    store.write(|db| put(db, &update(7, 0, 900))).unwrap();
    let refused: Vec<u8> = store
        .write(|db| {
            let each = |n: &u8| {
                db.put_update(&ChannelId([*n; 32]), &update(*n, 0, 800), Amount::from_sat(800), None, Some(b"new"))
            };
            Ok::<_, StoreError>((1..=50).filter(|n| each(n).is_err()).collect())
        })
        .unwrap();
    assert_eq!(refused, [7]);
    for n in 1..=50 {
        let row = store.read(|db| db.channel(&ChannelId([n; 32]))).unwrap().unwrap();
        let expected = if n == 7 { (900, None) } else { (800, Some(b"new".to_vec())) };
        assert_eq!((row.hot.amount().to_sat(), row.authorisation), expected);
    }
}

/// Frames in the log since it was emptied.
fn frames(path: &std::path::Path) -> u64 {
    let log = std::fs::metadata(path.with_extension("db-wal")).unwrap().len();
    log.saturating_sub(32) / (4096 + 24)
}

#[test]
fn a_payment_writes_one_page() {
    let Fresh { store, path } = fresh();
    for n in 1..=100 {
        let auth = vec![9; 2000];
        let record = record(n, if n % 2 == 0 { Role::Payer } else { Role::Receiver });
        store.write(|db| db.insert_channel(&record, ChannelState::Open, Some(&auth))).unwrap();
    }
    let mut ring = Ring::default();
    ring.push(Ring::hash(b"coffee"));
    for n in 1..=100 {
        // The first one takes room for its signatures, for which the page may be split; the later ones do not.
        store.write(|db| put(db, &update(n, 0, 500))).unwrap();
        number(&store, "PRAGMA wal_checkpoint(TRUNCATE)");
        let (update, ring) = (update(n, 500, 600), (n % 2 == 0).then_some(&ring));
        let authorisation = Some(&[9; 2000][..]);
        store.write(|db| db.put_update(&update.channel_id, &update, update.amount, ring, authorisation)).unwrap();
        assert_eq!(frames(&path), 1, "channel {n}");
    }
}

#[test]
fn the_file_does_not_grow_with_payments() {
    let Fresh { store, .. } = with_channel(Role::Payer);
    let mut ring = Ring::default();
    let mut pay = |amount: u64| {
        ring.push(Ring::hash(&amount.to_be_bytes()));
        update(1, amount - 1, amount)
    };
    let first = pay(1);
    store.write(|db| db.put_update(&first.channel_id, &first, first.amount, Some(&Ring::default()), None)).unwrap();
    number(&store, "PRAGMA wal_checkpoint(TRUNCATE)");
    let pages = number(&store, "PRAGMA page_count");
    for batch in 0..10u64 {
        store
            .write(|db| {
                (1..=20_000u64).try_for_each(|i| {
                    // The capacity is 100 000: a payer may sign the same amount again.
                    let update = pay(1 + batch * 9_000 + i.min(9_000));
                    db.put_update(&update.channel_id, &update, update.amount, Some(&Ring::default()), None)
                })
            })
            .unwrap();
    }
    number(&store, "PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(number(&store, "PRAGMA page_count"), pages);
    assert_eq!(store.read(|db| db.pending_events(10)).unwrap().len(), 1);
}
