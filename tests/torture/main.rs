//! Torture: random schedules of a channel's life, with `kill -9` of either wallet at any moment, operator faults, chain
//! reorganisations, clock jumps and cheating on both sides; seeded, and replayed by the seed.
//!
//! After each schedule everything is brought to its end and counted ([`ledger`]): no money came or went but for fees,
//! the receiver has at least what it acknowledged, the payer has lost at most what it signed, and no channel is left
//! without a way out. `make torture SEED=n SCHEDULES=n` runs it; the first [`FEW`] are part of `make test`. What it
//! has found, and the deliberate bugs in `mutants/` that it must find, are in `docs/torture.md`.

#[path = "../common/spoken.rs"]
mod spoken;
#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod actor;
mod cheat;
mod ending;
mod ledger;
mod report;
mod schedule;
mod servant;
mod stage;

use report::Report;
use stage::Stage;

/// The first seed of a run that is not told otherwise.
const FIRST: u64 = 1;

/// Schedules of a run that is not told otherwise.
const FEW: u64 = 30;

/// Schedules that follow each other on one chain.
const STAGE_LASTS: usize = 25;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        _ => default,
    }
}

/// As many at once as asked for, each on a chain of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn schedules() {
    let (first, count) = (number("SEED", FIRST), number("SCHEDULES", FEW));
    let lanes = number("LANES", 4).clamp(1, count);
    let mut running = tokio::task::JoinSet::new();
    for lane in 0..lanes {
        running.spawn(async move {
            let mut report = Report::default();
            let mut stage: Option<Stage> = None;
            for (number, seed) in (first..first + count).skip(lane as usize).step_by(lanes as usize).enumerate() {
                // Books and chain grow with every schedule, and all of them are gone through at every look.
                if number % STAGE_LASTS == 0 {
                    stage = None;
                }
                let outcome = schedule::run(&mut stage, seed).await;
                if !outcome.violations.is_empty() {
                    // What is left of a schedule that went wrong must not spoil the next one.
                    stage = None;
                }
                report.add(seed, outcome);
            }
            report
        });
    }
    let mut report = Report::default();
    while let Some(lane) = running.join_next().await {
        report.join(lane.expect("a lane runs to its end"));
    }
    println!("{report}");
    assert_eq!(report.violations(), 0, "seeds to run again are above");
    assert_eq!(report.schedules(), count);
}
