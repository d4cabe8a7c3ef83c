//! Bans: a script that has cost too many batches is shut out for a while.

use std::collections::HashMap;
use std::time::Duration;

use bitcoin::ScriptBuf;

use super::settings::Settings;

/// What was done, and until when it counts.
#[derive(Clone, Debug)]
struct Conviction {
    until: i64,
    reason: String,
}

/// Convictions by output script.
#[derive(Default)]
pub struct Bans {
    convictions: HashMap<ScriptBuf, Vec<Conviction>>,
}

impl Bans {
    /// Convicts a script; the clock is the operator's (unix seconds).
    pub fn convict(&mut self, script: ScriptBuf, reason: &str, now: i64, duration: Duration) {
        let until = if duration.is_zero() { i64::MAX } else { now + duration.as_secs() as i64 };
        self.convictions.entry(script).or_default().push(Conviction { until, reason: reason.into() });
    }

    /// Says why a script is banned, if it is.
    pub fn check(&self, script: &ScriptBuf, settings: &Settings, now: i64) -> Result<(), String> {
        let active: Vec<_> = self.convictions.get(script).into_iter().flatten().filter(|c| c.until > now).collect();
        if settings.ban_threshold == 0 || active.len() < settings.ban_threshold {
            return Ok(());
        }
        let reasons: Vec<_> = active
            .iter()
            .map(|c| format!("VtxoScript {script:x} banned until {}, reason: {}", c.until, c.reason))
            .collect();
        Err(format!("script {script:x} is banned by {} convictions: {}", active.len(), reasons.join(", ")))
    }

    /// Lifts all bans.
    pub fn pardon(&mut self) {
        self.convictions.clear();
    }
}
