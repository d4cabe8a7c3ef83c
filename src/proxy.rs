//! Reaching a server through a proxy: SOCKS5, which looks up names itself (as Tor needs), or HTTP with CONNECT.
//!
//! Whoever has a proxy uses it for everything, also for this machine: nothing goes around it, and no name is looked up
//! here.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

/// The longest address of a proxy.
const MAX_URL: usize = 512;

/// A TCP connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(8);

/// A connection through a proxy.
pub type ProxyStream = TokioIo<TcpStream>;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// A proxy: how it is reached, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    /// `http://host:port`, whatever it speaks.
    at: Uri,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Socks5,
    Connect,
}

impl Proxy {
    /// Reads `socks5://host:port` or `http://host:port`; a name and password are not taken. The error says what is
    /// wrong with it.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a proxy is socks5://host:port or http://host:port";
        if url.len() > MAX_URL {
            return Err(FORM);
        }
        let (kind, rest) = match url.split_once("://") {
            Some(("socks5", rest)) => (Kind::Socks5, rest),
            Some(("http", rest)) => (Kind::Connect, rest),
            _ => return Err(FORM),
        };
        if rest.contains('@') {
            return Err("a proxy's name and password are not supported");
        }
        let at: Uri = format!("http://{}", rest.trim_end_matches('/')).parse().map_err(|_| FORM)?;
        let named = at.host().is_some_and(|host| !host.is_empty()) && at.port_u16().is_some_and(|port| port > 0);
        if named && at.path() == "/" && at.query().is_none() { Ok(Self { kind, at }) } else { Err(FORM) }
    }

    /// Whether it looks up names by itself, also those that only it knows (`.onion`).
    pub fn is_socks5(&self) -> bool {
        self.kind == Kind::Socks5
    }

    pub fn connector(&self) -> Connector {
        match self.kind {
            Kind::Socks5 => Connector::Socks5(SocksV5::new(self.at.clone(), tcp())),
            Kind::Connect => Connector::Connect(Tunnel::new(self.at.clone(), tcp())),
        }
    }
}

fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    // Shared between the addresses of a name.
    connector.set_connect_timeout(Some(CONNECT_LIMIT));
    connector.enforce_http(false);
    connector
}

/// Connects to a server.
#[derive(Debug, Clone)]
pub enum Connector {
    Direct(HttpConnector),
    Socks5(SocksV5<HttpConnector>),
    Connect(Tunnel<HttpConnector>),
}

impl Connector {
    /// Without a proxy.
    pub fn direct() -> Self {
        Self::Direct(tcp())
    }
}

impl Service<Uri> for Connector {
    type Response = ProxyStream;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<ProxyStream, Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::Direct(tcp) => tcp.poll_ready(context).map_err(Error::from),
            Self::Socks5(proxy) => proxy.poll_ready(context).map_err(Error::from),
            Self::Connect(proxy) => proxy.poll_ready(context).map_err(Error::from),
        }
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let server = match with_port(server) {
            Ok(server) => server,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        match self {
            Self::Direct(tcp) => {
                let connecting = tcp.call(server);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Self::Socks5(proxy) => {
                let connecting = proxy.call(server);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Self::Connect(proxy) => {
                let connecting = proxy.call(server);
                Box::pin(async move { Ok(connecting.await?) })
            }
        }
    }
}

/// Names the port that the scheme stands for: both connectors would take 443.
fn with_port(uri: Uri) -> Result<Uri, Error> {
    if uri.port().is_some() || uri.scheme_str() != Some("http") {
        return Ok(uri);
    }
    let host = uri.host().ok_or("an address without a host")?;
    Ok(format!("http://{host}:80/").parse::<Uri>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_proxy() {
        for good in ["socks5://127.0.0.1:9050", "http://proxy.example:8080/", "socks5://[::1]:1", "http://a:65535"] {
            assert_eq!(Proxy::parse(good).unwrap().is_socks5(), good.starts_with("socks5"), "{good}");
        }
        let long = format!("http://{}:1", "a".repeat(MAX_URL));
        for bad in [
            "",
            "127.0.0.1:9050",
            "socks4://a:1",
            "socks5h://a:1",
            "https://a:1",
            "http://a",
            "http://:1",
            "http://a:0",
            "http://a:65536",
            "http://a:1/x",
            "http://a:1?x",
            "http://a b:1",
            "http://user:word@a:1",
            &long,
        ] {
            assert!(Proxy::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_schemes_port() {
        for (uri, port) in [("http://a/x", Some(80)), ("http://a:7070", Some(7070)), ("https://a", None)] {
            assert_eq!(with_port(uri.parse().unwrap()).unwrap().port_u16(), port, "{uri}");
        }
    }
}
