//! HTTP with a deadline and a bound on every answer, which `esplora-client`'s own client cannot set.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bitreq::{Client, Method, Request};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::ChainError;
use super::tunnelled::Tunnelled;
use crate::log::note;
use crate::proxy::Proxy;

/// The whole of a call.
const CALL_LIMIT: Duration = Duration::from_secs(20);

/// One request, connecting included.
const REQUEST_LIMIT: Duration = Duration::from_secs(9);

/// No answer is larger: a full transaction in hex is 8 MB at most.
pub(super) const BODY_LIMIT: usize = 16 << 20;

pub(super) const HEADER_LIMIT: usize = 64 << 10;

/// Text from outside is kept up to this many characters.
const TEXT_LIMIT: usize = 512;

/// Connections kept open.
const CONNECTIONS: usize = 8;

/// A server and its open connections.
#[derive(Clone)]
pub(super) struct Http {
    pub(super) url: Arc<str>,
    client: Way,
}

/// How the server is reached.
#[derive(Clone)]
enum Way {
    Direct(Client),
    Proxied(Arc<Tunnelled>),
}

/// An answer, whole.
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Http {
    pub(super) fn new(proxy: Option<&Proxy>, url: &str) -> Result<Self, ChainError> {
        if !url.starts_with("https://") && !url.starts_with("http://") {
            let why = "the address must begin with https:// or http://".into();
            return Err(ChainError::Unreachable { url: short(url), why });
        }
        let client = match proxy {
            None => Way::Direct(Client::new(CONNECTIONS)),
            Some(proxy) => {
                let unreachable = |why: String| ChainError::Unreachable { url: short(url), why };
                Way::Proxied(Arc::new(Tunnelled::new(proxy, url).map_err(|error| unreachable(error.to_string()))?))
            }
        };
        Ok(Self { url: url.trim_end_matches('/').into(), client })
    }

    /// The body of an answer; `None` for a 404.
    pub(super) async fn get(&self, call: &'static str, path: &str) -> Result<Option<Vec<u8>>, ChainError> {
        let started = Instant::now();
        let asking = async {
            let first = self.send(Method::Get, path, Vec::new()).await;
            match first {
                // A busy server, or a connection that was closed while it was kept: once more.
                Err(_) | Ok(Answer { status: 429 | 500.., .. }) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    self.send(Method::Get, path, Vec::new()).await
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
        let answer = self.limited(self.send(Method::Post, path, body.into_bytes())).await;
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
        match &self.client {
            Way::Direct(client) => direct(client, method, url, body).await,
            Way::Proxied(tunnelled) => {
                match timeout(REQUEST_LIMIT, Box::pin(tunnelled.send(&method, &url, body))).await {
                    Ok(answer) => answer.map_err(|error| causes(&*error)),
                    Err(_) => Err(format!("no answer through the proxy within {} s", REQUEST_LIMIT.as_secs())),
                }
            }
        }
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

async fn direct(client: &Client, method: Method, url: String, body: Vec<u8>) -> Result<Answer, String> {
    let request = Request::new(method, url)
        .with_timeout(REQUEST_LIMIT.as_secs())
        .with_max_redirects(3)
        .with_max_headers_size(HEADER_LIMIT)
        .with_max_status_line_length(HEADER_LIMIT)
        .with_max_body_size(BODY_LIMIT);
    let request = if body.is_empty() { request } else { request.with_body(body) };
    let answer = client.send_async(request).await.map_err(|error| error.to_string())?;
    Ok(Answer { status: u16::try_from(answer.status_code).unwrap_or(u16::MAX), body: answer.into_bytes() })
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
