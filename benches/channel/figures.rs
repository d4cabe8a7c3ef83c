//! The figures: a table to read, and JSON for whoever compares them.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Failure;

/// One measured claim. What is counted is microseconds, characters or bytes, as the name says.
#[derive(Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub ours_us: f64,
    pub floor_us: f64,
    pub ratio: f64,
    #[serde(skip)]
    pub unit: &'static str,
    /// What the floor is.
    #[serde(skip)]
    pub floor: &'static str,
    #[serde(skip)]
    pub aim: Option<Aim>,
}

/// What a figure should be.
#[derive(Clone, Copy)]
pub enum Aim {
    /// The ratio, at most.
    Ratio(f64),
    /// The figure itself, less than.
    Below(f64),
    /// The same as the floor.
    Equal,
}

impl Figure {
    pub fn new(
        name: &'static str,
        unit: &'static str,
        ours: f64,
        floor_is: &'static str,
        floor: f64,
        aim: Option<Aim>,
    ) -> Self {
        let round = |value: f64, by: f64| (value * by).round() / by;
        Self {
            name,
            unit,
            floor: floor_is,
            aim,
            ours_us: round(ours, 10.0),
            floor_us: round(floor, 10.0),
            ratio: round(ours / floor, 1_000.0),
        }
    }

    /// The aim in words, and whether it is met.
    fn judged(&self) -> (String, &'static str) {
        let (text, met) = match self.aim {
            None => return ("-".into(), ""),
            Some(Aim::Ratio(most)) => (format!("ratio <= {most:.2}"), self.ratio <= most),
            Some(Aim::Below(limit)) => (format!("< {limit}"), self.ours_us < limit),
            Some(Aim::Equal) => ("equal".into(), self.ours_us == self.floor_us),
        };
        (text, if met { "met" } else { "MISSED" })
    }
}

/// Prints the table and writes `target/bench.json` in the checkout, or where `BENCH_JSON` says.
pub fn report(figures: &[Figure]) -> Result<(), Failure> {
    println!("\n{:<18} {:>12} {:>12} {:>7}  {:<15} floor", "", "ours", "floor", "ratio", "aim");
    for figure in figures {
        let (aim, met) = figure.judged();
        let unit = figure.unit;
        println!(
            "{:<18} {:>9.1} {unit:<2} {:>9.1} {unit:<2} {:>7.3}  {aim:<15} {met:<6}  {}",
            figure.name, figure.ours_us, figure.floor_us, figure.ratio, figure.floor
        );
    }
    let target = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target");
    let path = std::env::var_os("BENCH_JSON").map_or_else(|| target.join("bench.json"), PathBuf::from);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&path, serde_json::to_string_pretty(figures)? + "\n")?;
    println!("\nwritten to {}", path.display());
    Ok(())
}

/// Times of the same thing.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn take<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let answer = work();
        self.0.push(began.elapsed());
        answer
    }

    /// In microseconds.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).map_or(f64::NAN, |median| median.as_secs_f64() * 1e6)
    }
}
