//! The targets of `fuzz/`, without libFuzzer: the whole corpus, and a fixed number of seeded mutations of it.

#[path = "../common/messages.rs"]
mod messages;
#[path = "../common/pair.rs"]
mod pair;
#[path = "../common/ready.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod ready;
#[path = "../../fuzz/src/targets/mod.rs"]
mod targets;

mod drive;
mod notice;

/// arkd's messages.
#[allow(dead_code, clippy::all)]
mod wire {
    tonic::include_proto!("ark.v1");
}

use targets::ALL;

fn target(name: &str) {
    let target = ALL.iter().find(|target| target.name == name).unwrap();
    drive::drive(target);
}

#[test]
fn messages_of_any_bytes() {
    target("messages");
}

#[test]
fn small_decoders_of_any_bytes() {
    target("codecs");
}

#[test]
fn branches_of_any_transactions() {
    target("branch");
}

#[test]
fn answers_of_any_operator() {
    target("answers");
}

#[test]
fn batches_of_any_events() {
    target("batch");
}

#[test]
fn answers_of_any_chain_server() {
    target("chain");
}

#[test]
fn handshakes_of_any_proxy() {
    target("proxies");
}

#[test]
fn payments_of_any_payer() {
    target("receive");
}

/// Every target has a program for libFuzzer and is run here.
#[test]
fn every_target_is_run() {
    let manifest = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/Cargo.toml")).unwrap();
    let here = include_str!("main.rs");
    for target in &ALL {
        assert!(manifest.contains(&format!("name = \"{}\"", target.name)), "{}", target.name);
        assert!(here.contains(&format!("target(\"{}\")", target.name)), "{}", target.name);
    }
    assert_eq!(manifest.matches("[[bin]]").count(), ALL.len());
}
