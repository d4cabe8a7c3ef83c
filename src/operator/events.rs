//! The event stream of batches.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::calls::Answers;
use super::client::from_status;
use super::error::OperatorError;
use super::{Operator, wire};

pub(super) use super::wire::get_event_stream_response::Event;

const CALL: &str = "GetEventStream";

/// The operator greets at once.
const GREETING_LIMIT: Duration = Duration::from_secs(15);

/// arkd sends a heartbeat a minute; two that did not come mean that nobody is there.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(150);

/// The waits between attempts to open a stream again.
pub(super) const BACKOFF: [u64; 5] = [1, 2, 4, 8, 15];

/// An open event stream: what has been sent since it opened will come, in order.
pub(super) struct EventStream {
    stream: Answers<wire::GetEventStreamRequest>,
    url: String,
}

impl EventStream {
    /// Opens a stream; returns when the operator has greeted, so that nothing sent from now on is missed.
    pub(super) async fn open(operator: &Operator, topics: Vec<String>) -> Result<Self, OperatorError> {
        let request = wire::GetEventStreamRequest { topics };
        let stream = operator.stream(GREETING_LIMIT, &request).await?;
        let mut stream = Self { stream, url: operator.url().to_owned() };
        match tokio::time::timeout(GREETING_LIMIT, stream.message()).await {
            Ok(Ok(Event::StreamStarted(_))) => Ok(stream),
            Ok(Ok(_)) => Err(OperatorError::bad(CALL, "the stream did not begin with a greeting")),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(OperatorError::Timeout { call: CALL, seconds: GREETING_LIMIT.as_secs() }),
        }
    }

    /// The next event, or `None` at `deadline`. Heartbeats are swallowed, silence is an error.
    pub(super) async fn next(&mut self, deadline: Instant) -> Option<Result<Event, OperatorError>> {
        loop {
            // A stream that is never silent must not keep the clock from being looked at.
            if Instant::now() >= deadline {
                return None;
            }
            let silent = Instant::now() + SILENCE_LIMIT;
            match timeout_at(deadline.min(silent), self.message()).await {
                Ok(Ok(Event::Heartbeat(_) | Event::StreamStarted(_))) => {}
                Ok(result) => return Some(result),
                Err(_) if silent < deadline => {
                    let why = format!("silence for {} s", SILENCE_LIMIT.as_secs());
                    return Some(Err(OperatorError::StreamEnded { why }));
                }
                Err(_) => return None,
            }
        }
    }

    async fn message(&mut self) -> Result<Event, OperatorError> {
        match self.stream.next().await {
            // An event of a kind that did not exist when this was written is as good as a heartbeat.
            Ok(Some(message)) => Ok(message.event.unwrap_or(Event::Heartbeat(wire::Heartbeat {}))),
            Ok(None) => Err(OperatorError::StreamEnded { why: "the operator closed it".into() }),
            Err(status) => Err(match from_status(CALL, &self.url, &status) {
                OperatorError::Unreachable { why, .. } => OperatorError::StreamEnded { why },
                other => other,
            }),
        }
    }
}
