//! Which failures of a batch are worth another try, and when.

use std::time::{Duration, Instant};

use super::WalletError;
use crate::operator::{OperatorError, Phase};

/// A batch that ended while the tree was signed, or after, may count against the scripts of its inputs. The third such
/// bans them for a while: so many are risked without asking.
const MAX_CONVICTIONS: u32 = 2;

/// Tries of one call, whatever fails.
const MAX_ATTEMPTS: u32 = 6;

/// Time for both sides to open their streams again before the next batch may begin.
const AFTER_BREAK: Duration = Duration::from_secs(2);

/// Looks whether a running batch has let go of the inputs come this often.
const WHILE_REGISTERED: Duration = Duration::from_secs(1);

/// The operator's word for a co-signer that did not sign in time.
const SILENCE: &str = "SIGNING_SESSION_TIMED_OUT";

/// What has failed so far in one call.
pub(super) struct Retry {
    convictions: u32,
    attempts: u32,
    /// How long a batch that was left may hold the inputs.
    patience: Duration,
    registered: Option<Instant>,
}

impl Retry {
    pub fn new(session_seconds: u64) -> Self {
        let patience = Duration::from_secs(session_seconds.min(600).saturating_mul(2) + 5);
        Self { convictions: 0, attempts: 0, patience, registered: None }
    }

    /// How long to wait before the next try; `None` where that would be of no use, or of harm.
    pub fn after(&mut self, error: &WalletError) -> Option<Duration> {
        let WalletError::Operator(error) = error else { return None };
        if error.is_registered() {
            let since = *self.registered.get_or_insert_with(Instant::now);
            return (since.elapsed() < self.patience).then_some(WHILE_REGISTERED);
        }
        self.registered = None;
        self.attempts += 1;
        let pause = match error {
            OperatorError::BatchFailed { reason, .. } if reason.contains(SILENCE) => return None,
            OperatorError::BatchFailed { phase: Phase::Signing | Phase::Finalizing, .. } => {
                self.convictions += 1;
                Duration::ZERO
            }
            OperatorError::BatchFailed { .. } => Duration::ZERO,
            OperatorError::StreamEnded { .. } => {
                self.convictions += 1;
                AFTER_BREAK
            }
            _ => return None,
        };
        (self.convictions < MAX_CONVICTIONS && self.attempts < MAX_ATTEMPTS).then_some(pause)
    }
}

/// Whether the batch failed since somebody else did not sign: the operator's words then.
pub(super) fn silence(error: &WalletError) -> Option<String> {
    match error {
        WalletError::Operator(OperatorError::BatchFailed { reason, .. }) if reason.contains(SILENCE) => {
            Some(reason.clone())
        }
        _ => None,
    }
}
