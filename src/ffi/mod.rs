//! What phones see: the wallet's API in types that Kotlin and Swift know. Thin: no decision is taken here.
//!
//! Ids and transaction ids are lower-case hex, addresses and messages text. Every call that changes
//! something runs to its end in a task of its own, also when the caller goes away meanwhile; the next call shows what
//! happened.

// The words reach Kotlin and Swift: `make docs` finds an item without them, and so does this.
#![warn(missing_docs)]

mod amount;
mod balance;
mod changes;
mod channel;
mod clock;
mod config;
mod error;
mod error_from;
mod error_text;
mod event;
mod exit;
mod invite;
mod listener;
mod log;
mod maintain;
mod onchain;
mod parsed;
mod payment;
mod recovery;
mod runtime;
mod setup;
mod together;
mod told;
mod wallet;

pub use amount::Sats;
pub use balance::{Balance, LastBalance, Settlement};
pub use channel::{ChannelInfo, ChannelState, FundingKind, Role, TimeUnit, WatchReport};
pub use clock::Clock;
pub use config::{Network, WalletConfig};
pub use error::WalletError;
pub use event::{Event, EventKind, Step};
pub use exit::{ExitInfo, ExitProblem, ExitQuote, ExitStage};
pub use invite::{Acceptance, FundingChoice, InviteRequest, Proposal, ProposeRequest, Quote};
pub use listener::ListenerError;
pub use log::{LogLevel, LogRecord, LogSink, set_log_sink};
pub use maintain::{ChannelChange, MaintenanceError, MaintenanceReport, MaintenanceTask, ResumeReport};
pub use onchain::{OnchainBalance, OnchainQuote};
pub use parsed::Parsed;
pub use payment::{Payment, ReceiveResult, Received};
pub use recovery::{FoundCoin, RestoreReport, RestoreWarning, Restored, restore_wallet};
pub use wallet::{Wallet, generate_mnemonic};
