//! The protocol, pure: no I/O, no clock, no async.
//!
//! One file an idea. Bytes from outside become checked types in [`message`] and [`terms`]; everything else takes those
//! types and cannot be handed a wrong one.

pub mod amount;
pub mod authorisation;
pub mod backup;
pub mod branch;
pub mod deadline;
mod error;
pub mod exit;
pub mod intent;
pub mod message;
pub mod network;
pub mod offchain;
pub mod operator_info;
pub mod payer;
pub mod psbt;
pub mod receiver;
mod release;
pub mod script;
pub mod sighash;
pub mod terms;
pub mod text;
pub mod time;
pub mod transactions;
pub mod update;

pub use authorisation::Authorisation;
pub(crate) use error::or;
pub use error::{ChannelError, ImpossibleAmount};
pub use message::{Accept, CloseGrant, CloseRequest, Invite, Message, Offer, Receipt, UpdateMessage};
pub use network::Network;
pub use operator_info::OperatorInfo;
pub use release::Release;
pub use script::{ArkAddress, TapTree};
pub use secp256k1::SECP256K1;
pub use terms::{AuthorisationPolicy, ChannelId, ChannelTerms, Party, Payout};
pub use time::{Delay, Unit};
pub use transactions::Channel;
pub use update::ChannelUpdate;
