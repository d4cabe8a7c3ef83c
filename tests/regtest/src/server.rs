//! An HTTP server on a free loopback port, and how its handlers fail.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::node::NodeError;

/// A running HTTP server; dropping it ends it.
pub struct Server {
    url: String,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `routes` on a free port of the loopback interface.
    pub async fn start(routes: Router) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let task = tokio::spawn(async move {
            if let Err(e) = axum::serve(listener, routes).await {
                eprintln!("regtest: HTTP server: {e}");
            }
        });
        Ok(Self { url, task })
    }

    /// Where it listens, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Why a request is not answered as wished: the status and a line of text.
pub struct Failure(pub StatusCode, pub String);

impl Failure {
    /// 404, in the words of an Esplora server.
    pub fn not_found(what: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("{what} not found"))
    }

    /// 500.
    pub fn broken(what: impl std::fmt::Display) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, what.to_string())
    }

    /// 400.
    pub fn bad(what: impl std::fmt::Display) -> Self {
        Self(StatusCode::BAD_REQUEST, what.to_string())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<NodeError> for Failure {
    /// What bitcoind refuses is the asker's fault, and is told in the form that Esplora servers use.
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Rpc { method, code, message } => {
                let error = serde_json::json!({ "code": code, "message": message });
                Self::bad(format!("{method} RPC error: {error}"))
            }
            NodeError::NoAnchor(_) | NodeError::Funds { .. } => Self::bad(error),
            other => Self::broken(other),
        }
    }
}
