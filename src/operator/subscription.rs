//! News of VTXOs at scripts.

use std::time::Duration;

use bitcoin::{OutPoint, ScriptBuf, Txid};
use tokio::task::JoinHandle;
use tonic::Status;

use super::calls::Answers;
use super::client::{CALL_LIMIT, from_status};
use super::error::OperatorError;
use super::events::{BACKOFF, SILENCE_LIMIT};
use super::vtxo::{self, Vtxo};
use super::wire::get_subscription_response::Data;
use super::{Operator, decode, wire};
use crate::log::note;

const CALL: &str = "GetSubscription";

/// Scripts a subscription may follow.
const MAX_SCRIPTS: usize = 10_000;

/// VTXOs of one event.
const MAX_VTXOS: usize = 10_000;

/// What a subscription tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptEvent {
    /// VTXOs appeared, were spent or swept.
    Change { txid: Option<Txid>, new: Vec<Vtxo>, spent: Vec<Vtxo>, swept: Vec<OutPoint> },
    /// The stream was opened again after a break: changes in between were missed, so look at the indexer.
    Resumed,
}

type Messages = Answers<wire::GetSubscriptionRequest>;

enum State {
    /// arkd answers the call only with its first message, which may be a heartbeat a minute later. It keeps what
    /// happens in between.
    Opening(Opening),
    Open(Box<Messages>),
}

/// The call runs on its own, so that it is made even when nobody asks for an event yet.
struct Opening(JoinHandle<Result<Messages, Status>>);

impl Drop for Opening {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A stream of [`ScriptEvent`]s that opens itself again after a break.
pub struct ScriptSubscription {
    operator: Operator,
    scripts: Vec<ScriptBuf>,
    state: Option<State>,
    failures: usize,
}

impl Operator {
    /// Follows the VTXOs at `scripts`. What happens after this has returned will be told.
    pub async fn subscribe(&self, scripts: Vec<ScriptBuf>) -> Result<ScriptSubscription, OperatorError> {
        if scripts.is_empty() || scripts.len() > MAX_SCRIPTS {
            return Err(OperatorError::Plan { what: format!("a subscription to {} scripts", scripts.len()) });
        }
        let state = open(self, &scripts).await?;
        Ok(ScriptSubscription { operator: self.clone(), scripts, state: Some(state), failures: 0 })
    }
}

/// Registers the scripts, and attaches to what they bring.
async fn open(operator: &Operator, scripts: &[ScriptBuf]) -> Result<State, OperatorError> {
    let scripts = scripts.iter().map(|script| script.to_hex_string()).collect();
    let request = wire::SubscribeForScriptsRequest { scripts, subscription_id: String::new() };
    let answer = operator.ask(CALL_LIMIT, &request).await?;
    if answer.subscription_id.is_empty() {
        return Err(OperatorError::bad("SubscribeForScripts", "no subscription id"));
    }
    let request = wire::GetSubscriptionRequest { subscription_id: answer.subscription_id };
    let client = operator.client();
    let opening = async move { client.open(&request).await };
    Ok(State::Opening(Opening(tokio::spawn(opening))))
}

impl State {
    /// The next message; `None` when the stream has ended.
    async fn message(&mut self) -> Result<Option<wire::GetSubscriptionResponse>, Status> {
        if let Self::Opening(opening) = self {
            let opened = (&mut opening.0).await;
            let messages = opened.map_err(|_| Status::cancelled("the runtime is shutting down"))??;
            *self = Self::Open(Box::new(messages));
        }
        match self {
            Self::Open(messages) => messages.next().await,
            Self::Opening(_) => Ok(None),
        }
    }
}

impl ScriptSubscription {
    pub fn scripts(&self) -> &[ScriptBuf] {
        &self.scripts
    }

    /// The next event. After a break it tries again with growing pauses, as long as it is polled; it fails only when
    /// the operator sends what cannot be read.
    pub async fn next(&mut self) -> Result<ScriptEvent, OperatorError> {
        loop {
            let Some(state) = &mut self.state else {
                let pause = BACKOFF.get(self.failures).or(BACKOFF.last()).copied().unwrap_or(1);
                tokio::time::sleep(Duration::from_secs(pause)).await;
                match open(&self.operator, &self.scripts).await {
                    Ok(state) => {
                        note!(Info, "the subscription is open again");
                        self.state = Some(state);
                        return Ok(ScriptEvent::Resumed);
                    }
                    Err(error) => {
                        note!(Info, "the subscription cannot be opened again yet: {error}");
                        self.failures += 1;
                    }
                }
                continue;
            };
            match tokio::time::timeout(SILENCE_LIMIT, state.message()).await {
                Ok(Ok(Some(message))) => {
                    self.failures = 0;
                    if let Some(Data::Event(event)) = message.data {
                        return change(event);
                    }
                }
                Ok(Err(status)) if status.code() == tonic::Code::OutOfRange => {
                    self.state = None;
                    return Err(from_status(CALL, self.operator.url(), &status));
                }
                // Closed, broken or silent.
                _ => {
                    note!(Warn, "the subscription was dropped");
                    self.state = None;
                }
            }
        }
    }
}

fn change(event: wire::IndexerSubscriptionEvent) -> Result<ScriptEvent, OperatorError> {
    let count = event.new_vtxos.len() + event.spent_vtxos.len() + event.swept_vtxos.len();
    if count > MAX_VTXOS {
        return Err(OperatorError::bad(CALL, format!("{count} VTXOs in one event")));
    }
    let vtxos = |list: Vec<wire::IndexerVtxo>| {
        list.into_iter().map(|vtxo| Vtxo::decode(CALL, vtxo)).collect::<Result<Vec<_>, _>>()
    };
    Ok(ScriptEvent::Change {
        txid: decode::optional_txid(CALL, &event.txid)?,
        new: vtxos(event.new_vtxos)?,
        spent: vtxos(event.spent_vtxos)?,
        // Only their outpoints are filled in.
        swept: event
            .swept_vtxos
            .into_iter()
            .map(|vtxo| vtxo::outpoint(CALL, vtxo.outpoint))
            .collect::<Result<Vec<_>, _>>()?,
    })
}
