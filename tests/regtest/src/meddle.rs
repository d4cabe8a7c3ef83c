//! The faults and settings of the operator over HTTP, for tests that are not written in Rust.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::post;
use bitcoin::{OutPoint, Txid};
use serde::Deserialize;
use tokio::sync::MappedMutexGuard;

use crate::operator::script::{Delay, Leaf};
use crate::operator::{Action, Call, Claim, Code, Knob, Operator, Phase, Settings};
use crate::seat::Seat;
use crate::server::Failure;

/// `POST /fault/{call}/{action}?times=N` has the next N calls (one) go wrong; `POST /claim/{txid}/{vout}/{claim}` has the
/// books say something else of a VTXO; `POST /fail-batch` has every batch fail; `POST /clear` ends all of that.
/// `POST /set/{setting}/{value}` changes a setting.
pub fn routes(seat: Seat) -> Router {
    Router::new()
        .route("/fault/{call}/{action}", post(fault))
        .route("/claim/{txid}/{vout}/{claim}", post(claim))
        .route("/fail-batch", post(fail_batch))
        .route("/clear", post(clear))
        .route("/set/{setting}/{value}", post(set))
        .with_state(seat)
}

type Answer = Result<&'static str, Failure>;

async fn running(seat: &Seat) -> Result<MappedMutexGuard<'_, Operator>, Failure> {
    seat.operator().await.ok_or_else(|| Failure::bad("the operator is stopped"))
}

/// What goes wrong, see [`Action`].
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Wrong {
    Drop,
    Hang,
    Refuse,
    Status,
    Garbage,
    LoseAnswer,
}

#[derive(Deserialize)]
struct How {
    /// How many calls; one unless said.
    times: Option<u32>,
    /// What is said with `refuse`, as arkd writes it.
    code: Option<Code>,
}

async fn fault(State(seat): State<Seat>, Path((call, wrong)): Path<(Call, Wrong)>, Query(how): Query<How>) -> Answer {
    let text = "as the test wants it".to_owned();
    let action = match wrong {
        Wrong::Drop => Action::Drop,
        Wrong::Hang => Action::Hang,
        Wrong::Refuse => Action::Refuse(how.code.ok_or_else(|| Failure::bad("refuse wants a code"))?, text),
        Wrong::Status => Action::Status(tonic::Code::FailedPrecondition, text),
        Wrong::Garbage => Action::Garbage,
        Wrong::LoseAnswer => Action::LoseAnswer,
    };
    running(&seat).await?.faults().times(call, action, how.times.unwrap_or(1));
    Ok("ok")
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Claimed {
    Spent,
    Swept,
    Unrolled,
}

async fn claim(State(seat): State<Seat>, Path((txid, vout, claimed)): Path<(Txid, u32, Claimed)>) -> Answer {
    let claim = match claimed {
        Claimed::Spent => Claim { spent: Some(true), ..Claim::default() },
        Claimed::Swept => Claim { swept: Some(true), ..Claim::default() },
        Claimed::Unrolled => Claim { unrolled: Some(true), ..Claim::default() },
    };
    running(&seat).await?.faults().claim(OutPoint { txid, vout }, claim);
    Ok("ok")
}

async fn fail_batch(State(seat): State<Seat>) -> Answer {
    running(&seat).await?.faults().turn(Knob::FailBatch(Phase::Started));
    Ok("ok")
}

async fn clear(State(seat): State<Seat>) -> Answer {
    running(&seat).await?.faults().clear();
    Ok("ok")
}

/// What can be set, see [`Settings`].
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Setting {
    CheckpointDelay,
    /// Sats for each coin and each output, in a batch.
    Fee,
    /// Seconds that the operator's clock is ahead.
    ClockShift,
    /// 1: the checkpoints' way back to the operator has another key than it says.
    OtherCheckpointKey,
}

async fn set(State(seat): State<Seat>, Path((setting, value)): Path<(Setting, u32)>) -> Answer {
    running(&seat).await?.change(|settings: &mut Settings| match setting {
        Setting::CheckpointDelay => settings.checkpoint_delay = value,
        Setting::Fee => {
            let fee = format!("{value}.0");
            settings.fees.offchain_input = fee.clone();
            settings.fees.offchain_output = fee.clone();
            settings.fees.onchain_input = fee;
        }
        Setting::ClockShift => settings.clock_shift = i64::from(value),
        Setting::OtherCheckpointKey => {
            let delay = Delay::from_setting(settings.checkpoint_delay);
            settings.checkpoint_script = (value > 0).then(|| Leaf::after(delay, settings.signer_key()).script);
        }
    });
    Ok("ok")
}
