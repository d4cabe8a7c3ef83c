//! A server on this machine that answers whatever a target says: HTTP, or any bytes at all.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// Turns of the runtime without anything sent or asked, after which nothing will come by itself.
const QUIET: usize = 300;

/// What goes back for one request.
pub enum Reply {
    /// A whole answer of HTTP; the connection stays.
    Http(u16, Vec<u8>),
    /// Bytes; the connection stays.
    Step(Vec<u8>),
    /// Bytes; then the connection is closed.
    Raw(Vec<u8>),
}

#[derive(Default)]
struct Shared {
    replies: VecDeque<Reply>,
    moves: usize,
}

type Handle = Arc<Mutex<Shared>>;

fn locked<R>(shared: &Handle, act: impl FnOnce(&mut Shared) -> R) -> R {
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    shared.moves += 1;
    act(&mut shared)
}

/// A server and the one thread that it shares with its clients.
pub struct World {
    runtime: Runtime,
    shared: Handle,
    pub at: SocketAddr,
}

impl World {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let shared = Handle::default();
        let serving = shared.clone();
        let at = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let at = listener.local_addr().expect("a port");
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let _ = socket.set_nodelay(true);
                    tokio::spawn(serve(socket, serving.clone()));
                }
            });
            at
        });
        Self { runtime, shared, at }
    }

    /// Runs calls that are answered with `replies` in their order, then with 404; `None` when they wait for time.
    pub fn run<F: Future>(&self, replies: impl IntoIterator<Item = Reply>, calls: F) -> Option<F::Output> {
        let replies = replies.into_iter().collect();
        locked(&self.shared, |shared| shared.replies = replies);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                answer = calls => Some(answer),
                () = self.quiet() => None,
            }
        })
    }

    async fn quiet(&self) {
        let (mut turns, mut seen) = (0, 0);
        while turns < QUIET {
            tokio::task::yield_now().await;
            let now = self.shared.lock().unwrap_or_else(PoisonError::into_inner).moves;
            turns = if now == seen { turns + 1 } else { 0 };
            seen = now;
        }
    }
}

/// One reply for whatever has come: requests are small and come in one piece.
async fn serve(mut socket: TcpStream, shared: Handle) {
    let mut asked = vec![0; 64 << 10];
    while let Ok(count @ 1..) = socket.read(&mut asked).await {
        let head = asked.get(..count).unwrap_or_default();
        let reply = locked(&shared, |shared| shared.replies.pop_front()).unwrap_or(Reply::Http(404, Vec::new()));
        // A body in a piece of its own is not a request of its own.
        if head.ends_with(b"\r\n\r\n") && head.starts_with(b"POST") {
            let _ = socket.read(&mut asked).await;
        }
        let (bytes, stays) = match reply {
            Reply::Http(status, body) => {
                let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\n\r\n", body.len());
                ([head.as_bytes(), &body].concat(), true)
            }
            Reply::Step(bytes) => (bytes, true),
            Reply::Raw(bytes) => (bytes, false),
        };
        let sent = socket.write_all(&bytes).await;
        locked(&shared, |_| ());
        if sent.is_err() || !stays {
            return;
        }
    }
}
