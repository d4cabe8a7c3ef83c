//! The recorded calls of a real arkd 0.9.15, judged by our operator: accepted or refused as arkd did, with the same code; and
//! refused with one bit changed. What an intent brings in from the chain of that day cannot be rebuilt and is left out.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod vectors;

use std::time::Duration;

use regtest::Node;

use regtest::operator::{Operator, Settings, Unit};
use vectors::{Judge, Recorded};

async fn operator(node: &Node, unit: Unit, recorded: &Recorded) -> Operator {
    let mut settings = Settings { session: Duration::from_secs(100_000), ..Settings::for_unit(unit) };
    recorded.adopt(&mut settings, 0);
    Operator::start(node.clone(), settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_calls_get_the_recorded_answers() {
    let node = Node::start().await.unwrap();
    let mut judged = 0;
    for (name, unit) in [
        ("life-blocks", Unit::Blocks),
        ("life-seconds", Unit::Seconds),
        ("batch-blocks", Unit::Blocks),
        ("batch-seconds", Unit::Seconds),
        ("exit-blocks", Unit::Blocks),
        ("exit-seconds", Unit::Seconds),
        ("drift-seconds", Unit::Seconds),
        ("restart-seconds", Unit::Seconds),
        ("expiry-blocks", Unit::Blocks),
    ] {
        let recorded = Recorded::read(name);
        let operator = operator(&node, unit, &recorded).await;
        let mut judge = Judge::new(&operator, &recorded).await;
        for at in 0..recorded.calls.len() {
            before(&operator, name, &recorded, at);
            judge.call(at).await;
        }
        println!(
            "{name}: {} calls judged, {} changed ones refused, {} left out",
            judge.judged, judge.flipped, judge.skipped
        );
        judged += judge.judged;
    }
    assert!(judged >= 77, "only {judged} calls were judged");
}

/// What was done to arkd or on its chain between the calls.
fn before(operator: &Operator, name: &str, recorded: &Recorded, at: usize) {
    recorded.clock(operator, at);
    operator.change(|s| recorded.adopt(s, at));
    let none = Settings::for_unit(Unit::Seconds);
    match (name, at) {
        ("drift-seconds", 39) => operator.change(|s| s.vtxo_min = 50_000),
        ("drift-seconds", 40) => operator.change(|s| (s.vtxo_min, s.vtxo_max) = (none.vtxo_min, 60_000)),
        ("drift-seconds", 41) => operator.change(|s| (s.vtxo_max, s.exit_delay) = (-1, 2048)),
        ("drift-seconds", 42) => operator.change(|s| s.exit_delay = none.exit_delay),
        ("exit-blocks" | "exit-seconds", 71) => {
            let spent = recorded.checkpoint_inputs(at)[0];
            recorded.put(operator, &spent);
            assert!(operator.mark_unrolled(&spent));
        }
        // The batch's height had come.
        ("expiry-blocks", 23) => assert!(operator.mark_swept(&recorded.checkpoint_inputs(at)[0])),
        ("batch-blocks" | "batch-seconds", 97 | 102 | 107) => {
            let intent = recorded.proof_inputs(108)[0];
            recorded.put(operator, &intent);
            operator.convict(&recorded.script(&intent), "missing musig2 nonce");
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_digest_and_the_info_are_arkds() {
    for (name, unit) in [("life-blocks", Unit::Blocks), ("life-seconds", Unit::Seconds)] {
        let recorded = Recorded::read(name);
        let theirs = recorded.info(0).unwrap();
        assert_eq!(regtest::operator::info::digest(&theirs), theirs.digest);
        let mut settings = Settings::for_unit(unit);
        recorded.adopt(&mut settings, 0);
        let mut ours = regtest::operator::info::info(&settings);
        // Their forfeit key's secret is not known.
        ours.forfeit_pubkey = theirs.forfeit_pubkey.clone();
        ours.forfeit_address = theirs.forfeit_address.clone();
        ours.digest = regtest::operator::info::digest(&ours);
        assert_eq!(ours, theirs);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_refusals_have_the_recorded_code_and_status() {
    let node = Node::start().await.unwrap();
    for (name, life, unit) in
        [("wire-blocks", "life-blocks", Unit::Blocks), ("wire-seconds", "life-seconds", Unit::Seconds)]
    {
        let recorded = Recorded::read(life);
        let operator = operator(&node, unit, &recorded).await;
        let mut judge = Judge::new(&operator, &recorded).await;
        for at in 0..recorded.calls.len() {
            before(&operator, life, &recorded, at);
            judge.call(at).await;
        }
        let mut compared = 0;
        for call in vectors::wire_calls(name) {
            let Some(answer) = vectors::send_raw(&operator, &call).await else { continue };
            match (call["status"].as_i64(), answer) {
                (Some(status), Err(got)) => {
                    assert_eq!(got.code() as i64, status, "{call}");
                    assert_eq!(
                        vectors::recorded_details(&call).map(|d| d.code),
                        vectors::details(&got).map(|d| d.code)
                    );
                    compared += 1;
                }
                (None, Ok(())) => compared += 1,
                (wanted, got) => panic!("{}: wanted {wanted:?}, got {got:?}", call["method"]),
            }
        }
        assert!(compared >= 15, "{compared}");
    }
}
