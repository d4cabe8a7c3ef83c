//! Servers that are there and of no use: silent, slow, half closed. Every call ends with an error, and soon.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use virtual_channels::chain::Chain;
use virtual_channels::operator::Operator;

/// No call may take longer, by far.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Takes everything, says nothing.
    Silent,
    /// Takes everything, and has closed its own side.
    HalfClosed,
    /// A byte of a good answer now and then.
    Dripping,
    /// Closes in the middle of the answer.
    Cut,
}

async fn behave(mut socket: TcpStream, manner: Manner) {
    let mut rubbish = [0; 1024];
    match manner {
        Manner::Silent => {}
        Manner::HalfClosed => {
            let _ = socket.shutdown().await;
        }
        Manner::Dripping => {
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
            for byte in head.iter().chain(std::iter::repeat_n(&b'1', 1_000)) {
                if socket.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Manner::Cut => {
            let _ = socket.read(&mut rubbish).await;
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n12").await;
            return;
        }
    }
    while socket.read(&mut rubbish).await.is_ok_and(|read| read > 0) {}
}

async fn server(manner: Manner) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(behave(socket, manner));
        }
    });
    (url, task)
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_hanging_and_half_closed_servers_are_given_up() {
    let all = [Manner::Silent, Manner::HalfClosed, Manner::Dripping, Manner::Cut].map(|manner| async move {
        let (url, task) = server(manner).await;
        let chain = async {
            let started = Instant::now();
            let refused = Chain::new(&url).unwrap().tip().await.is_err();
            assert!(refused && started.elapsed() < LIMIT, "chain, {manner:?}: {:?}", started.elapsed());
        };
        let operator = async {
            let started = Instant::now();
            let error = Operator::connect(&url).await.unwrap_err();
            assert!(started.elapsed() < LIMIT, "operator, {manner:?}: {:?}, {error}", started.elapsed());
        };
        tokio::join!(chain, operator);
        task.abort();
    });
    for one in all.map(tokio::spawn) {
        one.await.unwrap();
    }
}
