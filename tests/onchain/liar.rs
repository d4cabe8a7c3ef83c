//! A chain server in front of the real one that can say something else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

type Says = dyn Fn(&str) -> Option<Vec<u8>> + Send;

#[derive(Default)]
struct Mind {
    says: Option<Box<Says>>,
    /// While it sleeps: what it said to each path, and says again.
    dreams: Option<HashMap<String, Vec<u8>>>,
    asked: Vec<String>,
}

pub struct Liar {
    url: String,
    mind: Arc<Mutex<Mind>>,
    serving: JoinHandle<()>,
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Liar {
    /// In front of the server at `truth`.
    pub async fn start(truth: &str) -> Self {
        let truth = truth.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mind = Arc::<Mutex<Mind>>::default();
        let serving = tokio::spawn({
            let mind = mind.clone();
            async move {
                let mut open = tokio::task::JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let (mind, truth) = (mind.clone(), truth.clone());
                    open.spawn(async move {
                        // Whatever breaks ends this connection only.
                        let _ = serve(client, &mind, &truth).await;
                    });
                }
            }
        });
        Self { url, mind, serving }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Bodies for some paths, instead of the true ones.
    pub fn say(&self, says: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) {
        self.mind.lock().unwrap().says = Some(Box::new(says));
    }

    pub fn be_honest(&self) {
        self.mind.lock().unwrap().says = None;
    }

    /// From now on what was said once is said again.
    pub fn fall_asleep(&self) {
        self.mind.lock().unwrap().dreams = Some(HashMap::new());
    }

    pub fn wake(&self) {
        self.mind.lock().unwrap().dreams = None;
    }

    /// The paths asked for since this was called last.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.mind.lock().unwrap().asked)
    }
}

async fn serve(mut client: TcpStream, mind: &Mutex<Mind>, truth: &str) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let length =
        text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body).await?;
    let mut words = text.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let said = {
        let mut mind = mind.lock().unwrap();
        mind.asked.push(path.clone());
        let dreamt = mind.dreams.as_ref().and_then(|dreams| dreams.get(&path).cloned()).filter(|_| method == "GET");
        let said = mind.says.as_ref().and_then(|says| says(&path)).map(|body| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            [head.into_bytes(), body].concat()
        });
        dreamt.or(said)
    };
    let answer = match said {
        Some(answer) => answer,
        None => {
            let mut server = TcpStream::connect(truth).await?;
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: {truth}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            server.write_all(&[request.as_bytes(), &body].concat()).await?;
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).await?;
            if let Some(dreams) = mind.lock().unwrap().dreams.as_mut().filter(|_| method == "GET") {
                dreams.insert(path, answer.clone());
            }
            answer
        }
    };
    client.write_all(&answer).await?;
    client.shutdown().await
}
