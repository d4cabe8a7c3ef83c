//! What is on disk after a commit, after a failed one, after a panic, after a close.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

fn hot(store: &Store) -> HotRow {
    store.read(|db| db.hot(&ChannelId([1; 32]))).unwrap().unwrap()
}

#[test]
fn the_settings_that_make_a_commit_durable() {
    let Fresh { store, .. } = fresh();
    for (pragma, value) in [
        ("synchronous", 2),
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
        ("foreign_keys", 1),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("busy_timeout", 5000),
        ("application_id", 0x5643_484e),
        ("user_version", migrations::KNOWN),
    ] {
        assert_eq!(number(&store, &format!("PRAGMA {pragma}")), value, "{pragma}");
    }
    let mode: String =
        store.held().open().unwrap().connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn the_migrations_are_sound() {
    migrations::migrations().validate().unwrap();
}

#[test]
fn every_older_schema_is_brought_up_to_date() {
    for version in 0..=migrations::KNOWN {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wallet.db");
        let mut connection = Connection::open(&path).unwrap();
        migrations::migrations().to_version(&mut connection, version as usize).unwrap();
        connection.close().unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(number(&store, "PRAGMA user_version"), migrations::KNOWN);
        store.write(|db| db.insert_channel(&record(1, Role::Payer), ChannelState::Open, None)).unwrap();
    }
}

#[test]
fn a_full_disk_loses_nothing() {
    let Fresh { store, path } = fresh();
    store.write(|db| db.insert_channel(&record(1, Role::Receiver), ChannelState::Open, None)).unwrap();
    store.write(|db| put(db, &update(1, 0, 500))).unwrap();
    raw(&store, &format!("PRAGMA max_page_count = {}", number(&store, "PRAGMA page_count"))).unwrap();
    let full = store.write(|db| {
        put(db, &update(1, 500, 600))?;
        db.set_meta("big", &[1; 100_000])
    });
    assert_eq!(full, Err(StoreError::Full));
    assert_eq!(hot(&store).amount().to_sat(), 500);
    // A payment needs no new page, so it still goes through.
    store.write(|db| put(db, &update(1, 500, 700))).unwrap();
    raw(&store, "PRAGMA max_page_count = 100000").unwrap();
    store.write(|db| db.set_meta("big", &[1; 100_000])).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(hot(&store).amount().to_sat(), 700);
    assert_eq!(store.read(|db| db.meta("big")).unwrap().unwrap().len(), 100_000);
}

#[test]
fn an_error_or_a_panic_inside_rolls_back() {
    let Fresh { store, .. } = fresh();
    store.write(|db| db.insert_channel(&record(1, Role::Payer), ChannelState::Open, None)).unwrap();
    let failed: Result<(), StoreError> = store.write(|db| {
        put(db, &update(1, 0, 500))?;
        Err(StoreError::InviteUsed)
    });
    assert_eq!(failed, Err(StoreError::InviteUsed));
    assert_eq!(hot(&store).update, None);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        store.write(|db| -> Result<(), StoreError> {
            put(db, &update(1, 0, 500))?;
            panic!("in the closure")
        })
    }));
    assert!(panicked.is_err());
    assert_eq!(hot(&store).update, None);
    store.write(|db| put(db, &update(1, 0, 500))).unwrap();
}

#[test]
fn a_read_cannot_write() {
    let Fresh { store, .. } = fresh();
    assert_eq!(store.read(|db| db.set_meta("a", b"b")), Err(StoreError::NotWriting));
    assert_eq!(store.read(|db| db.next_key_index()), Err(StoreError::NotWriting));
}

#[test]
fn a_record_has_a_greatest_length() {
    let Fresh { store, .. } = fresh();
    let long = vec![0; open::MAX_LENGTH + 1];
    assert!(matches!(store.write(|db| db.set_meta("a", &long)), Err(StoreError::TooLong { .. })));
}

#[test]
fn closing_lets_go_of_the_file() {
    let Fresh { store, path } = fresh();
    store.write(|db| db.set_meta("a", b"b")).unwrap();
    store.close().unwrap();
    store.close().unwrap();
    assert_eq!(store.read(|db| db.meta("a")), Err(StoreError::Closed));
    assert_eq!(store.write(|db| db.set_meta("a", b"c")), Err(StoreError::Closed));
    assert!(!path.with_extension("db-wal").exists());
    let moved = path.with_file_name("moved.db");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(Store::open(&moved).unwrap().read(|db| db.meta("a")).unwrap().unwrap(), b"b");
}

#[test]
fn a_process_that_never_lets_go_is_named() {
    let Fresh { store, path } = fresh();
    let other = Store::open(&path).unwrap();
    store.held().open().unwrap().connection.busy_timeout(std::time::Duration::from_millis(50)).unwrap();
    other
        .write(|_| {
            assert_eq!(store.write(|db| db.set_meta("a", b"b")), Err(StoreError::Busy));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    store.write(|db| db.set_meta("a", b"b")).unwrap();
}

#[test]
fn a_flipped_schema_is_corrupt_not_a_panic() {
    let Fresh { store, .. } = fresh();
    raw(&store, "DROP TABLE events; DELETE FROM wallet").unwrap();
    assert!(matches!(store.read(|db| db.pending_events(1)), Err(StoreError::Corrupt { .. })));
    assert!(matches!(store.read(|db| db.seen_time()), Err(StoreError::Corrupt { .. })));
    assert!(matches!(store.write(|db| db.next_key_index()), Err(StoreError::Corrupt { .. })));
}

/// Rows that break the rules, as a flipped bit would leave them.
#[test]
fn every_column_is_checked() {
    for set in [
        "channel_hot SET state = 'frozen'",
        "channel_hot SET role = 'both'",
        "channel_hot SET amount = 10",
        "channel_hot SET amount = -1",
        "channel_hot SET high = 100",
        "channel_hot SET high = 200000",
        "channel_hot SET previous = -5",
        "channel_hot SET ark_signature = x'00'",
        "channel_hot SET exit_signature = NULL",
        "channel_hot SET ring = x'4040'",
        "channel_hot SET acknowledged = 2",
        "channel_hot SET authorisation_hash = x'00'",
        "channel_hot SET last_watch = -1",
        "channel_hot SET notified = 200000",
        "channel_hot SET capacity = 90000",
        "channels SET funding = x'00'",
        "channels SET funding_kind = ''",
        "channels SET key_index = 5000000000",
        "channels SET commitments = x'00'",
        "channels SET batch_expiry = 0",
        "channels SET expiry = -1",
        "channels SET levels = -1",
        "channel_rare SET result_txid = x'01'",
        "channel_rare SET result_txid = zeroblob(32), result_outpoint = x'01'",
    ] {
        let Fresh { store, .. } = fresh();
        store.write(|db| db.insert_channel(&record(1, Role::Payer), ChannelState::Open, None)).unwrap();
        store.write(|db| put(db, &update(1, 0, 500))).unwrap();
        raw(
            &store,
            "PRAGMA ignore_check_constraints = ON; DROP TRIGGER channel_update; DROP TRIGGER channel_state;
             DROP TRIGGER channel_hot_never_changes; DROP TRIGGER channels_never_change;
             DROP TRIGGER channels_expiry_is_fixed;",
        )
        .unwrap();
        raw(&store, &format!("UPDATE {set}")).unwrap();
        let read = store.read(|db| db.channel(&ChannelId([1; 32])));
        if set.ends_with("amount = 10") {
            // Within the rules: what is wrong with it shows in the signatures.
            assert!(read.is_ok());
        } else {
            assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{set}: {read:?}");
        }
    }
}
