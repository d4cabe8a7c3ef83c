//! What may change or be done against a channel while it is open: the operator's policy drifts, the other side makes
//! trouble. What each of it costs is in `docs/griefing.md`.

#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod case;
mod drift_checkpoint;
mod drift_exit_delay;
mod drift_fees;
mod drift_limits;
mod drift_signer;
mod griefing_banned;
mod griefing_locked;
