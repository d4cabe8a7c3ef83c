//! A small proxy: SOCKS5 or HTTP CONNECT, on a loopback port, that writes down where it was asked to connect.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    Socks5,
    Connect,
}

/// It knows some names that nobody else does, and connects nowhere else.
pub struct ProxyServer {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Drop for ProxyServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ProxyServer {
    /// `names`: `host:port` as it is asked for, and where that is.
    pub async fn start(speaks: Speaks, names: HashMap<String, String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if speaks == Speaks::Socks5 { "socks5" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let serving = tokio::spawn({
            let asked = asked.clone();
            async move {
                let names = Arc::new(names);
                let mut open = tokio::task::JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let (names, asked) = (names.clone(), asked.clone());
                    open.spawn(async move {
                        // Whatever breaks ends this connection only.
                        let _ = serve(speaks, client, &names, &asked).await;
                    });
                }
            }
        });
        Self { url, asked, serving }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was asked to connect to, each time.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    speaks: Speaks,
    mut client: TcpStream,
    names: &HashMap<String, String>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let target = match speaks {
        Speaks::Socks5 => socks_request(&mut client).await?,
        Speaks::Connect => connect_request(&mut client).await?,
    };
    asked.lock().unwrap().push(target.clone());
    let server = match names.get(&target) {
        Some(address) => Some(TcpStream::connect(address).await?),
        None => None,
    };
    let answer: &[u8] = match (speaks, server.is_some()) {
        (Speaks::Socks5, true) => &[5, 0, 0, 1, 127, 0, 0, 1, 0, 0],
        (Speaks::Socks5, false) => &[5, 4, 0, 1, 0, 0, 0, 0, 0, 0],
        (Speaks::Connect, true) => b"HTTP/1.1 200 Connection established\r\n\r\n",
        (Speaks::Connect, false) => b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
    };
    client.write_all(answer).await?;
    if let Some(mut server) = server {
        copy_bidirectional(&mut client, &mut server).await?;
    }
    Ok(())
}

/// RFC 1928, without authentication; an address is answered as a name that nobody knows.
async fn socks_request(client: &mut TcpStream) -> std::io::Result<String> {
    let mut head = [0; 2];
    client.read_exact(&mut head).await?;
    let mut methods = vec![0; head[1].into()];
    client.read_exact(&mut methods).await?;
    client.write_all(&[5, 0]).await?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    assert_eq!((request[0], request[1]), (5, 1), "only CONNECT is asked for");
    let host = match request[3] {
        3 => {
            let mut name = vec![0; client.read_u8().await?.into()];
            client.read_exact(&mut name).await?;
            String::from_utf8(name).unwrap()
        }
        1 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        _ => std::net::Ipv6Addr::from(client.read_u128().await?).to_string(),
    };
    Ok(format!("{host}:{}", client.read_u16().await?))
}

async fn connect_request(client: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut words = head.split_whitespace();
    assert_eq!(words.next(), Some("CONNECT"));
    Ok(words.next().unwrap().to_owned())
}
