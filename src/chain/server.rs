//! HTTP/1.1 to one server, directly or through a proxy, over a few connections that are kept open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{Method, Request, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tower_service::Service;

use crate::proxy::{Connector, Proxy};
use crate::task;

/// No answer is larger: a full transaction in hex is 8 MB at most.
const BODY_LIMIT: usize = 16 << 20;

const HEADER_LIMIT: usize = 64 << 10;

/// Connections kept open.
const IDLE: usize = 8;

/// For so long: a phone that slept or changed its network does not learn that they are dead.
const KEPT: Duration = Duration::from_secs(20);

type Error = Box<dyn std::error::Error + Send + Sync>;

type Connection = SendRequest<Full<Bytes>>;

/// An answer, whole.
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

/// One server.
pub(super) struct Server {
    connector: Connector,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<(Instant, Connection)>>,
}

impl Server {
    /// `url` begins with `https://` or `http://`.
    pub fn new(proxy: Option<&Proxy>, url: &str) -> Result<Self, Error> {
        let tls = match url.starts_with("https://") {
            true => {
                let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                let provider = Arc::new(crypto::ring::default_provider());
                let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
                Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into())
            }
            false => None,
        };
        let connector = proxy.map_or_else(Connector::direct, Proxy::connector);
        Ok(Self { connector, tls, idle: Mutex::new(Vec::new()) })
    }

    /// Sends one request and reads the whole answer; the caller bounds the time. Redirections are not followed.
    pub async fn send(&self, method: Method, url: &str, body: Vec<u8>) -> Result<Answer, Error> {
        let uri: Uri = url.parse()?;
        let authority = uri.authority().ok_or("an address without a host")?.as_str();
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::builder().method(method).uri(path).header(header::HOST, authority);
        let request = request.body(Full::new(Bytes::from(body)))?;
        let (connection, answer) = self.exchange(&uri, request).await?;
        let status = answer.status().as_u16();
        let body = whole(answer.into_body()).await?;
        self.keep(connection);
        Ok(Answer { status, body })
    }

    /// Over a kept connection if there is one. One that turns out to be closed before anything was sent is no error.
    async fn exchange(
        &self,
        uri: &Uri,
        request: Request<Full<Bytes>>,
    ) -> Result<(Connection, http::Response<Incoming>), Error> {
        let unsent = match self.kept() {
            Some(mut kept) => match kept.try_send_request(request).await {
                Ok(answer) => return Ok((kept, answer)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => unsent,
                    None => return Err(error.into_error().into()),
                },
            },
            None => request,
        };
        let mut fresh = self.connect(uri.clone()).await?;
        let answer = fresh.send_request(unsent).await?;
        Ok((fresh, answer))
    }

    /// Lets go of all kept connections: where one fails or does not answer, the others hardly will.
    pub fn forget(&self) {
        self.idle().clear();
    }

    /// A connection that was used a moment ago and is open still.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle();
        idle.retain(|(used, connection)| used.elapsed() < KEPT && !connection.is_closed());
        let ready = idle.iter().position(|(_, connection)| connection.is_ready())?;
        Some(idle.swap_remove(ready).1)
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < IDLE {
            idle.push((Instant::now(), connection));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Instant, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self, uri: Uri) -> Result<Connection, Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let stream = self.connector.clone().call(uri).await?;
        let stream = stream.into_inner();
        match &self.tls {
            Some(tls) => open(Box::new(tls.connect(ServerName::try_from(host)?, stream).await?)).await,
            None => open(Box::new(stream)).await,
        }
    }
}

/// A body, in one piece: chunks of a byte would cost many times what they carry.
async fn whole(mut body: Incoming) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if bytes.len() + data.len() > BODY_LIMIT {
            return Err("the answer is too large".into());
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// With TLS or without: one kind of stream, so that what speaks over it is in the library once (docs/adr/0008-size.md).
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Speaks HTTP/1.1 over a stream, in the background, until nobody asks any more.
async fn open(stream: Box<dyn Stream>) -> Result<Connection, Error> {
    let stream = TokioIo::new(stream);
    let (sender, connection) = http1::Builder::new().max_buf_size(HEADER_LIMIT).handshake(stream).await?;
    task::spawn(async move { drop(connection.await) });
    Ok(sender)
}
