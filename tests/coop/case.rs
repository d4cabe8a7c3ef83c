//! A channel, its two wallets, and what is asked of them again and again.

use std::str::FromStr;

use bitcoin::Psbt;
use regtest::operator::{Action, Call, Settings, Unit};
use virtual_channels::channel::message::{CloseGrant, CloseRequest, UpdateMessage};
use virtual_channels::channel::{AuthorisationPolicy, ChannelId};
use virtual_channels::store::{ChannelRow, ChannelState, FlowKind, Store};
use virtual_channels::wallet::{
    Acceptance, EventKind, FundingChoice, InviteRequest, ProposeRequest, SystemClock, Wallet, WalletError,
};

use crate::offline;
use crate::world::{World, eventually, sats};

pub const FUNDS: u64 = 100_000;
pub const CAPACITY: u64 = 60_000;

pub struct Case {
    pub world: World,
    pub payer: Wallet,
    pub receiver: Wallet,
    pub id: ChannelId,
}

/// An open channel funded off chain, in which nothing was paid.
pub async fn case(unit: Unit, authorisation: AuthorisationPolicy, lifetime: Option<u64>) -> Case {
    let world = World::start(unit).await;
    let payer = world.rich("payer", FUNDS).await;
    let receiver = world.wallet("receiver").await;
    let id = open(&payer, &receiver, &request(FundingChoice::Offchain, authorisation, lifetime)).await;
    Case { world, payer, receiver, id }
}

pub fn request(funding: FundingChoice, authorisation: AuthorisationPolicy, lifetime: Option<u64>) -> ProposeRequest {
    ProposeRequest { capacity: sats(CAPACITY), funding, lifetime, delay_margin: 0, authorisation }
}

pub fn invite() -> InviteRequest {
    InviteRequest { on_close: true, ..InviteRequest::default() }
}

/// Proposed and taken off chain.
pub async fn open(payer: &Wallet, receiver: &Wallet, request: &ProposeRequest) -> ChannelId {
    let invite = receiver.create_invite(&invite()).unwrap();
    let proposal = payer.propose(&invite, request).await.unwrap();
    let Acceptance::Open(id) = receiver.accept(&proposal.offer).await.unwrap() else { panic!("open at once") };
    assert_eq!(proposal.channel_id, Some(id));
    id
}

impl Case {
    pub async fn fault(&self, call: Call, action: Action) {
        self.world.regtest.operator().await.faults().once(call, action);
    }

    pub async fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.world.regtest.operator().await.change(change);
    }

    /// As after a kill: the wallet is opened again from its file.
    pub async fn reopen(&mut self, name: &str) {
        let wallet = self.world.wallet(name).await;
        let old = match name {
            "payer" => std::mem::replace(&mut self.payer, wallet),
            _ => std::mem::replace(&mut self.receiver, wallet),
        };
        old.close().unwrap();
    }

    /// And it goes on with everything.
    pub async fn reopen_and_resume(&mut self, name: &str) {
        self.reopen(name).await;
        let wallet = if name == "payer" { &self.payer } else { &self.receiver };
        let (left, errors) = wallet.resume().await.unwrap();
        assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
    }

    pub fn row(&self, name: &str) -> ChannelRow {
        offline::row(&self.world.path(name), &self.id)
    }

    pub fn state(&self, name: &str) -> ChannelState {
        self.row(name).hot.state
    }

    /// The step of a flow in the journal.
    pub fn step(&self, name: &str, kind: FlowKind) -> Option<String> {
        let store = Store::open(&self.world.path(name)).unwrap();
        store.read(|db| db.flows_of(kind)).unwrap().pop().map(|flow| flow.step)
    }

    pub fn pay(&self, amount: u64, payment_id: &str) -> UpdateMessage {
        through(&self.payer.pay(&self.id, sats(amount), payment_id, None).unwrap().message)
    }

    /// Pays and receives.
    pub fn paid(&self, amount: u64, payment_id: &str) {
        self.receiver.receive(&self.pay(amount, payment_id)).unwrap();
    }

    /// Asks, as the receiver, and is granted; both as text.
    pub async fn granted(&self) -> Result<CloseGrant, Box<WalletError>> {
        let request = CloseRequest::parse(&self.receiver.request_close(&self.id)?.to_text()?)?;
        let grant = self.payer.grant_close(&request).await?;
        Ok(CloseGrant::parse(&grant.to_text()?)?)
    }

    /// Lets the locktime pass on the chain.
    pub async fn pass_locktime(&self) {
        let info = self.payer.channel(&self.id).unwrap();
        let locktime = u64::from(info.locktime.to_consensus_u32());
        let node = self.world.regtest.node();
        match info.locktime.is_block_height() {
            true => {
                let height = node.tip().await.unwrap().height;
                node.generate(locktime as u32 - height).await.unwrap();
            }
            false => {
                use virtual_channels::wallet::Clock;
                node.generate_after(11, locktime - SystemClock::default().now() + 60).await.unwrap();
            }
        }
        eventually("the chain's time", async || {
            let tip = node.tip().await.unwrap();
            let seen = if info.locktime.is_block_height() { tip.height.into() } else { tip.median_time };
            // The chain server may be behind.
            seen >= locktime && self.payer.watch(&self.id).await.is_ok()
        })
        .await;
    }

    /// No checkpoint that came with a submission carried a signature.
    pub async fn no_checkpoint_was_signed_early(&self) {
        for submission in self.world.regtest.operator().await.faults().submissions() {
            for checkpoint in &submission.checkpoint_txs {
                let checkpoint = Psbt::from_str(checkpoint).unwrap();
                assert!(checkpoint.inputs.iter().all(|input| input.tap_script_sigs.is_empty()));
            }
        }
    }

    pub async fn total(&self, wallet: &Wallet) -> u64 {
        wallet.balance().await.unwrap().total().to_sat()
    }
}

/// Over the wire, as text.
pub fn through(message: &UpdateMessage) -> UpdateMessage {
    UpdateMessage::parse(&message.to_text().unwrap()).unwrap()
}

/// What waits for the app.
pub fn kinds(wallet: &Wallet) -> Vec<EventKind> {
    wallet.pending_events(100).unwrap().into_iter().map(|event| event.kind).collect()
}
