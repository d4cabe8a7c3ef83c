//! An operator that answers whatever a target says, over a real connection on this machine.
//!
//! Client and server share one thread, so that an input goes the same way every time. A call that only time would end is
//! dropped as soon as nothing moves any more.

use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use h2::RecvStream;
use h2::server::SendResponse;
use prost::bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use virtual_channels::operator::Operator;

/// Turns of the runtime without anything sent or asked, after which nothing will come by itself.
const QUIET: usize = 300;

/// What goes back for one call.
#[derive(Default)]
pub struct Answer {
    /// Bytes of the body, frame headers included; those of a piece are made when its turn comes.
    pub parts: Vec<Part>,
    pub status: u8,
    pub message: Vec<u8>,
    pub details: Vec<u8>,
}

pub enum Part {
    Bytes(Vec<u8>),
    /// Waits for what the client is about to send, then asks for the bytes.
    Later(Box<dyn FnOnce() -> Vec<u8> + Send>),
}

impl Answer {
    /// Messages, and no error.
    pub fn messages(messages: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self { parts: messages.into_iter().map(|message| Part::Bytes(frame(&message))).collect(), ..Self::default() }
    }

    pub fn message(message: &impl prost::Message) -> Self {
        Self::messages([message.encode_to_vec()])
    }

    pub fn error(status: u8) -> Self {
        Self { status, ..Self::default() }
    }
}

/// A message behind its flag and length.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("messages are short");
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}

type Handler = Box<dyn FnMut(&str, &[u8]) -> Answer + Send>;

#[derive(Default)]
struct Shared {
    handler: Mutex<Option<Handler>>,
    moves: AtomicUsize,
}

impl Shared {
    fn moved(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }

    fn handle(&self, call: &str, request: &[u8]) -> Answer {
        self.moved();
        let mut handler = self.handler.lock().unwrap_or_else(PoisonError::into_inner);
        handler.as_mut().map_or_else(|| Answer::error(12), |handler| handler(call, request))
    }

    async fn quiet(&self) {
        let (mut turns, mut seen) = (0, 0);
        while turns < QUIET {
            tokio::task::yield_now().await;
            let now = self.moves.load(Ordering::Relaxed);
            turns = if now == seen { turns + 1 } else { 0 };
            seen = now;
        }
    }
}

/// A connected client, and the server it talks to.
pub struct World {
    runtime: Runtime,
    shared: Arc<Shared>,
    pub operator: Operator,
}

impl World {
    /// `info` is the answer of GetInfo.
    pub fn new(info: Vec<u8>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let shared = Arc::new(Shared::default());
        let handler: Handler = Box::new(move |_, _| Answer::messages([info.clone()]));
        *shared.handler.lock().unwrap_or_else(PoisonError::into_inner) = Some(handler);
        let operator = runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
            let url = format!("http://{}", listener.local_addr().expect("a port"));
            let serving = shared.clone();
            tokio::spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    let _ = socket.set_nodelay(true);
                    tokio::spawn(serve(socket, serving.clone()));
                }
            });
            Operator::connect(&url).await.expect("the recorded info")
        });
        Self { runtime, shared, operator }
    }

    /// Runs calls while the server answers with `handler`; `None` when they wait for time to pass.
    pub fn run<F: Future>(
        &self,
        handler: impl FnMut(&str, &[u8]) -> Answer + Send + 'static,
        calls: F,
    ) -> Option<F::Output> {
        *self.shared.handler.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(handler));
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                answer = calls => Some(answer),
                () = self.shared.quiet() => None,
            }
        })
    }
}

async fn serve(socket: TcpStream, shared: Arc<Shared>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, shared.clone()));
    }
}

async fn answer(request: http::Request<RecvStream>, mut respond: SendResponse<Bytes>, shared: Arc<Shared>) {
    let call = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let mut body = request.into_body();
    let mut asked = Vec::new();
    while let Some(Ok(bytes)) = body.data().await {
        let _ = body.flow_control().release_capacity(bytes.len());
        asked.extend(bytes);
    }
    let answer = shared.handle(&call, asked.get(5..).unwrap_or_default());
    let head = http::Response::builder().status(200).header("content-type", "application/grpc").body(());
    let Ok(mut stream) = respond.send_response(head.expect("a response"), false) else { return };
    for part in answer.parts {
        let bytes = match part {
            Part::Bytes(bytes) => bytes,
            Part::Later(bytes) => {
                for _ in 0..QUIET / 4 {
                    tokio::task::yield_now().await;
                }
                bytes()
            }
        };
        shared.moved();
        let _ = stream.send_data(bytes.into(), false);
    }
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from(u16::from(answer.status)));
    let header = |bytes: &[u8]| http::HeaderValue::from_bytes(bytes).ok();
    trailers.extend(header(&answer.message).map(|value| (http::HeaderName::from_static("grpc-message"), value)));
    if !answer.details.is_empty() {
        let details = header(STANDARD_NO_PAD.encode(&answer.details).as_bytes());
        let name = http::HeaderName::from_static("grpc-status-details-bin");
        trailers.extend(details.map(|value| (name, value)));
    }
    let _ = stream.send_trailers(trailers);
    shared.moved();
}
