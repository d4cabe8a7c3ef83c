//! Letting go of the file for a while.

use std::sync::atomic::AtomicBool;

use super::*;

/// What this process has open of the store's files.
#[cfg(target_os = "linux")]
fn handles(path: &std::path::Path) -> Vec<PathBuf> {
    let path = path.canonicalize().unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with(&*path.to_string_lossy())).collect()
}

fn any(_: &Db<'_>) -> Result<(), StoreError> {
    Ok(())
}

fn meta(store: &Store) -> Result<Option<Vec<u8>>, StoreError> {
    store.read(|db| db.meta("a"))
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_is_held_and_everything_is_in_the_file() {
    let Fresh { store, path } = fresh();
    store.write(|db| db.set_meta("a", b"b")).unwrap();
    assert_eq!(handles(&path).len(), 3, "{:?}", handles(&path));
    for _ in 0..2 {
        store.release().unwrap();
        assert!(store.is_released());
        assert_eq!(handles(&path), Vec::<PathBuf>::new());
        assert!(!path.with_extension("db-wal").exists() && !path.with_extension("db-shm").exists());
        assert_eq!(meta(&store), Err(StoreError::Released));
        assert_eq!(store.write(|db| db.set_meta("a", b"c")), Err(StoreError::Released));
    }
    assert_eq!(store.reopen(any), Ok(true));
    assert_eq!(store.reopen(any), Ok(false));
    assert_eq!((store.reopened(), meta(&store)), (1, Ok(Some(b"b".to_vec()))));
}

#[test]
fn what_another_changed_meanwhile_is_seen() {
    let Fresh { store, path } = fresh();
    store.release().unwrap();
    Store::open(&path).unwrap().write(|db| db.set_meta("a", b"other")).unwrap();
    store.reopen(any).unwrap();
    assert_eq!(meta(&store), Ok(Some(b"other".to_vec())));
}

#[test]
fn another_that_reads_does_not_hold_it_up_for_long() {
    let Fresh { store, path } = fresh();
    store.write(|db| db.set_meta("a", b"b")).unwrap();
    let other = Store::open(&path).unwrap();
    let started = std::time::Instant::now();
    other
        .read(|db| {
            let before = db.meta("a")?;
            store.write(|db| db.set_meta("a", b"c"))?;
            store.release()?;
            assert_eq!((db.meta("a")?, before), (Some(b"b".to_vec()), Some(b"b".to_vec())));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert!(started.elapsed() < BUSY_TIMEOUT);
    store.reopen(any).unwrap();
    assert_eq!(meta(&store), Ok(Some(b"c".to_vec())));
}

#[test]
fn a_file_that_is_gone_is_not_made_anew() {
    let Fresh { store, path } = fresh();
    store.write(|db| db.set_meta("a", b"b")).unwrap();
    store.release().unwrap();
    let moved = path.with_file_name("moved.db");
    std::fs::rename(&path, &moved).unwrap();
    assert_eq!(store.reopen(any), Err(StoreError::Moved));
    assert!(!path.exists() && store.is_released());
    std::fs::write(&path, b"hello, this is no database at all").unwrap();
    assert_eq!(store.reopen(any), Err(StoreError::NotOurs));
    std::fs::rename(&moved, &path).unwrap();
    assert_eq!((store.reopen(any), meta(&store)), (Ok(true), Ok(Some(b"b".to_vec()))));
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_refused_is_let_go_of_again() {
    let Fresh { store, path } = fresh();
    store.release().unwrap();
    assert_eq!(store.reopen(|_| Err(StoreError::OtherWallet)), Err(StoreError::OtherWallet));
    assert!(store.is_released() && handles(&path).is_empty());
    assert_eq!((store.reopened(), meta(&store)), (0, Err(StoreError::Released)));
}

#[test]
fn closed_is_for_good() {
    let Fresh { store, .. } = fresh();
    store.release().unwrap();
    store.close().unwrap();
    assert_eq!(store.reopen(any), Err(StoreError::Closed));
    store.release().unwrap();
    assert_eq!(meta(&store), Err(StoreError::Closed));
}

/// Calls that keep coming do not hold up the one that lets go.
#[test]
fn letting_go_comes_before_what_begins_later() {
    let Fresh { store, .. } = fresh();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let written = store.write(|db| db.set_meta("a", b"b"));
                    assert!(matches!(written, Ok(()) | Err(StoreError::Released)), "{written:?}");
                }
            });
        }
        for _ in 0..20 {
            let started = std::time::Instant::now();
            store.release().unwrap();
            assert!(started.elapsed() < BUSY_TIMEOUT);
            assert!(store.is_released());
            store.reopen(any).unwrap();
        }
        stop.store(true, Ordering::SeqCst);
    });
}
