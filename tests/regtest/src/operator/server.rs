//! The listening socket, with connections that can be cut or fed rubbish from within a call.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::Connected;

/// A handle on one connection.
#[derive(Default)]
pub struct Line {
    cut: AtomicBool,
    rubbish: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

impl Line {
    /// Ends the connection at once.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// From now on everything sent is rubbish.
    pub fn spoil(&self) {
        self.rubbish.store(true, Ordering::SeqCst);
    }

    fn wake(&self) {
        self.wakers.lock().unwrap_or_else(|e| e.into_inner()).drain(..).for_each(Waker::wake);
    }

    fn watch(&self, context: &Context<'_>) -> io::Result<()> {
        let mut wakers = self.wakers.lock().unwrap_or_else(|e| e.into_inner());
        wakers.retain(|w| !w.will_wake(context.waker()));
        wakers.push(context.waker().clone());
        drop(wakers);
        match self.cut.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::ConnectionReset.into()),
            false => Ok(()),
        }
    }
}

/// All connections of a running server.
#[derive(Clone, Default)]
pub struct Lines {
    all: Arc<Mutex<Vec<Weak<Line>>>>,
}

impl Lines {
    /// Cuts all of them.
    pub fn cut_all(&self) {
        let lines = std::mem::take(&mut *self.all.lock().unwrap_or_else(|e| e.into_inner()));
        lines.iter().filter_map(Weak::upgrade).for_each(|l| l.cut());
    }

    fn add(&self, line: &Arc<Line>) {
        let mut all = self.all.lock().unwrap_or_else(|e| e.into_inner());
        all.retain(|l| l.strong_count() > 0);
        all.push(Arc::downgrade(line));
    }
}

/// Accepts connections for ever.
pub fn incoming(listener: TcpListener, lines: Lines) -> impl tokio_stream::Stream<Item = io::Result<Connection>> {
    let (sender, receiver) = tokio::sync::mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = sender.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let connection = accepted.map(|(stream, _)| {
                // A test side that answers at once; failing to set this costs only time.
                let _ = stream.set_nodelay(true);
                let line = Arc::new(Line::default());
                lines.add(&line);
                Connection { stream, line }
            });
            if sender.send(connection).await.is_err() {
                return;
            }
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

/// Binds a port on loopback; 0 takes a free one.
pub async fn bind(port: u16) -> io::Result<(TcpListener, u16)> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// One accepted connection.
pub struct Connection {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Connected for Connection {
    type ConnectInfo = Arc<Line>;

    fn connect_info(&self) -> Arc<Line> {
        self.line.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Err(cut) = self.line.watch(cx) {
            return Poll::Ready(Err(cut));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.line.cut.load(Ordering::SeqCst) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.line.rubbish.load(Ordering::SeqCst) {
            let rubbish = vec![0xa5; buf.len()];
            return Pin::new(&mut self.stream).poll_write(cx, &rubbish);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
