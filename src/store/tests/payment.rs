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
