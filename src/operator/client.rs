//! The connection: deadlines, bounds, headers, and one retry when the operator's settings changed.

use std::future::Future;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use prost::Message;
use prost::bytes::Bytes;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};

use super::calls::{self, Answers, Call, Client};
use super::error::{ArkdError, OperatorError, code, short};
use super::{info, wire};
use crate::channel::OperatorInfo;
use crate::log::note;
use crate::proxy::{Connector, Proxy};

/// The arkd version whose interface this client speaks.
pub const BUILD_VERSION: &str = "0.9.15";

/// A connection attempt, name look-up and TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);

/// An ordinary call.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(15);

/// arkd can put a whole transaction into an error, which travels as a header.
const HEADER_LIMIT: u32 = 1 << 20;

/// What becomes of a call.
pub(super) trait Answered<T>: Future<Output = Result<T, OperatorError>> + Send {}

impl<T, F: Future<Output = Result<T, OperatorError>> + Send> Answered<T> for F {}

/// A call that is made, with an answer in bytes.
type Asked<'a> = BoxFuture<'a, Result<Bytes, OperatorError>>;

/// An Ark operator. Cloning is cheap; clones share the connection and the last info.
#[derive(Clone)]
pub struct Operator {
    url: Arc<str>,
    channel: Channel,
    headers: Headers,
    info: Arc<RwLock<Arc<OperatorInfo>>>,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Operator {
    /// Connects and asks for the operator's info. `https://…` is checked against the webpki roots; `http://…` is for
    /// regtest. Fails within seconds when nothing answers.
    pub async fn connect(url: &str) -> Result<Self, OperatorError> {
        Self::connect_through(None, url).await
    }

    /// The same through a proxy.
    pub async fn connect_through(proxy: Option<&Proxy>, url: &str) -> Result<Self, OperatorError> {
        let unreachable = |why: String| OperatorError::Unreachable { url: short(url), why };
        let endpoint = endpoint(url).map_err(unreachable)?;
        // One kind of connector: what drives a connection is in the library once (docs/adr/0008-size.md).
        let connector = proxy.map_or_else(Connector::direct, Proxy::connector);
        let connecting = endpoint.connect_with_connector(connector);
        let channel = match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok(channel)) => channel,
            Ok(Err(error)) => return Err(unreachable(reason(&error))),
            Err(_) => return Err(unreachable(format!("no connection within {} s", CONNECT_LIMIT.as_secs()))),
        };
        let headers = Headers::default();
        let client = Client::new(channel.clone(), headers.clone());
        let request = wire::GetInfoRequest {};
        let (call, path) = (wire::GetInfoRequest::NAME, wire::GetInfoRequest::PATH);
        let answer = send(client, call, path, CALL_LIMIT, url, request.encode_to_vec()).await?;
        let info = info::decode(decode(call, url, answer)?)?;
        headers.set_digest(&info.digest);
        Ok(Self { url: url.into(), channel, headers, info: Arc::new(RwLock::new(Arc::new(info))) })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The last info, without asking again.
    pub fn info(&self) -> Arc<OperatorInfo> {
        self.info.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Asks again. Its digest goes with every call from now on.
    pub async fn refresh_info(&self) -> Result<Arc<OperatorInfo>, OperatorError> {
        let answer = self.ask(CALL_LIMIT, &wire::GetInfoRequest {}).await?;
        let info = Arc::new(info::decode(answer)?);
        self.headers.set_digest(&info.digest);
        *self.info.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = info.clone();
        Ok(info)
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.channel.clone(), self.headers.clone())
    }

    /// A call of the ark service within `limit`. When the operator's settings changed since the last info, it is
    /// fetched and the call made once more: arkd refuses those before it looks at them.
    pub(super) fn call<C: Call>(&self, limit: Duration, request: &C) -> impl Answered<C::Answer> + use<'_, C> {
        self.answer::<C>(self.call_bytes(C::NAME, C::PATH, limit, request.encode_to_vec()))
    }

    /// The same for a call that is answered by a stream.
    pub(super) async fn stream<C: Call>(&self, limit: Duration, request: &C) -> Result<Answers<C>, OperatorError> {
        let open = || limited(C::NAME, limit, &self.url, self.client().open(request));
        match open().await {
            Err(error) if self.settings_changed(C::NAME, &error).await? => open().await,
            other => other,
        }
    }

    /// A call that looks at no digest.
    pub(super) fn ask<C: Call>(&self, limit: Duration, request: &C) -> impl Answered<C::Answer> + use<'_, C> {
        self.answer::<C>(self.ask_bytes(C::NAME, C::PATH, limit, request.encode_to_vec()))
    }

    fn answer<C: Call>(&self, bytes: Asked<'_>) -> impl Answered<C::Answer> {
        bytes.map(|bytes| decode(C::NAME, &self.url, bytes?))
    }

    /// What all calls share, without their messages: it is in the library once (docs/adr/0008-size.md).
    fn call_bytes(&self, call: &'static str, path: &'static str, limit: Duration, request: Vec<u8>) -> Asked<'_> {
        Box::pin(async move {
            match self.ask_bytes(call, path, limit, request.clone()).await {
                Err(error) if self.settings_changed(call, &error).await? => {
                    self.ask_bytes(call, path, limit, request).await
                }
                other => other,
            }
        })
    }

    fn ask_bytes(&self, call: &'static str, path: &'static str, limit: Duration, request: Vec<u8>) -> Asked<'_> {
        Box::pin(send(self.client(), call, path, limit, &self.url, request))
    }

    /// Whether this is why a call was refused; then the settings are fetched.
    async fn settings_changed(&self, call: &str, error: &OperatorError) -> Result<bool, OperatorError> {
        if !error.is(code::DIGEST_MISMATCH) {
            return Ok(false);
        }
        note!(Info, "the operator's settings have changed: they are fetched, and {call} is called again");
        self.refresh_info().await?;
        Ok(true)
    }
}

async fn send(
    client: Client,
    call: &'static str,
    path: &'static str,
    limit: Duration,
    url: &str,
    request: Vec<u8>,
) -> Result<Bytes, OperatorError> {
    limited(call, limit, url, client.send(path, request)).await
}

fn decode<M: Message + Default>(call: &'static str, url: &str, bytes: Bytes) -> Result<M, OperatorError> {
    calls::decode(bytes).map_err(|status| from_status(call, url, &status))
}

fn endpoint(url: &str) -> Result<Endpoint, String> {
    let secure = match url.split_once("://") {
        Some(("https", _)) => true,
        Some(("http", _)) => false,
        _ => return Err("the address must begin with https:// or http://".into()),
    };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| reason(&error))?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_LIMIT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true)
        .http2_max_header_list_size(HEADER_LIMIT);
    if !secure {
        return Ok(endpoint);
    }
    let tls = ClientTlsConfig::new().with_webpki_roots().timeout(CONNECT_LIMIT);
    endpoint.tls_config(tls).map_err(|error| reason(&error))
}

/// Runs a call within a deadline and sorts its errors.
async fn limited<T>(
    call: &'static str,
    limit: Duration,
    url: &str,
    sending: impl Future<Output = Result<T, Status>>,
) -> Result<T, OperatorError> {
    let started = Instant::now();
    let answer = match tokio::time::timeout(limit, sending).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => Err(from_status(call, url, &status)),
        Err(_) => Err(OperatorError::Timeout { call, seconds: limit.as_secs() }),
    };
    let took = started.elapsed().as_millis();
    match &answer {
        Ok(_) => note!(Debug, "{call}: answered after {took} ms"),
        Err(error) => note!(Debug, "{call}: failed after {took} ms: {error}"),
    }
    answer
}

/// Sorts a gRPC status: a broken connection, an answer that is too large, or arkd's own refusal.
pub(super) fn from_status(call: &'static str, url: &str, status: &Status) -> OperatorError {
    use std::error::Error;

    let from_arkd = !status.details().is_empty();
    // The client library itself makes these: a source, or a code that stands for its own limits.
    let broken = status.source().is_some() || matches!(status.code(), Code::Unavailable | Code::Cancelled);
    if broken && !from_arkd {
        let why = match status.source() {
            Some(source) => format!("{}: {}", short(status.message()), reason(source)),
            None => short(status.message()),
        };
        return OperatorError::Unreachable { url: short(url), why };
    }
    if status.code() == Code::OutOfRange && !from_arkd {
        return OperatorError::bad(call, short(status.message()));
    }
    OperatorError::Refused { call, error: Box::new(ArkdError::from_status(status)) }
}

/// An error with its causes, in one line.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = short(&error.to_string());
    let mut next = error.source();
    for _ in 0..6 {
        let Some(cause) = next else { break };
        let cause_text = short(&cause.to_string());
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// The two headers of every call.
#[derive(Clone, Default)]
pub(super) struct Headers {
    digest: Arc<RwLock<Option<MetadataValue<Ascii>>>>,
}

impl Headers {
    fn set_digest(&self, digest: &str) {
        let value = Some(digest).filter(|digest| !digest.is_empty()).and_then(|digest| digest.parse().ok());
        *self.digest.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = value;
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        metadata.insert("x-build-version", MetadataValue::from_static(BUILD_VERSION));
        if let Some(digest) = self.digest.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone() {
            metadata.insert("x-digest", digest);
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_there_is_an_error_within_seconds() {
        let started = std::time::Instant::now();
        for url in ["http://127.0.0.1:1", "https://127.0.0.1:1", "ftp://127.0.0.1:1", "127.0.0.1:1", "", "http://"] {
            let error = Operator::connect(url).await.unwrap_err();
            assert!(matches!(error, OperatorError::Unreachable { .. }), "{url}: {error}");
        }
        assert!(started.elapsed().as_secs() < 10);
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let accepted = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                open.push(socket);
            }
        });
        let started = std::time::Instant::now();
        assert!(Operator::connect(&url).await.unwrap_err().is_transport());
        assert!(started.elapsed() < CONNECT_LIMIT + CALL_LIMIT + Duration::from_secs(5));
        accepted.abort();
    }
}
