//! HTTP through a proxy, which `bitreq` knows only without SOCKS.

use std::sync::{Arc, Mutex, PoisonError};

use bitreq::Method;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tower_service::Service;

use super::http::{Answer, BODY_LIMIT, HEADER_LIMIT};
use crate::proxy::{Connector, Proxy};

/// Connections kept open.
const IDLE: usize = 4;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// One server, through one proxy.
pub(super) struct Tunnelled {
    connector: Connector,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Tunnelled {
    /// `url` begins with `https://` or `http://`.
    pub fn new(proxy: &Proxy, url: &str) -> Result<Self, Error> {
        let tls = match url.starts_with("https://") {
            true => {
                let roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                let provider = Arc::new(crypto::ring::default_provider());
                let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
                Some(Arc::new(config.with_root_certificates(roots).with_no_client_auth()).into())
            }
            false => None,
        };
        Ok(Self { connector: proxy.connector(), tls, idle: Mutex::new(Vec::new()) })
    }

    /// Sends one request and reads the whole answer; the caller bounds the time.
    pub async fn send(&self, method: &Method, url: &str, body: Vec<u8>) -> Result<Answer, Error> {
        let uri: Uri = url.parse()?;
        let authority = uri.authority().ok_or("an address without a host")?.to_string();
        let mut connection = match self.kept() {
            Some(kept) => kept,
            None => self.connect(uri.clone()).await?,
        };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = Request::builder().method(method.to_string().as_str()).uri(path).header(header::HOST, authority);
        let answer = connection.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), BODY_LIMIT).collect().await?.to_bytes().to_vec();
        self.keep(connection);
        Ok(Answer { status, body })
    }

    /// A connection that was used before and is open still.
    fn kept(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|connection| !connection.is_closed());
        let ready = idle.iter().position(SendRequest::is_ready)?;
        Some(idle.swap_remove(ready))
    }

    fn keep(&self, connection: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE {
            idle.push(connection);
        }
    }

    async fn connect(&self, uri: Uri) -> Result<SendRequest<Full<Bytes>>, Error> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let stream = self.connector.clone().call(uri).await?;
        match &self.tls {
            Some(tls) => {
                let name = ServerName::try_from(host)?;
                open(TokioIo::new(tls.connect(name, stream.into_inner()).await?)).await
            }
            None => open(stream).await,
        }
    }
}

/// Speaks HTTP/1.1 over a stream, in the background, until nobody asks any more.
async fn open(stream: impl Read + Write + Unpin + Send + 'static) -> Result<SendRequest<Full<Bytes>>, Error> {
    let (sender, connection) = http1::Builder::new().max_buf_size(HEADER_LIMIT).handshake(stream).await?;
    tokio::spawn(connection);
    Ok(sender)
}
