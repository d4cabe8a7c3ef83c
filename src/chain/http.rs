//! HTTP with a deadline and a bound on every answer, which `esplora-client`'s own client cannot set.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitreq::{Client, Method, Request, Response};
use serde::de::DeserializeOwned;

use super::ChainError;
use crate::log::note;

/// The whole of a call.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// One request, connecting included.
const REQUEST_LIMIT: Duration = Duration::from_secs(9);

/// No answer is larger: a full transaction in hex is 8 MB at most.
const BODY_LIMIT: usize = 16 << 20;

const HEADER_LIMIT: usize = 64 << 10;

/// Text from outside is kept up to this many characters.
const TEXT_LIMIT: usize = 512;

/// Connections kept open.
const CONNECTIONS: usize = 8;

/// A server and its open connections.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) url: Arc<str>,
    client: Client,
}

impl Http {
    pub(super) fn new(url: &str) -> Result<Self, ChainError> {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            let why = "the address must begin with https:// or http://".into();
            return Err(ChainError::Unreachable { url: short(url), why });
        }
        Ok(Self { url: url.trim_end_matches('/').into(), client: Client::new(CONNECTIONS) })
    }

    /// The body of an answer; `None` for a 404.
    pub(super) async fn get(&self, call: &'static str, path: &str) -> Result<Option<Vec<u8>>, ChainError> {
        let started = Instant::now();
        let asking = async {
            let first = self.send(Method::Get, path, Vec::new()).await;
            match first {
                // A busy server, or a connection that was closed while it was kept: once more.
                Err(_) | Ok(Response { status_code: 429 | 500.., .. }) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    self.send(Method::Get, path, Vec::new()).await
                }
                first => first,
            }
        };
        let answer = self.limited(asking).await;
        told(&answer, "GET", path, started);
        let answer = answer?;
        match answer.status_code {
            200 => Ok(Some(answer.into_bytes())),
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
        let answer = self.limited(self.send(Method::Post, path, body.into_bytes())).await;
        told(&answer, "POST", path, started);
        let answer = answer?;
        match answer.status_code {
            200 => Ok(answer.into_bytes()),
            400..500 => Err(ChainError::Rejected { reason: text(&answer) }),
            status => Err(bad(call, format!("HTTP {status}: {}", text(&answer)))),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Vec<u8>) -> Result<Response, bitreq::Error> {
        let request = Request::new(method, format!("{}{path}", self.url))
            .with_timeout(REQUEST_LIMIT.as_secs())
            .with_max_redirects(3)
            .with_max_headers_size(HEADER_LIMIT)
            .with_max_status_line_length(HEADER_LIMIT)
            .with_max_body_size(BODY_LIMIT);
        let request = if body.is_empty() { request } else { request.with_body(body) };
        self.client.send_async(request).await
    }

    async fn limited(
        &self,
        asking: impl Future<Output = Result<Response, bitreq::Error>>,
    ) -> Result<Response, ChainError> {
        let unreachable = |why: String| ChainError::Unreachable { url: short(&self.url), why };
        match tokio::time::timeout(CALL_LIMIT, asking).await {
            Err(_) => Err(unreachable(format!("no answer within {} s", CALL_LIMIT.as_secs()))),
            Ok(Err(error)) => Err(unreachable(short(&error.to_string()))),
            Ok(Ok(answer)) => Ok(answer),
        }
    }
}

/// A line of the log.
fn told(answer: &Result<Response, ChainError>, method: &str, path: &str, started: Instant) {
    let took = started.elapsed().as_millis();
    match answer {
        Ok(answer) => note!(Debug, "{method} {path}: {} after {took} ms", answer.status_code),
        Err(error) => note!(Debug, "{method} {path}: failed after {took} ms: {error}"),
    }
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

fn text(answer: &Response) -> String {
    let bytes = answer.as_bytes();
    short(String::from_utf8_lossy(bytes.get(..4 * TEXT_LIMIT).unwrap_or(bytes)).trim())
}
