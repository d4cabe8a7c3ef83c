//! What may change or be done against a channel while it is open: the operator's policy drifts, the other side makes
//! trouble. What each of it costs is in `docs/griefing.md`.

#[path = "../exits/stage.rs"]
#[allow(dead_code)]
mod stage;
#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod case;
mod connections;
mod drift_checkpoint;
mod drift_exit_delay;
mod drift_expired;
mod drift_fees;
mod drift_limits;
mod drift_signer;
mod drift_taken_back;
mod griefing_banned;
mod griefing_locked;
mod griefing_onchain;
mod griefing_withheld;
