//! A payment is durable: the kernel is asked to sync at least once for each, as `strace` counts it.
#![cfg(target_os = "linux")]

use std::process::{Command, Stdio};

use crate::child;
use crate::ready::Ready;

const PAYMENTS: u64 = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_payments_sync_a_hundred_times() {
    let ready = Ready::new(1_000_000, 1);
    // The first opening also writes whose file it is.
    syncs(&ready, 0);
    let idle = syncs(&ready, 0);
    let busy = syncs(&ready, PAYMENTS);
    println!("syncs: {idle} without payments, {busy} with {PAYMENTS}");
    assert!(busy >= idle + PAYMENTS, "{PAYMENTS} payments made {} syncs", busy.saturating_sub(idle));
    let payer = ready.payer.open().await;
    assert_eq!(payer.channel(&ready.id()).unwrap().amount.to_sat(), 500 * PAYMENTS);
}

/// How often a child that makes so many payments calls fsync or fdatasync.
fn syncs(ready: &Ready, payments: u64) -> u64 {
    let report = ready.folder.path().join("strace");
    let (id, count) = (ready.id().to_string(), payments.to_string());
    let arguments = [ready.payer.path.to_str().unwrap(), &ready.payer.words, &id, &count];
    let inner = child::command(&std::env::current_exe().unwrap(), "pay", &arguments);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-o"]).arg(&report).arg(inner.get_program());
    strace.args(inner.get_args()).envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let status = strace.stdin(Stdio::null()).stdout(Stdio::null()).status();
    let status = status.expect("strace runs (scripts/prepare.sh strace installs it)");
    assert!(status.success(), "strace failed");
    count_calls(&std::fs::read_to_string(&report).unwrap())
}

/// The calls in strace's table: time, seconds, µs a call, calls, errors (where there are any), name.
fn count_calls(table: &str) -> u64 {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let syncs = rows.filter(|row| row.len() >= 5 && matches!(row[row.len() - 1], "fsync" | "fdatasync"));
    syncs.map(|row| row[3].parse::<u64>().unwrap()).sum()
}

#[test]
fn the_table_of_strace_is_read() {
    let table = "% time     seconds  usecs/call     calls    errors syscall\n\
         ------ ----------- ----------- --------- --------- ----------------\n \
         98.50    0.001234          12       101           fdatasync\n  \
         1.50    0.000012           3         4         1 fsync\n\
         ------ ----------- ----------- --------- --------- ----------------\n\
         100.00    0.001246          11       105         1 total\n";
    assert_eq!(count_calls(table), 105);
    assert_eq!(count_calls(""), 0);
}
