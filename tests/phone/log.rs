//! The log sink of an app: what it gets, and that it disturbs nobody, whatever it does.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use virtual_channels::ffi::{ListenerError, LogLevel, LogRecord, LogSink, Wallet, set_log_sink};

use crate::alone::{alone, soon, threads};
use crate::opened::{open, sats};
use crate::ready::Ready;

/// Keeps the records, and does `then` for each.
struct Keeps<F> {
    records: Mutex<Vec<LogRecord>>,
    then: F,
}

impl<F: Fn(&LogRecord) -> Result<(), ListenerError> + Send + Sync> LogSink for Keeps<F> {
    fn log(&self, record: LogRecord) -> Result<(), ListenerError> {
        self.records.lock().unwrap().push(record.clone());
        (self.then)(&record)
    }
}

fn keeps<F: Fn(&LogRecord) -> Result<(), ListenerError> + Send + Sync>(then: F) -> Arc<Keeps<F>> {
    Arc::new(Keeps { records: Mutex::default(), then })
}

impl<F> Keeps<F> {
    fn texts(&self) -> Vec<String> {
        self.records.lock().unwrap().iter().map(|record| record.text.clone()).collect()
    }
}

/// Sends nothing more, and waits until the sink has let go.
fn remove<F>(sink: &Arc<Keeps<F>>) {
    set_log_sink(None, LogLevel::Debug);
    soon("the sink is let go", || Arc::strong_count(sink) == 1);
}

async fn pay(wallet: &Wallet, ready: &Ready, payment: &str) {
    wallet.pay(ready.id().to_string(), sats(1_000), payment.into(), None).await.unwrap();
}

async fn pay_too_much(wallet: &Wallet, ready: &Ready) {
    wallet.pay(ready.id().to_string(), sats(1_000_000), "too much".into(), None).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn payments_and_refusals_in_order_by_level() {
    if !alone("log::payments_and_refusals_in_order_by_level") {
        return;
    }
    let ready = Ready::new(100_000, 1);
    let wallet = open(&ready.payer, None).await.unwrap();
    let id = ready.id();
    let refused = format!("channel {id}: does not pay 1000000 sats: ");
    let paid = |all: u64| format!("channel {id}: pays 1000 sats, {all} in all");
    let levels = [
        (LogLevel::Debug, vec![paid(1_000), refused.clone(), paid(2_000)]),
        (LogLevel::Info, vec![refused.clone()]),
        (LogLevel::Warn, vec![refused]),
        (LogLevel::Error, vec![]),
    ];
    for (level, expected) in levels {
        let sink = keeps(|_| Ok(()));
        set_log_sink(Some(sink.clone()), level);
        pay(&wallet, &ready, &format!("{level:?} one")).await;
        pay_too_much(&wallet, &ready).await;
        pay(&wallet, &ready, &format!("{level:?} two")).await;
        remove(&sink);
        let texts = sink.texts();
        let fits = texts.iter().zip(&expected).all(|(text, begin)| text.starts_with(begin));
        assert!(fits && texts.len() == expected.len(), "{level:?}: {texts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_says_what_a_developer_needs() {
    if !alone("log::a_record_says_what_a_developer_needs") {
        return;
    }
    let ready = Ready::new(100_000, 1);
    let sink = keeps(|_| Ok(()));
    set_log_sink(Some(sink.clone()), LogLevel::Debug);
    let before = crate::ready::now() * 1_000;
    let wallet = open(&ready.receiver, None).await.unwrap();
    wallet.settle(false).await.unwrap_err();
    wallet.release_database().await.unwrap();
    wallet.reopen_database().await.unwrap();
    wallet.shutdown().await.unwrap();
    remove(&sink);
    let records = sink.records.lock().unwrap();
    let find = |begin: &str| {
        let found = records.iter().position(|record| record.text.starts_with(begin));
        found.unwrap_or_else(|| panic!("no {begin:?} in {records:#?}"))
    };
    let order = [
        "open begins",
        "opened a wallet on regtest",
        "open has ended after",
        "settle begins",
        "settle failed after",
        "let go of the database",
        "picked up the database again",
        "closes a wallet",
    ];
    assert!(order.map(find).is_sorted(), "{records:#?}");
    let failed = &records[find("settle failed after")];
    assert_eq!((failed.level, failed.target.as_str()), (LogLevel::Warn, "ffi"));
    assert!(failed.text.contains("cannot be reached"), "{}", failed.text);
    assert_eq!(records[find("opened a wallet")].target, "wallet");
    assert!(records.iter().all(|record| (before..before + 600_000).contains(&record.unix_millis)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stuck_sink_holds_up_no_payment() {
    if !alone("log::a_stuck_sink_holds_up_no_payment") {
        return;
    }
    let ready = Ready::new(100_000, 1);
    let wallet = open(&ready.payer, None).await.unwrap();
    let (gate, open): (Sender<()>, Receiver<()>) = channel();
    let open = Mutex::new(open);
    let sink = keeps(move |_| {
        let _ = open.lock().unwrap().recv();
        Ok(())
    });
    set_log_sink(Some(sink.clone()), LogLevel::Debug);
    let started = Instant::now();
    for _ in 0..1_100 {
        pay_too_much(&wallet, &ready).await;
    }
    pay(&wallet, &ready, "one").await;
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(sink.texts().len(), 1, "it is stuck in the first");
    // Another takes over at once; the stuck one is left alone with its thread until it comes back.
    let other = keeps(|_| Ok(()));
    set_log_sink(Some(other.clone()), LogLevel::Debug);
    pay(&wallet, &ready, "two").await;
    remove(&other);
    assert_eq!(other.texts().len(), 1);
    assert_eq!(threads().iter().filter(|name| *name == "vc-log").count(), 1);
    drop(gate);
    soon("the stuck one has ended", || !threads().contains(&"vc-log".to_owned()));
    assert_eq!(sink.texts().len(), 1 + 1_024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_throws_gets_the_next_record() {
    if !alone("log::a_sink_that_throws_gets_the_next_record") {
        return;
    }
    let ready = Ready::new(100_000, 1);
    let wallet = open(&ready.payer, None).await.unwrap();
    let sink = keeps(|_| Err(ListenerError::Failed { reason: "full".into() }));
    set_log_sink(Some(sink.clone()), LogLevel::Debug);
    pay(&wallet, &ready, "one").await;
    pay(&wallet, &ready, "two").await;
    remove(&sink);
    assert_eq!(sink.texts().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_may_call_the_wallet_and_remove_itself() {
    if !alone("log::a_sink_may_call_the_wallet_and_remove_itself") {
        return;
    }
    let ready = Ready::new(100_000, 1);
    let wallet = open(&ready.payer, None).await.unwrap();
    let (calls, id) = (OnceLock::new(), ready.id().to_string());
    assert!(calls.set(wallet.clone()).is_ok());
    let sink = keeps(move |_| {
        set_log_sink(None, LogLevel::Debug);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let wallet: &Arc<Wallet> = calls.get().unwrap();
        runtime.block_on(wallet.pay(id.clone(), sats(1_000), "the sink's".into(), None)).unwrap();
        Ok(())
    });
    set_log_sink(Some(sink.clone()), LogLevel::Debug);
    pay(&wallet, &ready, "one").await;
    soon("the sink has removed itself", || Arc::strong_count(&sink) == 1);
    soon("no thread is left", || !threads().contains(&"vc-log".to_owned()));
    assert_eq!(sink.texts().len(), 1);
    assert_eq!(wallet.channel(ready.id().to_string()).await.unwrap().amount, sats(2_000));
}
