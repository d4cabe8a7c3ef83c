//! Payment channels inside Ark VTXOs.
//!
//! A *virtual channel* lets one side pay another as often as it likes without any network: a payer, a receiver, and
//! money that moves one way. The money stands in a VTXO, an output of an Ark batch that exists only as signed
//! transactions until somebody puts them on chain. Opening costs no transaction of its own, a payment is one message
//! of less than 300 characters, and the receiver keeps exactly one thing: the latest of them.
//!
//! # The protocol in one page
//!
//! **Terms.** Both sides agree on a capacity, a refund locktime and two delays d1 < d2, and show each other a fresh key
//! and where they want to be paid. Everything else follows: the VTXO's script has four leaves.
//!
//! | leaf | who spends, and when |
//! |---|---|
//! | forfeit | payer, receiver and operator together, any time: how a channel is closed |
//! | refund | payer and operator, after the locktime |
//! | update | payer and receiver, d1 after the VTXO is on chain: the receiver's way without the operator |
//! | unilateral refund | the payer alone, d2 after the VTXO is on chain |
//!
//! **Opening.** The receiver hands over an *Invite*, the payer answers with an *Offer* (the full terms), the receiver
//! with an *Accept*. Then both co-sign a batch of the operator that has the channel in it; or the payer funds the
//! channel by an off-chain transaction, at once and without the receiver. The receiver counts a channel as open when
//! it holds the whole *branch*, the signed transactions from the chain down to the channel, and has verified it.
//!
//! **The authorisation.** Once per channel the payer signs, on the forfeit leaf: the *checkpoint* through which the
//! operator lets a VTXO be spent; a proof to fetch a pending transaction with; a proof to clear away an intent that
//! locks the VTXO. None is worth anything without the receiver's own signature.
//!
//! **Paying.** A payment is a new split of the capacity: so much to the receiver in all, the rest to the payer. The
//! payer signs it twice, once for the close through the operator and once for the exit on chain, because an operator
//! refuses to close a channel that somebody has put on chain. A higher amount replaces a lower one, never the other way.
//!
//! **Closing.** The receiver adds its signatures to the latest split and gives it to the operator. It has to do so
//! before the locktime and before the batch expires, with time left to go on chain should the operator not answer:
//! [`channel::deadline`] says by when. A payer whose receiver never closes takes everything back after the locktime.
//!
//! **What is trusted.** The receiver trusts nobody with what it was paid in a confirmed batch, as long as it looks at
//! the chain now and then and acts before its deadlines. In a channel funded off chain payer and operator together could
//! still spend the money twice. And receiver and operator together could hold back what the payer has not spent.
//!
//! # Where things are
//!
//! | module | what |
//! |---|---|
//! | [`channel`] | the protocol, pure: no I/O, no clock, no async. Terms, scripts, transactions, updates, messages, rules, deadlines |
//! | [`store`] | what must survive: one SQLite file, one durable commit a step |
//! | [`operator`] | arkd over gRPC: batches, off-chain transactions, indexer |
//! | [`chain`] | the Bitcoin chain, through an Esplora server |
//! | [`proxy`] | how both of them are reached through a SOCKS5 or HTTP proxy |
//! | [`wallet`] | keys, coins, and the flows that join the rest: open, pay, receive, close, refund |
//! | [`log`] | what an app developer wants to know |
//! | `task` | work that runs beside its caller |
//! | `ffi` | what Kotlin and Swift see; no decision is taken there |
//!
//! Arrows run one way: `ffi` → `wallet` → `store`, `operator`, `chain` → `channel`. Bytes from outside are decoded and
//! checked once, at the edge, into types that cannot be wrong.
//!
//! # A channel in memory
//!
//! Two parties agree, one pays, the other verifies and could go on chain with it:
//!
//! ```
//! use bitcoin::{Amount, OutPoint, XOnlyPublicKey};
//! use secp256k1::{Keypair, SECP256K1, rand::thread_rng};
//! use virtual_channels::channel::script::{CheckpointScript, default_vtxo};
//! use virtual_channels::channel::{
//!     Authorisation, AuthorisationPolicy, Channel, ChannelTerms, ChannelUpdate, Delay, Message, Network, Party, Payout, Unit,
//!     UpdateMessage, time,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key = || Keypair::new(SECP256K1, &mut thread_rng());
//! let public = |pair: &Keypair| -> XOnlyPublicKey { pair.x_only_public_key().0 };
//! let (payer, receiver, operator, forfeit) = (key(), key(), key(), key());
//! let day = Delay::at_least(Unit::Seconds, 24 * 3600)?;
//!
//! // Each side: a key for this channel, an Ark address of its own, an on-chain address.
//! let party = |pair: &Keypair| -> Result<Party, Box<dyn std::error::Error>> {
//!     let vtxo = default_vtxo(public(&key()), public(&operator), day)?;
//!     let on_chain = Payout::new(public(&key()));
//!     Ok(Party { key: public(pair), ark_payout: Payout::new(vtxo.output_key()), chain_payout: on_chain })
//! };
//! let terms = ChannelTerms {
//!     network: Network::Regtest,
//!     operator: public(&operator),
//!     payer: party(&payer)?,
//!     receiver: party(&receiver)?,
//!     capacity: Amount::from_sat(100_000),
//!     locktime: time::locktime(Unit::Seconds, 1_900_000_000)?,
//!     d1: day,
//!     d2: Delay::at_least(Unit::Seconds, 48 * 3600)?,
//!     authorisation: AuthorisationPolicy::default(),
//! };
//! println!("fund {} with {}", terms.address()?, terms.capacity);
//!
//! // Once the VTXO exists, both sides compute the same channel from the terms and the outpoint.
//! let funding: OutPoint = "d0c41a8fea64ebe2f36d23a59cc5a20c479373bf9bbfb608fae8912d952e5591:0".parse()?;
//! let channel = Channel::new(terms, funding)?;
//! let script = CheckpointScript { delay: day, key: public(&forfeit) };
//! let close = channel.close_template(script)?;
//!
//! // The payer pays 30 000 sats, and hands it over as text.
//! let payment = UpdateMessage {
//!     update: ChannelUpdate::sign(&channel, &close, &payer, Amount::ZERO, Amount::from_sat(30_000)),
//!     authorisation: Some(Authorisation::sign(&channel, script, &payer)?),
//!     memo: Some("bread".to_string()),
//! };
//! let text = payment.to_text()?;
//!
//! // The receiver reads it and verifies every signature.
//! let Message::Update(payment) = Message::parse(&text)? else { panic!("another kind of message") };
//! payment.authorisation.ok_or("the first payment carries it")?.verify(&channel, &close)?;
//! payment.update.verify(&channel, &[&close])?;
//!
//! // From here on it needs nobody: this transaction is valid on chain d1 after the VTXO.
//! let exit = payment.update.exit_transaction(&channel, &receiver)?;
//! assert_eq!(exit.output[0].value, Amount::from_sat(30_000));
//! assert_eq!(exit.output[0].script_pubkey, terms.receiver.chain_payout.script());
//! assert_eq!(exit.output[1].value, Amount::from_sat(70_000));
//! # Ok(())
//! # }
//! ```
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod chain;
pub mod channel;
pub mod ffi;
pub mod log;
pub mod operator;
pub mod proxy;
pub mod store;
mod task;
pub mod wallet;

uniffi::setup_scaffolding!();
