//! What happens, step by step; every step is verified.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use bitcoin::{Amount, OutPoint};
use virtual_channels::chain::Chain;
use virtual_channels::channel::{ChannelId, Network, Unit};
use virtual_channels::operator::Operator;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{
    Acceptance, ExitInfo, ExitProblem, ExitStage, FundingChoice, InviteRequest, Keys, ProposeRequest, Wallet,
    WalletConfig,
};

use super::backend::{Backend, Failure};

const FUNDING: Amount = Amount::from_sat(200_000);
const FIRST: Amount = Amount::from_sat(60_000);
const SECOND: Amount = Amount::from_sat(50_000);
const PAID: Amount = Amount::from_sat(25_000);
/// Coins for fees, one for each way that may begin at the same time.
const FEE_COIN: Amount = Amount::from_sat(20_000);
const NOBODY: &str = "http://127.0.0.1:1";

/// One side, as it comes back after the operator has gone.
struct Side {
    name: &'static str,
    words: String,
    path: std::path::PathBuf,
}

impl Side {
    fn new(name: &'static str, folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(format!("{name}.db"));
        Ok(Self { name, words: Keys::generate_mnemonic()?, path })
    }

    async fn wallet(&self, backend: &Backend, network: Network, operator: &str) -> Result<Wallet, Failure> {
        let mut config = WalletConfig::new(&self.path, network, operator, &backend.esplora);
        config.confirmations = 1;
        Ok(Wallet::open(config, &self.words).await?)
    }
}

pub async fn run() -> Result<(), Failure> {
    let mut backend = Backend::start().await?;
    println!("operator {}\nesplora  {}", backend.operator, backend.esplora);
    let info = Operator::connect(&backend.operator).await?.info();
    let network = info.network;
    println!("on {}, counting in {:?}; exit delay {}", network.name(), info.unit(), info.unilateral_exit_delay.value());
    let folder = tempfile::tempdir()?;
    let sides = [Side::new("payer", folder.path())?, Side::new("receiver", folder.path())?];
    let url = backend.operator.clone();
    let [payer, receiver] =
        [sides[0].wallet(&backend, network, &url).await?, sides[1].wallet(&backend, network, &url).await?];

    println!("\n1. with the operator: a channel in a batch, and one off chain");
    backend.fund(&payer.boarding_address()?, FUNDING).await?;
    backend.wait_for("the coins", async || Ok(payer.balance().await?.boarding == FUNDING)).await?;
    let settled = payer.settle(false).await?.amount;
    backend.mine(1, 0).await?;
    backend.wait_for("the batch", async || Ok(payer.balance().await?.settled == settled)).await?;
    let second = open_offchain(&payer, &receiver).await?;
    backend.wait_for("the change", async || Ok(payer.balance().await?.preconfirmed > Amount::ZERO)).await?;
    payer.settle(false).await?;
    backend.mine(1, 0).await?;
    backend.wait_for("the second batch", async || Ok(payer.balance().await?.settled >= FIRST)).await?;
    let first = open_in_batch(&backend, &payer, &receiver).await?;
    for (channel, what) in [(&first, "bread"), (&second, "wine")] {
        let payment = payer.pay(channel, PAID, what, None)?;
        receiver.receive(&payment.message)?;
        println!("   channel {channel}: {} sats paid", PAID.to_sat());
    }
    let change = payer.balance().await?.settled + payer.balance().await?.preconfirmed;
    payer.close()?;
    receiver.close()?;

    println!("\n2. the operator is gone, for good");
    backend.stop_operator().await?;
    if backend.is_embedded() && Operator::connect(&url).await.is_ok() {
        return Err("the operator still answers".into());
    }
    let [payer, receiver] =
        [sides[0].wallet(&backend, network, NOBODY).await?, sides[1].wallet(&backend, network, NOBODY).await?];

    println!("\n3. what it costs, before anybody decides");
    for (name, wallet, channel) in [("receiver", &receiver, &first), ("payer", &payer, &second)] {
        let quote = wallet.exit_quote(channel, None).await?;
        println!(
            "   {name}: claims {} sats with {} transactions on {} levels; fees {} + {} sats; about {} h; missing {} sats",
            quote.claimed.to_sat(),
            quote.transactions,
            quote.levels,
            quote.fee.to_sat(),
            quote.claim_fee.to_sat(),
            quote.seconds / 3600,
            quote.missing.to_sat(),
        );
    }
    for (wallet, coins) in [(&payer, 3), (&receiver, 1)] {
        for number in 1..=coins {
            backend.fund(&wallet.onchain_address()?, FEE_COIN).await?;
            backend
                .wait_for("coins for fees", async || Ok(wallet.onchain_balance().await?.confirmed >= FEE_COIN * number))
                .await?;
        }
    }

    println!("\n4. both leave: the receiver with the first channel, the payer with the second and its change");
    receiver.exit_channel(&first).await?;
    payer.exit_channel(&first).await?;
    payer.exit_channel(&second).await?;
    let coins = payer.exit_coins().await?;
    if coins.iter().filter(|exit| exit.channel_id.is_none()).map(|exit| exit.amount).sum::<Amount>() != change {
        return Err(format!("the change of {} sats is not all on its way", change.to_sat()).into());
    }
    let ended = drive(&backend, &[(&sides[0], &payer), (&sides[1], &receiver)]).await?;

    println!("\n5. who has what on chain");
    let of =
        |side: &str, outpoint: OutPoint| ended.get(&(side.to_owned(), outpoint)).cloned().ok_or("an exit is missing");
    let (first_at, second_at) = (payer.channel(&first)?.funding, payer.channel(&second)?.funding);
    let earned = of("receiver", first_at)?.amount;
    let rest = of("payer", first_at)?.amount;
    let back = of("payer", second_at)?.amount;
    println!("   receiver: {} sats of {} paid", earned.to_sat(), PAID.to_sat());
    println!("   payer: {} sats left in the first channel, {} sats of the second", rest.to_sat(), back.to_sat());
    at_most("the receiver's fee", PAID, earned)?;
    at_most("the payer's fee", SECOND, back)?;
    if rest != FIRST - PAID {
        return Err(format!("the payer's rest is {} sats", rest.to_sat()).into());
    }
    for (wallet, channel, state) in [
        (&receiver, &first, ChannelState::Settled),
        (&payer, &first, ChannelState::Settled),
        (&payer, &second, ChannelState::Refunded),
    ] {
        let found = wallet.channel(channel)?.state;
        if found != state {
            return Err(format!("channel {channel} is {found}, expected {state}").into());
        }
    }
    for (name, wallet, minimum) in
        [("receiver", &receiver, earned), ("payer", &payer, rest + back + change - Amount::from_sat(2_000))]
    {
        let balance = wallet.onchain_balance().await?;
        println!("   {name}'s on-chain wallet: {} sats", balance.confirmed.to_sat());
        if balance.confirmed < minimum {
            return Err(format!("{name} has {} sats, expected {}", balance.confirmed, minimum).into());
        }
    }
    // Too late for the receiver of the second channel: the payer was first, and that is what it learns.
    receiver.exit_channel(&second).await?;
    println!("   the receiver never came for the second channel: it is {}", receiver.channel(&second)?.state);
    payer.close()?;
    receiver.close()?;
    Ok(())
}

/// A claim may cost a little.
fn at_most(what: &str, all: Amount, got: Amount) -> Result<(), Failure> {
    match all.checked_sub(got) {
        Some(fee) if fee < Amount::from_sat(5_000) => Ok(()),
        _ => Err(format!("{what}: {} sats of {} sats", got.to_sat(), all.to_sat()).into()),
    }
}

/// Advances all exits to their end; the chain goes on in between.
async fn drive(
    backend: &Backend,
    sides: &[(&Side, &Wallet)],
) -> Result<HashMap<(String, OutPoint), ExitInfo>, Failure> {
    let chain = Chain::new(&backend.esplora)?;
    let mut shown: HashMap<(String, OutPoint), String> = HashMap::new();
    let mut ended = HashMap::new();
    loop {
        let mut waits = Vec::new();
        let (mut left, mut busy) = (0, false);
        for (side, wallet) in sides {
            for info in wallet.advance_exits().await? {
                let key = (side.name.to_owned(), info.outpoint);
                let line = format!("{:?}{}", info.stage, held_up(&info.problem));
                if shown.get(&key) != Some(&line) {
                    println!("   {} leaves {}: {line}", side.name, info.outpoint);
                    shown.insert(key.clone(), line);
                }
                match info.stage {
                    ExitStage::Lost => return Err("an exit was lost".into()),
                    ExitStage::Done => drop(ended.insert(key, info)),
                    ExitStage::Waiting { until, unit } => {
                        left += 1;
                        waits.push((until, unit));
                    }
                    _ => (left, busy) = (left + 1, true),
                }
            }
        }
        if left == 0 {
            return Ok(ended);
        }
        let tip = chain.tip().await?;
        match waits.iter().min_by_key(|(until, _)| *until) {
            Some((height, Unit::Blocks)) if !busy => {
                backend.mine(height.saturating_sub(tip.height.into()).max(1), 0).await?;
            }
            Some((time, Unit::Seconds)) if !busy => {
                backend.mine(1, time.saturating_sub(tip.time) + 1).await?;
                backend.mine(11, 0).await?;
            }
            _ => backend.mine(1, 0).await?,
        }
        if !backend.has_faucet() {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}

fn held_up(problem: &Option<ExitProblem>) -> String {
    problem.as_ref().map(|problem| format!(" ({problem:?})")).unwrap_or_default()
}

async fn open_offchain(payer: &Wallet, receiver: &Wallet) -> Result<ChannelId, Failure> {
    let invite = receiver.create_invite(&InviteRequest::default())?;
    let proposal = payer.propose(&invite, &request(SECOND, FundingChoice::Offchain)).await?;
    match receiver.accept(&proposal.offer).await? {
        Acceptance::Open(id) => Ok(id),
        _ => Err("an off-chain offer was not taken".into()),
    }
}

async fn open_in_batch(backend: &Backend, payer: &Wallet, receiver: &Wallet) -> Result<ChannelId, Failure> {
    let invite = receiver.create_invite(&InviteRequest::default())?;
    let proposal = payer.propose(&invite, &request(FIRST, FundingChoice::Batch)).await?;
    let Acceptance::Accepted(accept) = receiver.accept(&proposal.offer).await? else {
        return Err("an offer for a batch was answered as if it were funded".into());
    };
    let id = payer.open_channel(&accept).await?;
    backend.mine(1, 0).await?;
    for wallet in [payer, receiver] {
        backend
            .wait_for("the channel", async || {
                Ok(wallet.channel(&id).is_ok() && wallet.watch(&id).await?.state == ChannelState::Open)
            })
            .await?;
    }
    Ok(id)
}

fn request(capacity: Amount, funding: FundingChoice) -> ProposeRequest {
    ProposeRequest { capacity, funding, lifetime: None, delay_margin: 0, authorisation: Default::default() }
}
