//! Files that are not what they should be: foreign, newer, damaged, cut, not writable.

mod store_sample;

use std::fs;
use std::path::Path;

use store_sample::*;
use virtual_channels::store::{ChannelState, FlowKind, Role, Store, StoreError};

#[test]
fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let store = Store::open(&path).unwrap();
    store.write(|db| db.set_meta("a", b"b")).unwrap();
    for name in ["wallet.db", "wallet.db-wal", "wallet.db-shm"] {
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn names_have_no_meaning_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:x?mode=memory", "a b#c%20", "ключ.db"] {
        let path = folder.path().join(name);
        Store::open(&path).unwrap().write(|db| db.set_meta("a", b"b")).unwrap();
        assert_eq!(Store::open(&path).unwrap().read(|db| db.meta("a")).unwrap().unwrap(), b"b", "{name}");
        assert!(path.is_file());
    }
}

/// Refused, and not a byte of it changed.
fn refused(path: &Path) -> StoreError {
    let before = fs::read(path).unwrap();
    let Err(error) = Store::open(path) else { panic!("{} was opened", path.display()) };
    assert_eq!(fs::read(path).unwrap(), before);
    error
}

#[test]
fn foreign_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, bytes) in [("text", &b"hello"[..]), ("long", &[b'x'; 9000]), ("zeros", &[0; 4096]), ("one", &[0])] {
        fs::write(path(name), bytes).unwrap();
        assert_eq!(refused(&path(name)), StoreError::NotOurs, "{name}");
    }
    for (name, sql) in [
        ("other.db", "CREATE TABLE t (a); INSERT INTO t VALUES (1);"),
        ("versioned.db", "PRAGMA user_version = 3;"),
        ("known.db", "PRAGMA application_id = 12345;"),
    ] {
        rusqlite::Connection::open(path(name)).unwrap().execute_batch(sql).unwrap();
        assert_eq!(refused(&path(name)), StoreError::NotOurs, "{name}");
    }
    // An empty file is nobody's.
    fs::write(path("empty"), b"").unwrap();
    Store::open(&path("empty")).unwrap();
}

#[test]
fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    Store::open(&path).unwrap().close().unwrap();
    let known = {
        let connection = rusqlite::Connection::open(&path).unwrap();
        let known: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        connection.execute_batch("PRAGMA user_version = 99").unwrap();
        known
    };
    assert_eq!(refused(&path), StoreError::NewerSchema { found: 99, known });
}

#[test]
fn places_where_no_file_can_be() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    for path in [folder.path().to_owned(), folder.path().join("missing/wallet.db"), file.join("wallet.db"), "".into()] {
        let error = Store::open(&path).err().unwrap();
        assert!(matches!(error, StoreError::CannotOpen { .. }), "{}: {error:?}", path.display());
    }
}

/// In the sample.
const FLOWS: usize = 6;

/// Reads every table there is; errors are fine, panics are not.
fn read_all(store: &Store) -> Result<(), StoreError> {
    store.read(|db| {
        let (sound, damaged) = db.channels()?;
        if let Some(damaged) = damaged.into_iter().next() {
            return Err(damaged.error);
        }
        for row in sound {
            db.hot(&row.record.id)?.ok_or(StoreError::NotFound { what: "a channel that is listed" })?;
            db.branch(&row.record.funding)?;
        }
        db.pending_events(100)?;
        // One that cannot be read is left out.
        if db.flows()?.len() != FLOWS {
            return Err(StoreError::Corrupt { what: "a flow".into() });
        }
        db.locked_coins()?;
        db.invites()?;
        db.seen_time()?;
        db.binding()?;
        db.batch_expiry().map(drop)
    })
}

fn sample(path: &Path) {
    let store = Store::open(path).unwrap();
    store
        .write(|db| {
            for n in 1..=6 {
                let role = if n % 2 == 0 { Role::Payer } else { Role::Receiver };
                db.insert_channel(&record(n, role), ChannelState::Open, Some(&[n; 1500]))?;
                let update = update(n, 0, 500);
                db.put_update(&update.channel_id, &update, update.amount, None, None)?;
                db.push_event(Some(&update.channel_id), "opened", b"data", 1)?;
                db.insert_flow(&flow(n, FlowKind::Close))?;
                db.lock_coins(&[n; 32], &[record(n, role).funding])?;
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    read_all(&store).unwrap();
    store.close().unwrap();
}

#[test]
fn damage_anywhere_is_an_error_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    sample(&path);
    let good = fs::read(&path).unwrap();
    let bad_path = folder.path().join("bad.db");
    let (mut refused, mut opened) = (0, 0);
    // Every byte of the header, then a step that is coprime to the page size.
    for at in (0..100).chain((100..good.len()).step_by(167)) {
        let mut bad = good.clone();
        bad[at] ^= if at % 2 == 0 { 0xff } else { 0x01 };
        fs::write(&bad_path, &bad).unwrap();
        match Store::open(&bad_path) {
            Err(error) => {
                refused += 1;
                assert_eq!(fs::read(&bad_path).unwrap().len(), bad.len(), "byte {at}: {error}");
            }
            Ok(store) => {
                opened += 1;
                let _ = read_all(&store);
                let update = update(2, 500, 600);
                let _ = store.write(|db| db.put_update(&update.channel_id, &update, update.amount, None, None));
            }
        }
        for extra in ["bad.db-wal", "bad.db-shm"] {
            let _ = fs::remove_file(folder.path().join(extra));
        }
    }
    // Free space and opaque blobs make up most of the file; still, damage to the structure has been seen.
    assert!(refused > 50 && opened > 50, "{refused} refused, {opened} opened");
}

#[test]
fn a_file_that_was_cut_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    sample(&path);
    let good = fs::read(&path).unwrap();
    for length in (1..good.len()).step_by(1111) {
        let bad = folder.path().join("bad.db");
        fs::write(&bad, &good[..length]).unwrap();
        // Within the last page SQLite reads zeros, which what is stored there has to notice.
        let error = match good.len() - length < 4096 {
            true => Store::open(&bad).and_then(|store| read_all(&store)).err(),
            false => Some(refused(&bad)),
        };
        let in_use = good[length..].iter().any(|byte| *byte != 0);
        assert_eq!(in_use, error.is_some(), "{length}: {error:?}");
        assert!(matches!(error, None | Some(StoreError::Corrupt { .. } | StoreError::NotOurs)), "{length}: {error:?}");
    }
}

#[test]
fn a_damaged_log_brings_back_an_earlier_commit_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    sample(&path);
    let base = fs::read(&path).unwrap();
    let store = Store::open(&path).unwrap();
    for amount in 501..=510 {
        let update = update(1, amount - 1, amount);
        store.write(|db| db.put_update(&update.channel_id, &update, update.amount, None, None)).unwrap();
    }
    // As a kill leaves it: the log is not moved into the file.
    let log = fs::read(folder.path().join("wallet.db-wal")).unwrap();
    for at in (0..log.len()).step_by(331) {
        let mut bad = log.clone();
        bad[at] ^= 0x10;
        let copy = tempfile::tempdir().unwrap();
        fs::write(copy.path().join("wallet.db"), &base).unwrap();
        fs::write(copy.path().join("wallet.db-wal"), &bad).unwrap();
        let Ok(store) = Store::open(&copy.path().join("wallet.db")) else { continue };
        let row = store.read(|db| db.hot(&record(1, Role::Receiver).id)).unwrap().unwrap();
        let amount = row.amount().to_sat();
        assert!((500..=510).contains(&amount), "byte {at}: {amount}");
        let expected = if amount == 500 { update(1, 0, 500) } else { update(1, amount - 1, amount) };
        assert_eq!(row.update, Some(expected), "byte {at}");
    }
}
