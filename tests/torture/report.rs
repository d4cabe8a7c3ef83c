//! What happened in all schedules, so that an empty run shows.

use std::collections::BTreeMap;
use std::fmt;

/// What one schedule came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Faults that were injected, by kind.
    pub faults: BTreeMap<String, u64>,
    /// How it ended: one for each side.
    pub ends: Vec<String>,
    /// Payments that the receiver had acknowledged.
    pub payments: u64,
    /// What is wrong.
    pub violations: Vec<String>,
    /// What both sides did, shown when something is wrong.
    pub log: Vec<String>,
}

impl Outcome {
    pub fn fault(&mut self, kind: impl Into<String>) {
        *self.faults.entry(kind.into()).or_default() += 1;
    }

    pub fn wrong(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }
}

/// All schedules.
#[derive(Default)]
pub struct Report {
    schedules: u64,
    payments: u64,
    faults: BTreeMap<String, u64>,
    ends: BTreeMap<String, u64>,
    wrong: Vec<(u64, Vec<String>)>,
}

impl Report {
    /// Counts a schedule; one that went wrong is told at once, with all that was done.
    pub fn add(&mut self, seed: u64, outcome: Outcome) {
        self.schedules += 1;
        self.payments += outcome.payments;
        for (kind, times) in outcome.faults {
            *self.faults.entry(kind).or_default() += times;
        }
        let end = if outcome.ends.is_empty() { "no channel".to_owned() } else { outcome.ends.join(", ") };
        println!("schedule {seed}: {end}, {} payments, {} violations", outcome.payments, outcome.violations.len());
        *self.ends.entry(end).or_default() += 1;
        if !outcome.violations.is_empty() || std::env::var_os("VERBOSE").is_some() {
            let told = outcome.log.iter().chain(&outcome.violations).map(|line| format!("  {line}\n"));
            println!("SEED={seed} SCHEDULES=1:\n{}", told.collect::<String>());
        }
        if !outcome.violations.is_empty() {
            self.wrong.push((seed, outcome.violations));
        }
    }

    pub fn join(&mut self, other: Self) {
        self.schedules += other.schedules;
        self.payments += other.payments;
        for (kind, times) in other.faults {
            *self.faults.entry(kind).or_default() += times;
        }
        for (end, times) in other.ends {
            *self.ends.entry(end).or_default() += times;
        }
        self.wrong.extend(other.wrong);
    }

    pub fn schedules(&self) -> u64 {
        self.schedules
    }

    pub fn violations(&self) -> usize {
        self.wrong.iter().map(|(_, what)| what.len()).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "faults injected:")?;
        for (kind, times) in &self.faults {
            writeln!(f, "  {times:>6}  {kind}")?;
        }
        writeln!(f, "outcomes:")?;
        for (end, times) in &self.ends {
            writeln!(f, "  {times:>6}  {end}")?;
        }
        for (seed, what) in &self.wrong {
            writeln!(f, "SEED={seed}: {}", what.join("; "))?;
        }
        writeln!(f, "payments acknowledged: {}", self.payments)?;
        write!(f, "schedules: {} violations: {}", self.schedules, self.violations())
    }
}
