//! Everything together.

use crate::esplora::{Esplora, Mode};
use crate::faucet;
use crate::node::{Node, NodeError};
use crate::server::Server;

/// A chain, Esplora over it and the calls that move it on, all on free loopback ports. Dropping it ends everything.
pub struct Regtest {
    node: Node,
    esplora: Esplora,
    admin: Server,
}

/// What to start, see [`Regtest::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum RegtestError {
    /// The chain.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A port could not be listened on.
    #[error("no loopback port: {0}")]
    Port(#[from] std::io::Error),
}

impl Regtest {
    /// What is started unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts what [`Regtest::builder`] describes.
    pub async fn start() -> Result<Self, RegtestError> {
        Self::builder().start().await
    }

    /// The chain itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Esplora's base URL. `/faucet`, `/mine` and `/cpfp` are answered there too.
    pub fn esplora_url(&self) -> &str {
        self.esplora.url()
    }

    /// Base URL of `/faucet`, `/mine`, `/cpfp`, `/reorg` and `/esplora/{mode}`, which answers whatever Esplora does.
    pub fn admin_url(&self) -> &str {
        self.admin.url()
    }

    /// Has Esplora answer, hang or fail.
    pub fn set_esplora(&self, mode: Mode) {
        self.esplora.set_mode(mode);
    }
}

impl Builder {
    /// Starts it and waits until everything answers.
    pub async fn start(self) -> Result<Regtest, RegtestError> {
        let node = Node::start().await?;
        let esplora = Esplora::start(node.clone(), faucet::routes(node.clone())).await?;
        let routes = faucet::routes(node.clone()).merge(faucet::admin_routes(node.clone(), esplora.mode()));
        let admin = Server::start(routes).await?;
        Ok(Regtest { node, esplora, admin })
    }
}
