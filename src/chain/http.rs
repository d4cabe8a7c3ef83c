//! What is asked of the chain server: every call has a deadline, every answer a bound.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::ChainError;
use super::server::{Answer, Server};
use crate::log::note;
use crate::proxy::Proxy;

/// The whole of a call.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// One request, connecting included.
const REQUEST_LIMIT: Duration = Duration::from_secs(9);

/// Text from outside is kept up to this many characters.
const TEXT_LIMIT: usize = 512;

/// A server and its open connections.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) url: Arc<str>,
    server: Arc<Server>,
}

impl Http {
    pub(super) fn new(proxy: Option<&Proxy>, url: &str) -> Result<Self, ChainError> {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            let why = "the address must begin with https:// or http://".into();
            return Err(ChainError::Unreachable { url: short(url), why });
        }
        let server = Server::new(proxy, url)
            .map_err(|error| ChainError::Unreachable { url: short(url), why: short(&error.to_string()) })?;
        Ok(Self { url: url.trim_end_matches('/').into(), server: Arc::new(server) })
    }

    /// The body of an answer; `None` for a 404.
    pub(super) async fn get(&self, call: &'static str, path: &str) -> Result<Option<Vec<u8>>, ChainError> {
        let started = Instant::now();
        let asking = async {
            let first = self.send(Method::GET, path, Vec::new()).await;
            match first {
                // A busy server, or a connection that was closed while it was kept: once more.
                Err(_) | Ok(Answer { status: 429 | 500.., .. }) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    self.send(Method::GET, path, Vec::new()).await
                }
                first => first,
            }
        };
        let answer = self.limited(asking).await;
        told(&answer, "GET", path, started);
        let answer = answer?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            status => Err(bad(call, format!("HTTP {status}: {}", text(&answer)))),
        }
    }

    /// A JSON answer; `None` for a 404.
    pub(super) async fn json<T: DeserializeOwned>(
        &self,
        call: &'static str,
        path: &str,
    ) -> Result<Option<T>, ChainError> {
        let Some(body) = self.get(call, path).await? else { return Ok(None) };
        parse(call, &body).map(Some)
    }

    /// Posts once and never again; a client error is the network's no.
    pub(super) async fn post(&self, call: &'static str, path: &str, body: String) -> Result<Vec<u8>, ChainError> {
        let started = Instant::now();
        let answer = self.limited(self.send(Method::POST, path, body.into_bytes())).await;
        told(&answer, "POST", path, started);
        let answer = answer?;
        match answer.status {
            200 => Ok(answer.body),
            400..500 => Err(ChainError::Rejected { reason: text(&answer) }),
            status => Err(bad(call, format!("HTTP {status}: {}", text(&answer)))),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Answer, String> {
        let url = format!("{}{path}", self.url);
        let answer = match timeout(REQUEST_LIMIT, Box::pin(self.server.send(method, &url, body))).await {
            Ok(answer) => answer.map_err(|error| causes(&*error)),
            Err(_) => Err(format!("no answer within {} s", REQUEST_LIMIT.as_secs())),
        };
        if answer.is_err() {
            self.server.forget();
        }
        answer
    }

    async fn limited(&self, asking: impl Future<Output = Result<Answer, String>>) -> Result<Answer, ChainError> {
        let unreachable = |why: String| ChainError::Unreachable { url: short(&self.url), why };
        match timeout(CALL_LIMIT, asking).await {
            Err(_) => Err(unreachable(format!("no answer within {} s", CALL_LIMIT.as_secs()))),
            Ok(Err(error)) => Err(unreachable(short(&error))),
            Ok(Ok(answer)) => Ok(answer),
        }
    }
}

/// A line of the log.
fn told(answer: &Result<Answer, ChainError>, method: &str, path: &str, started: Instant) {
    let took = started.elapsed().as_millis();
    match answer {
        Ok(answer) => note!(Debug, "{method} {path}: {} after {took} ms", answer.status),
        Err(error) => note!(Debug, "{method} {path}: failed after {took} ms: {error}"),
    }
}

/// An error with its causes, in one line.
fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = short(&error.to_string());
    let mut next = error.source();
    for _ in 0..6 {
        let Some(cause) = next else { break };
        text = format!("{text}: {}", short(&cause.to_string()));
        next = cause.source();
    }
    text
}

pub(super) fn parse<T: DeserializeOwned>(call: &'static str, body: &[u8]) -> Result<T, ChainError> {
    serde_json::from_slice(body).map_err(|error| bad(call, short(&error.to_string())))
}

pub(super) fn bad(call: &'static str, what: String) -> ChainError {
    ChainError::BadAnswer { call, what }
}

/// At most [`TEXT_LIMIT`] characters of a text from outside.
pub(super) fn short(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).collect()
}

fn text(answer: &Answer) -> String {
    let bytes = answer.body.as_slice();
    short(String::from_utf8_lossy(bytes.get(..4 * TEXT_LIMIT).unwrap_or(bytes)).trim())
}
