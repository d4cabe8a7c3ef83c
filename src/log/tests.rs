use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;

/// What a sink got; dropped with it.
fn sink() -> (Sink, Receiver<Record>) {
    let (sender, records) = channel();
    let sink = move |record: Record| {
        let _ = sender.send(record);
    };
    (Box::new(sink), records)
}

fn next(records: &Receiver<Record>) -> Record {
    records.recv_timeout(Duration::from_secs(10)).expect("a record")
}

/// Waits for the sink, and so its thread, to be gone; answers what came until then.
fn rest(records: &Receiver<Record>) -> Vec<String> {
    let mut texts = Vec::new();
    loop {
        match records.recv_timeout(Duration::from_secs(10)) {
            Ok(record) => texts.push(record.text),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return texts,
            Err(error) => panic!("the sink is still there: {error}"),
        }
    }
}

fn say(log: &Log, text: &str) {
    log.write(Level::Info, "virtual_channels::operator::client", format_args!("{text}"));
}

/// A sink that takes one record and waits for the gate before the next.
fn gated() -> (Sink, Receiver<Record>, Sender<()>) {
    let (gate, open) = channel::<()>();
    let (sender, records) = channel();
    let sink = move |record: Record| {
        let _ = sender.send(record);
        let _ = open.recv();
    };
    (Box::new(sink), records, gate)
}

#[test]
fn records_come_in_order_up_to_the_level() {
    let log = Log::new();
    let levels = [Level::Error, Level::Warn, Level::Info, Level::Debug];
    assert!(levels.iter().all(|level| !log.enabled(*level)), "nobody listens");
    for (wanted, count) in levels.iter().zip(1..) {
        let (sink, records) = sink();
        log.set(Some(sink), *wanted);
        assert_eq!(levels.iter().filter(|level| log.enabled(**level)).count(), count);
        (0..100).for_each(|number| say(&log, &number.to_string()));
        log.set(None, Level::Debug);
        assert_eq!(rest(&records), (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    }
    assert!(!log.enabled(Level::Error));
    say(&log, "into the void");
}

#[test]
fn a_record_says_where_and_when() {
    let log = Log::new();
    let (sink, records) = sink();
    log.set(Some(sink), Level::Info);
    say(&log, "hello");
    let record = next(&records);
    assert_eq!((record.level, record.target, record.text.as_str()), (Level::Info, "operator", "hello"));
    assert!(record.unix_millis > 1_700_000_000_000);
}

#[test]
fn a_stuck_sink_costs_records_which_are_counted() {
    let log = Log::new();
    let (sink, records, gate) = gated();
    log.set(Some(sink), Level::Info);
    say(&log, "first");
    assert_eq!(next(&records).text, "first");
    // One is with the sink, so many wait, and the rest finds no room.
    (0..queue::WAITING + 7).for_each(|number| say(&log, &number.to_string()));
    gate.send(()).unwrap();
    assert_eq!(next(&records).text, "0");
    say(&log, "after");
    drop(gate);
    log.set(None, Level::Info);
    let texts = rest(&records);
    assert_eq!(texts.len(), queue::WAITING);
    assert_eq!(texts.last().unwrap(), "[7 records before this one were lost] after");
    assert_eq!(texts[texts.len() - 2], (queue::WAITING - 1).to_string());
}

#[test]
fn a_sink_that_panics_gets_the_next_record_too() {
    let log = Log::new();
    let (mut inner, records) = sink();
    let sink = move |record: Record| {
        inner(record);
        std::panic::resume_unwind(Box::new("the sink's own"));
    };
    log.set(Some(Box::new(sink)), Level::Info);
    ["one", "two"].iter().for_each(|text| say(&log, text));
    log.set(None, Level::Info);
    assert_eq!(rest(&records), ["one", "two"]);
}

#[test]
fn a_sink_that_was_replaced_gets_nothing_more() {
    let log = Log::new();
    let ((first, early), (second, late)) = (sink(), sink());
    log.set(Some(first), Level::Info);
    say(&log, "early");
    log.set(Some(second), Level::Info);
    say(&log, "late");
    log.set(None, Level::Info);
    assert_eq!((rest(&early), rest(&late)), (vec!["early".to_owned()], vec!["late".to_owned()]));
}

#[test]
fn a_slow_sink_that_was_removed_ends_soon() {
    let log = Log::new();
    let (sender, records) = channel();
    let sink = move |record: Record| {
        std::thread::sleep(Duration::from_millis(300));
        let _ = sender.send(record);
    };
    log.set(Some(Box::new(sink)), Level::Info);
    (0..1_000).for_each(|number| say(&log, &number.to_string()));
    log.set(None, Level::Info);
    assert!((1..20).contains(&rest(&records).len()));
}

#[test]
fn a_line_is_one_short_line() {
    let line = |text: &str| text::one_line(format_args!("{text}"));
    assert_eq!(line("two\nlines\r\u{1b}[31m"), "two lines  [31m");
    let id = "ab".repeat(32);
    assert_eq!(line(&format!("{id}:1 at /tx/{id}")), format!("{id}:1 at /tx/{id}"));
    let signature = "cd".repeat(64);
    assert_eq!(line(&format!("({signature}) {signature} x")), "(cdcdcdcdcdcd…) cdcdcdcdcdcd… x");
    assert_eq!(line(&"é".repeat(500)), format!("{}…", "é".repeat(6)));
    let long = line(&"word ".repeat(1_000));
    assert!(long.len() < 1_010 && long.ends_with('…'), "{}", long.len());
    // In pieces, as format strings come.
    assert_eq!(text::one_line(format_args!("{}{}{}", "a".repeat(50), "b".repeat(50), " end")), "aaaaaaaaaaaa… end");
}
