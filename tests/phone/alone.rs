//! Tests that look at the whole process have one of their own.

use std::time::{Duration, Instant};

const INSIDE: &str = "VIRTUAL_CHANNELS_TEST_ALONE";

/// Runs the test of this name once more, in a process of its own, and answers `false`; there it answers `true`.
pub fn alone(test: &str) -> bool {
    if !is_inside() {
        run(test, &[]);
    }
    is_inside()
}

/// Whether this is the process of one test's own.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Runs a test in a process of its own.
pub fn run(test: &str, told: &[(&str, String)]) {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--test-threads=1"]).env(INSIDE, "1").envs(told.iter().cloned());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// The names of this process's threads, as the system knows them.
pub fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // One that has just ended has no name any more.
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
    let mut names: Vec<String> = names.map(|name| name.trim().to_owned()).collect();
    names.sort();
    names
}

/// Waits for something that other threads do, up to 20 s.
pub fn soon(what: &str, happened: impl Fn() -> bool) {
    let started = Instant::now();
    while !happened() {
        assert!(started.elapsed() < Duration::from_secs(20), "waited 20 s for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What this process holds open: names of files, kinds of sockets.
pub fn handles() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    let mut names: Vec<String> = links.map(|link| link.display().to_string()).collect();
    names.sort();
    names
}
