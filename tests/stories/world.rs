//! A chain, an operator, and wallets that come back under the same name.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bitcoin::Amount;
use bitcoin::hashes::{Hash, sha256};
use regtest::Regtest;
use regtest::operator::{Settings, Unit};
use virtual_channels::channel::message::{Accept, Offer, UpdateMessage};
use virtual_channels::channel::{AuthorisationPolicy, ChannelId, Network};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{
    Acceptance, FundingChoice, InviteRequest, ProposeRequest, Received, Wallet, WalletConfig, WalletError,
};

pub struct World {
    pub regtest: Regtest,
    folder: tempfile::TempDir,
}

pub fn sats(amount: u64) -> Amount {
    Amount::from_sat(amount)
}

impl World {
    /// Short sessions, everything else as the real arkd of the tests.
    pub async fn start(unit: Unit) -> Self {
        Self::with(unit, |_| {}).await
    }

    pub async fn with(unit: Unit, change: impl FnOnce(&mut Settings)) -> Self {
        let change = |settings: &mut Settings| {
            settings.session = Duration::from_secs(2);
            change(settings);
        };
        let regtest = Regtest::builder().unit(unit).change(change).start().await.expect("regtest starts");
        Self { regtest, folder: tempfile::tempdir().expect("a folder") }
    }

    /// The database of a wallet.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.db"))
    }

    pub fn config(&self, name: &str) -> WalletConfig {
        WalletConfig::new(self.path(name), Network::Regtest, self.regtest.operator_url(), self.regtest.esplora_url())
    }

    /// The same words for the same name.
    pub fn mnemonic(name: &str) -> String {
        let entropy = sha256::Hash::hash(name.as_bytes()).to_byte_array();
        bip39::Mnemonic::from_entropy(&entropy[..16]).expect("16 bytes").to_string()
    }

    /// The wallet of this name; opened again it has the same keys and the same file.
    pub async fn wallet(&self, name: &str) -> Wallet {
        Wallet::open(self.config(name), &Self::mnemonic(name)).await.expect("a wallet opens")
    }

    pub async fn mine(&self, blocks: u32) {
        self.regtest.node().generate(blocks).await.expect("blocks");
    }

    /// Pays to the wallet's boarding address and confirms it.
    pub async fn board(&self, wallet: &Wallet, amount: u64) {
        let address: bitcoin::Address<_> = wallet.boarding_address().expect("address").parse().expect("address");
        let script_pubkey = address.assume_checked().script_pubkey();
        let output = bitcoin::TxOut { value: sats(amount), script_pubkey };
        self.regtest.node().pay(&[output]).await.expect("faucet pays");
        self.mine(1).await;
        eventually("boarding coins", async || wallet.balance().await.is_ok_and(|b| b.boarding >= sats(amount))).await;
    }

    /// A wallet with one settled VTXO of `amount`.
    pub async fn rich(&self, name: &str, amount: u64) -> Wallet {
        let wallet = self.wallet(name).await;
        self.board(&wallet, amount).await;
        self.settle(&wallet).await;
        wallet
    }

    /// Settles everything and confirms it.
    pub async fn settle(&self, wallet: &Wallet) {
        wallet.settle(false).await.expect("settles");
        self.mine(1).await;
        eventually("settled", async || wallet.balance().await.is_ok_and(|b| b.settled == b.total())).await;
    }

    /// Invite, offer and accept; the payer has not opened yet.
    pub async fn agree(&self, payer: &Wallet, receiver: &Wallet, capacity: u64) -> (Offer, Accept) {
        self.agree_from(payer, receiver, capacity, FundingChoice::Batch).await
    }

    pub async fn agree_from(
        &self,
        payer: &Wallet,
        receiver: &Wallet,
        capacity: u64,
        funding: FundingChoice,
    ) -> (Offer, Accept) {
        let invite = receiver.create_invite(&InviteRequest::default()).expect("invite");
        let proposal = payer.propose(&invite, &request(capacity, funding)).await.expect("proposal");
        let Acceptance::Accepted(accept) = receiver.accept(&proposal.offer).await.expect("accepted") else {
            panic!("a batch offer is accepted, not open");
        };
        (proposal.offer, accept)
    }

    /// A channel opened in a batch, confirmed on both sides.
    pub async fn open(&self, payer: &Wallet, receiver: &Wallet, capacity: u64) -> ChannelId {
        let (_, accept) = self.agree(payer, receiver, capacity).await;
        let id = match payer.open_channel(&accept).await.map_err(|error| *error) {
            // A busy machine may miss one of the operator's short sessions: the same Accept is good for another.
            Err(WalletError::NotOpened { .. }) => payer.open_channel(&accept).await.expect("opens"),
            opened => opened.expect("opens"),
        };
        self.confirm(payer, receiver, &id).await;
        id
    }

    /// Has the batch that `work` waits for taken by two strangers as well: its tree has levels.
    pub async fn in_a_crowd<T>(&self, work: impl Future<Output = Result<T, Box<WalletError>>>) -> T {
        let strangers = [self.wallet("one stranger").await, self.wallet("another stranger").await];
        for stranger in &strangers {
            self.board(stranger, 20_000).await;
        }
        self.regtest.operator().await.change(|settings| settings.min_participants = 3);
        let [one, another] = &strangers;
        let (done, ..) = tokio::try_join!(work, one.settle(false), another.settle(false)).unwrap();
        self.regtest.operator().await.change(|settings| settings.min_participants = 1);
        done
    }

    /// Mines a block and waits until both sides take payments.
    pub async fn confirm(&self, payer: &Wallet, receiver: &Wallet, id: &ChannelId) {
        self.mine(1).await;
        eventually("the receiver's channel", async || receiver.channel(id).is_ok()).await;
        for wallet in [payer, receiver] {
            eventually("open", async || wallet.watch(id).await.is_ok_and(|r| r.state == ChannelState::Open)).await;
        }
    }

    /// A channel opened off chain: preconfirmed, no block needed.
    pub async fn open_offchain(&self, payer: &Wallet, receiver: &Wallet, capacity: u64) -> ChannelId {
        let invite = receiver.create_invite(&InviteRequest::default()).expect("invite");
        let proposal = payer.propose(&invite, &request(capacity, FundingChoice::Offchain)).await.expect("funded");
        let Acceptance::Open(id) = receiver.accept(&proposal.offer).await.expect("accepted") else {
            panic!("an off-chain offer is open at once");
        };
        assert_eq!(proposal.channel_id, Some(id));
        id
    }
}

/// What most stories propose.
pub fn request(capacity: u64, funding: FundingChoice) -> ProposeRequest {
    ProposeRequest {
        capacity: sats(capacity),
        funding,
        lifetime: None,
        delay_margin: 0,
        authorisation: AuthorisationPolicy::AtOpen,
    }
}

/// Pays on one side and receives on the other, through text.
pub fn pay(payer: &Wallet, receiver: &Wallet, id: &ChannelId, amount: u64, payment_id: &str) -> Received {
    let payment = payer.pay(id, sats(amount), payment_id, None).expect("pays");
    let text = payment.message.to_text().expect("text");
    receiver.receive(&UpdateMessage::parse(&text).expect("parses")).expect("receives")
}

/// Waits for a condition, up to 30 s.
pub async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(30), "waited 30 s for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The error of what must be refused.
pub fn refused<T: std::fmt::Debug>(result: Result<T, Box<WalletError>>) -> WalletError {
    *result.expect_err("this must be refused")
}
