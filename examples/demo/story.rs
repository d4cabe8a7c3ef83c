//! What happens, step by step; every step is verified.

use std::path::Path;
use std::time::Instant;

use bitcoin::Amount;
use virtual_channels::channel::message::{Accept, Invite, Message, Offer, UpdateMessage};
use virtual_channels::channel::{AuthorisationPolicy, ChannelId, Receipt, Unit};
use virtual_channels::operator::Operator;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Acceptance, FundingChoice, InviteRequest, Keys, ProposeRequest, Wallet, WalletConfig};

use super::account::{Moment, expect, print};
use super::backend::{Backend, Failure};

const FUNDING: Amount = Amount::from_sat(200_000);
const CAPACITY: Amount = Amount::from_sat(100_000);
const SECOND_CAPACITY: Amount = Amount::from_sat(60_000);
const PAYMENTS: u64 = 1_000;
const FIRST: Amount = Amount::from_sat(1_000);
const EACH: Amount = Amount::from_sat(50);

pub async fn run() -> Result<(), Failure> {
    let mut backend = Backend::start().await?;
    println!("operator {}\nesplora  {}", backend.operator, backend.esplora);
    let operator = Operator::connect(&backend.operator).await?;
    let info = operator.info();
    println!(
        "arkd {} on {}, counting in {:?}; exit delay {}, batches every {} s",
        if info.version.is_empty() { "(no version)" } else { &info.version },
        info.network.name(),
        info.unit(),
        info.unilateral_exit_delay.value(),
        info.session_seconds
    );
    let folder = tempfile::tempdir()?;
    let payer = wallet(&backend, &folder.path().join("payer.db"), info.network).await?;
    let receiver = wallet(&backend, &folder.path().join("receiver.db"), info.network).await?;
    let mut moments = Vec::new();
    let mut fees = Amount::ZERO;

    step("1. the payer boards: coins on chain become a settled VTXO");
    let boarding = payer.boarding_address()?;
    backend.fund(&boarding, FUNDING).await?;
    backend.wait_for("the coins", async || Ok(payer.balance().await?.boarding == FUNDING)).await?;
    moments.push(Moment::look("before", &payer, &receiver).await?);
    let settlement = watching(&payer, payer.settle(false)).await?;
    fees += settlement.fee;
    println!("   commitment transaction {}", settlement.commitment_txid);
    backend.mine(1, 0).await?;
    let settled = settlement.amount;
    backend.wait_for("the batch", async || Ok(payer.balance().await?.settled == settled)).await?;

    step("2. both open a channel in a batch");
    let invite = Invite::parse(&receiver.create_invite(&InviteRequest::default())?.to_text()?)?;
    let request = ProposeRequest {
        capacity: CAPACITY,
        funding: FundingChoice::Batch,
        lifetime: None,
        delay_margin: 0,
        authorisation: AuthorisationPolicy::AtOpen,
    };
    let quote = payer.quote_open(&invite, &request).await?;
    println!("   quote: fee {} sats, takes payments until {}", quote.fee.to_sat(), quote.close_by.unwrap_or(0));
    let proposal = payer.propose(&invite, &request).await?;
    fees += proposal.fee;
    let offer = Offer::parse(&proposal.offer.to_text()?)?;
    let Acceptance::Accepted(accept) = receiver.accept(&offer).await? else {
        return Err("an offer for a batch was answered as if it were funded".into());
    };
    let accept = Accept::parse(&accept.to_text()?)?;
    let channel = watching(&payer, payer.open_channel(&accept)).await?;
    println!("   channel {channel}");
    backend.mine(1, 0).await?;
    open(&backend, &payer, &channel).await?;
    backend
        .wait_for("the receiver's side", async || Ok(receiver.channels()?.iter().any(|known| known.id == channel)))
        .await?;
    open(&backend, &receiver, &channel).await?;
    moments.push(Moment::look("channel open", &payer, &receiver).await?);

    step("3. a thousand payments, offline");
    if backend.is_embedded() {
        backend.stop_operator().await?;
        let gone = Operator::connect(&backend.operator).await.is_err();
        if !gone {
            return Err("the operator still answers".into());
        }
        println!("   the operator is stopped");
    }
    let files = [folder.path().join("payer.db"), folder.path().join("receiver.db")];
    let before = stored(&files)?;
    let paid = pay_a_thousand(&payer, &receiver, &channel)?;
    let after = stored(&files)?;
    println!("   bytes stored, payer and receiver: {before:?} before, {after:?} after");
    backend.start_operator().await?;
    let receipt = Receipt::parse(&receiver.receipt(&channel, None)?.to_text()?)?;
    payer.acknowledge(&receipt)?;
    expect("receipt", receipt.amount, paid)?;

    step("4. the receiver closes");
    let txid = watching(&receiver, receiver.close_channel(&channel)).await?;
    println!("   ark transaction {txid}");
    backend
        .wait_for("the payer to see it", async || Ok(payer.watch(&channel).await?.state == ChannelState::Closed))
        .await?;
    moments.push(Moment::look("closed (preconfirmed)", &payer, &receiver).await?);

    step("5. both settle in a batch");
    let both = async { tokio::try_join!(payer.settle(false), receiver.settle(false)) };
    let (for_payer, for_receiver) = watching(&payer, both).await?;
    fees += for_payer.fee + for_receiver.fee;
    println!("   commitment transactions {}, {}", for_payer.commitment_txid, for_receiver.commitment_txid);
    backend.mine(1, 0).await?;
    let (left, earned) = (FUNDING - paid, paid);
    backend
        .wait_for("the batches", async || {
            let (payer, receiver) = (payer.balance().await?, receiver.balance().await?);
            Ok(payer.settled == payer.total() && receiver.settled == receiver.total())
        })
        .await?;
    backend
        .wait_for("the channel", async || Ok(receiver.watch(&channel).await?.state == ChannelState::Settled))
        .await?;
    moments.push(Moment::look("settled", &payer, &receiver).await?);

    step("6. a second channel, opened off chain");
    let invite = receiver.create_invite(&InviteRequest::default())?;
    let request = ProposeRequest { capacity: SECOND_CAPACITY, funding: FundingChoice::Offchain, ..request };
    let proposal = payer.propose(&invite, &request).await?;
    let Acceptance::Open(second) = receiver.accept(&proposal.offer).await? else {
        return Err("an off-chain offer was not taken".into());
    };
    println!("   channel {second}, preconfirmed");
    moments.push(Moment::look("second channel open", &payer, &receiver).await?);

    if backend.has_faucet() {
        step("7. … and refunded after its locktime");
        reach_locktime(&backend, &payer, &second).await?;
        let txid = watching(&payer, payer.refund(&second)).await?;
        println!("   ark transaction {txid}");
        moments.push(Moment::look("refunded", &payer, &receiver).await?);
    } else {
        println!("\nwithout FAUCET the refund is left out: its locktime is {}", payer.channel(&second)?.locktime);
    }

    print(&moments);
    for moment in &moments {
        let spent = if moment.title == "before" { Amount::ZERO } else { fees };
        if spent == Amount::ZERO {
            expect(moment.title, moment.total(), FUNDING)?;
        }
    }
    let last = moments.last().ok_or("nothing happened")?;
    expect("all money and fees", last.total() + fees, FUNDING)?;
    if fees == Amount::ZERO {
        expect("payer", last.payer.total(), left)?;
        expect("receiver", last.receiver.total(), earned)?;
    }
    println!("\npaid {} sats, fees {} sats, all adds up to {} sats", paid.to_sat(), fees.to_sat(), FUNDING.to_sat());
    println!("bytes stored at the end, payer and receiver: {:?}", stored(&files)?);
    payer.close()?;
    receiver.close()?;
    Ok(())
}

/// The size of each database in pages that hold something; the write-ahead log beside it is a passing thing.
fn stored(files: &[std::path::PathBuf; 2]) -> Result<[u64; 2], Failure> {
    let size = |path: &Path| -> Result<u64, Failure> {
        let database = rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
        Ok(database.query_row(sql, [], |row| row.get::<_, i64>(0))?.unsigned_abs())
    };
    Ok([size(&files[0])?, size(&files[1])?])
}

fn step(title: &str) {
    println!("\n{title}");
}

async fn wallet(
    backend: &Backend,
    path: &Path,
    network: virtual_channels::channel::Network,
) -> Result<Wallet, Failure> {
    let config = WalletConfig::new(path, network, &backend.operator, &backend.esplora);
    Ok(Wallet::open(config, &Keys::generate_mnemonic()?).await?)
}

/// Runs `work` and prints the wallet's events meanwhile.
async fn watching<T, E>(wallet: &Wallet, work: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    use virtual_channels::wallet::EventKind;
    tokio::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return Ok(done?),
            event = wallet.next_event() => {
                let event = event?;
                if let Some(token) = &event.token {
                    wallet.acknowledge_event(token)?;
                }
                match &event.kind {
                    EventKind::Progress { step, .. } => println!("   … {step:?}"),
                    other => println!("   event: {other:?}"),
                }
            }
        }
    }
}

async fn open(backend: &Backend, wallet: &Wallet, channel: &ChannelId) -> Result<(), Failure> {
    backend.wait_for("the channel to open", async || Ok(wallet.watch(channel).await?.state == ChannelState::Open)).await
}

/// Each payment is signed, stored, turned into text, read again, verified and stored: what two phones would do.
fn pay_a_thousand(payer: &Wallet, receiver: &Wallet, channel: &ChannelId) -> Result<Amount, Failure> {
    let started = Instant::now();
    let mut total = Amount::ZERO;
    let mut length = 0;
    for number in 0..PAYMENTS {
        let amount = if number == 0 { FIRST } else { EACH };
        let payment = payer.pay(channel, amount, &format!("order-{number}"), None)?;
        let text = payment.message.to_text()?;
        length = text.len();
        let Message::Update(message) = Message::parse(&text)? else {
            return Err("a payment was read as something else".into());
        };
        let message: UpdateMessage = *message;
        let received = receiver.receive(&message)?;
        total += amount;
        expect("received so far", received.amount, total)?;
        expect("this payment", received.increase, amount)?;
        if number == 0 {
            // From now on updates travel without the authorisation.
            payer.acknowledge(&receiver.receipt(channel, None)?)?;
        }
        if number % 250 == 249 {
            println!("   {} payments, {} sats", number + 1, total.to_sat());
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "   {PAYMENTS} payments in {seconds:.2} s: {:.0} payments a second, both sides durable; {length} characters each",
        PAYMENTS as f64 / seconds
    );
    expect("payer's side", payer.channel(channel)?.amount, total)?;
    expect("receiver's side", receiver.channel(channel)?.amount, total)?;
    Ok(total)
}

/// Mines until the chain has passed the locktime.
async fn reach_locktime(backend: &Backend, payer: &Wallet, channel: &ChannelId) -> Result<(), Failure> {
    let info = payer.channel(channel)?;
    let early = payer.refund(channel).await;
    println!("   too early: {}", early.err().map(|error| error.to_string()).ok_or("an early refund went through")?);
    let locktime = u64::from(info.locktime.to_consensus_u32());
    let tip = virtual_channels::chain::Chain::new(&backend.esplora)?.tip().await?;
    match info.unit {
        Unit::Blocks => backend.mine(locktime.saturating_sub(tip.height.into()).max(1), 0).await,
        Unit::Seconds => {
            backend.mine(1, locktime.saturating_sub(tip.time) + 1).await?;
            backend.mine(11, 0).await
        }
    }
}
