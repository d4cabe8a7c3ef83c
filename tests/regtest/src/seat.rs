//! The operator's place: running, or stopped and ready to go on with its books.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};

use crate::operator::{Operator, OperatorError, Stopped};
use crate::server::Failure;

/// Shared by the Rust handle and the HTTP calls.
#[derive(Clone)]
pub struct Seat {
    operator: Arc<Mutex<Turn>>,
}

enum Turn {
    Running(Operator),
    Stopped(Stopped),
    /// Its port was not to be had when it was to start again.
    Gone,
}

impl Seat {
    pub fn new(operator: Operator) -> Self {
        Self { operator: Arc::new(Mutex::new(Turn::Running(operator))) }
    }

    /// `None` while stopped. Holding the guard holds up whoever wants to stop it.
    pub async fn operator(&self) -> Option<MappedMutexGuard<'_, Operator>> {
        let guard = self.operator.lock().await;
        MutexGuard::try_map(guard, |turn| match turn {
            Turn::Running(operator) => Some(operator),
            Turn::Stopped(_) | Turn::Gone => None,
        })
        .ok()
    }

    /// Does nothing while it is stopped already.
    pub async fn stop(&self) {
        let mut turn = self.operator.lock().await;
        *turn = match std::mem::replace(&mut *turn, Turn::Gone) {
            Turn::Running(operator) => Turn::Stopped(operator.stop().await),
            other => other,
        };
    }

    /// On the same port. Does nothing while it runs.
    pub async fn start(&self) -> Result<(), OperatorError> {
        let mut turn = self.operator.lock().await;
        *turn = match std::mem::replace(&mut *turn, Turn::Gone) {
            Turn::Stopped(stopped) => Turn::Running(stopped.start().await?),
            other => other,
        };
        Ok(())
    }
}

/// `POST /operator/stop` cuts all connections and frees the port; `POST /operator/start` has it go on, on the same port.
pub fn routes(seat: Seat) -> Router {
    Router::new().route("/operator/stop", post(stop)).route("/operator/start", post(start)).with_state(seat)
}

async fn stop(State(seat): State<Seat>) -> Json<Value> {
    seat.stop().await;
    Json(json!({ "running": false }))
}

async fn start(State(seat): State<Seat>) -> Result<Json<Value>, Failure> {
    seat.start().await.map_err(Failure::broken)?;
    Ok(Json(json!({ "running": seat.operator().await.is_some() })))
}
