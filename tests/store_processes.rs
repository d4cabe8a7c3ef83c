//! Several processes on one file, a user without the right to write, and a disk that fails in the middle.
//!
//! The other process is this test program again, told by an environment variable what to do.

mod store_sample;

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use store_sample::*;
use virtual_channels::store::{ChannelState, Role, Store, StoreError};

const TASK: &str = "STORE_CHILD_TASK";
const FILE: &str = "STORE_CHILD_FILE";
const PAYMENTS: u64 = 150;

fn child(program: &Path, task: &str, file: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "the_child", "--nocapture", "--test-threads=1"]).env(TASK, task).env(FILE, file);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a child said: its lines that begin with `> `.
fn said(command: &mut Command) -> Vec<String> {
    heard(command.spawn().unwrap())
}

fn heard(child: std::process::Child) -> Vec<String> {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter_map(|line| line.split_once("> ").map(|(_, said)| said.to_owned())).collect()
}

/// Not a test of its own: what a child process does. Does nothing in an ordinary run.
#[test]
fn the_child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let path = PathBuf::from(std::env::var_os(FILE).unwrap());
    println!();
    match task.as_str() {
        "pay" => pay(&path),
        "open" => println!("> {:?}", Store::open(&path).err()),
        "pay until it fails" => {
            let store = Store::open(&path).unwrap();
            let mut paid = 0;
            let error = loop {
                match add(&store, 1) {
                    Ok(amount) => paid = amount,
                    Err(error) => break error,
                }
            };
            // The failed payment has left no trace, here or in the file.
            let seen = store.read(|db| db.hot(&id())).unwrap().unwrap().amount().to_sat();
            println!("> {paid} {seen} {}", matches!(error, StoreError::Io { .. } | StoreError::Full));
        }
        other => panic!("{other}"),
    }
}

fn id() -> virtual_channels::channel::ChannelId {
    record(1, Role::Payer).id
}

/// One payment as the wallet makes it: read, add, write, in one transaction.
fn add(store: &Store, by: u64) -> Result<u64, StoreError> {
    store.write(|db| {
        let row = db.hot(&id())?.unwrap();
        let amount = row.amount().to_sat() + by;
        let update = update(1, amount - by, amount);
        db.put_update(&update.channel_id, &update, update.amount.max(row.high), Some(&row.ring), None)?;
        Ok(amount)
    })
}

fn pay(path: &Path) {
    let store = Store::open(path).unwrap();
    for _ in 0..PAYMENTS {
        add(&store, 1).unwrap();
        println!("> {}", store.write(|db| db.next_key_index()).unwrap());
    }
    store.close().unwrap();
}

#[test]
fn two_processes_and_two_threads_pay_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let own = Store::open(&path).unwrap();
    own.write(|db| db.insert_channel(&record(1, Role::Payer), ChannelState::Open, None)).unwrap();
    let program = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..2).map(|_| child(&program, "pay", &path).spawn().unwrap()).collect();
    let second = Store::open(&path).unwrap();
    std::thread::scope(|scope| {
        for store in [&own, &second] {
            scope.spawn(|| (0..PAYMENTS).for_each(|_| assert!(add(store, 1).is_ok())));
        }
    });
    let indexes: Vec<String> = children.into_iter().flat_map(heard).collect();
    assert_eq!(own.read(|db| db.hot(&id())).unwrap().unwrap().amount().to_sat(), 4 * PAYMENTS);
    assert_eq!(indexes.len(), indexes.iter().collect::<HashSet<_>>().len());
    assert_eq!(indexes.len() as u64, 2 * PAYMENTS);
}

#[test]
fn many_processes_create_one_file() {
    let program = std::env::current_exe().unwrap();
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wallet.db");
        let children: Vec<_> = (0..6).map(|_| child(&program, "open", &path).spawn().unwrap()).collect();
        for child in children {
            assert_eq!(heard(child), ["None"]);
        }
        Store::open(&path).unwrap();
    }
}

/// Root may write everything, so the child runs as nobody, from a copy of this program that nobody can reach.
#[test]
fn read_only_files_and_folders() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(folder.path(), 0o755);
    let program = folder.path().join("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let root = fs::metadata("/proc/self").map(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0).unwrap_or(false);
    let open = |path: &Path| {
        let mut command = child(&program, "open", path);
        if root {
            command.uid(65534).gid(65534);
        }
        said(&mut command)
    };

    let place = folder.path().join("place");
    fs::create_dir(&place).unwrap();
    let path = place.join("wallet.db");
    Store::open(&path).unwrap().close().unwrap();
    let before = fs::read(&path).unwrap();

    mode(&path, 0o444);
    mode(&place, 0o777);
    assert_eq!(open(&path), ["Some(ReadOnly)"], "file");
    mode(&path, 0o666);
    mode(&place, 0o555);
    assert_eq!(open(&path), ["Some(ReadOnly)"], "folder");
    assert_eq!(open(&place.join("new.db")), ["Some(ReadOnly)"], "new file");
    mode(&place, 0o777);
    mode(&path, 0o000);
    let hidden = open(&path);
    assert!(hidden[0].contains("CannotOpen") || hidden[0].contains("ReadOnly"), "{hidden:?}");
    mode(&path, 0o666);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(open(&path), ["None"]);
}

/// The system refuses to let any file grow beyond a limit: a payment fails in the middle of its commit.
#[test]
fn a_disk_that_fails_in_the_middle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.db");
    let store = Store::open(&path).unwrap();
    store.write(|db| db.insert_channel(&record(1, Role::Payer), ChannelState::Open, None)).unwrap();
    store.close().unwrap();
    let blocks = 2 * (fs::metadata(&path).unwrap().len() / 512);
    let inner = child(&std::env::current_exe().unwrap(), "pay until it fails", &path);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")).arg(inner.get_program());
    shell.args(inner.get_args()).envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.stdout(Stdio::piped()).stderr(Stdio::piped());
    let lines = said(&mut shell);
    let words: Vec<&str> = lines[0].split(' ').collect();
    assert_eq!((words[0], words[2]), (words[1], "true"), "{lines:?}");
    let paid: u64 = words[0].parse().unwrap();
    assert!(paid > 0);
    let store = Store::open(&path).unwrap();
    assert_eq!(store.read(|db| db.hot(&id())).unwrap().unwrap().amount().to_sat(), paid);
    assert_eq!(add(&store, 1).unwrap(), paid + 1);
}
