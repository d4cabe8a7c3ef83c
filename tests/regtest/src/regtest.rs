//! Everything together.

use tokio::sync::MappedMutexGuard;

use crate::esplora::{Esplora, Mode};
use crate::faucet;
use crate::meddle;
use crate::node::{Node, NodeError};
use crate::operator::{Operator, OperatorError, Settings, Unit};
use crate::seat::{self, Seat};
use crate::server::Server;

/// A chain, Esplora over it, an operator, and the calls that move the chain on, all on free loopback ports. Dropping it
/// ends everything.
pub struct Regtest {
    seat: Seat,
    operator_url: String,
    esplora: Esplora,
    admin: Server,
    node: Node,
}

/// What to start, see [`Regtest::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    settings: Settings,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
pub enum RegtestError {
    /// The chain.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The operator.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A port could not be listened on.
    #[error("no loopback port: {0}")]
    Port(#[from] std::io::Error),
}

impl Regtest {
    /// An operator that counts in blocks, with its usual settings, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Starts with an operator that counts in `unit`.
    pub async fn start(unit: Unit) -> Result<Self, RegtestError> {
        Self::builder().unit(unit).start().await
    }

    /// The chain itself.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The operator's gRPC address; it stays the same over [`Regtest::stop_operator`] and start.
    pub fn operator_url(&self) -> &str {
        &self.operator_url
    }

    /// The running operator, for its faults, settings and books. Let go of it before stopping it.
    ///
    /// # Panics
    /// While it is stopped.
    pub async fn operator(&self) -> MappedMutexGuard<'_, Operator> {
        self.seat.operator().await.expect("the operator is stopped")
    }

    /// Cuts the operator's connections and frees its port; its books stay.
    pub async fn stop_operator(&self) {
        self.seat.stop().await;
    }

    /// Has a stopped operator go on, on the same port.
    pub async fn start_operator(&self) -> Result<(), RegtestError> {
        Ok(self.seat.start().await?)
    }

    /// Esplora's base URL. `/faucet`, `/mine` and `/cpfp` are answered there too.
    pub fn esplora_url(&self) -> &str {
        self.esplora.url()
    }

    /// Base URL of `/faucet`, `/mine`, `/cpfp`, `/reorg`, `/esplora/{mode}` and `/operator/{stop|start}`, and of the
    /// operator's faults and settings; it answers whatever the others do.
    pub fn admin_url(&self) -> &str {
        self.admin.url()
    }

    /// How many requests Esplora has got since the start.
    pub fn esplora_requests(&self) -> u64 {
        self.esplora.requests()
    }

    /// Has Esplora answer the next request for this path with this.
    pub fn esplora_lies_once(&self, path: impl Into<String>, body: impl Into<Vec<u8>>) {
        self.esplora.lie_once(path, body);
    }

    /// Lies of Esplora that nobody has asked for yet.
    pub fn esplora_lies_left(&self) -> usize {
        self.esplora.lies_left()
    }

    /// Changes Esplora's fee estimate, in sats a vbyte; 1 at the beginning.
    pub fn set_fee_rate(&self, rate: u32) {
        self.esplora.set_fee_rate(rate);
    }

    /// Has Esplora answer, hang or fail.
    pub fn set_esplora(&self, mode: Mode) {
        self.esplora.set_mode(mode);
    }
}

impl Builder {
    /// The operator's usual settings for this unit. Undoes earlier changes of settings.
    pub fn unit(self, unit: Unit) -> Self {
        self.settings(Settings::for_unit(unit))
    }

    /// The operator's settings.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Changes some of the operator's settings.
    pub fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts it and waits until everything answers.
    pub async fn start(self) -> Result<Regtest, RegtestError> {
        let node = Node::start().await?;
        let operator = Operator::start(node.clone(), self.settings).await?;
        let operator_url = operator.url();
        let seat = Seat::new(operator);
        let esplora = Esplora::start(node.clone(), faucet::routes(node.clone())).await?;
        let routes = faucet::routes(node.clone())
            .merge(faucet::admin_routes(node.clone(), esplora.mode()))
            .merge(seat::routes(seat.clone()))
            .merge(meddle::routes(seat.clone()));
        let admin = Server::start(routes).await?;
        Ok(Regtest { seat, operator_url, esplora, admin, node })
    }
}
