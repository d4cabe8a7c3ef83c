//! The child process: a wallet that does what it is told, line by line.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use virtual_channels::channel::message::{Accept, Invite, Offer, UpdateMessage};
use virtual_channels::channel::{ChannelId, Network};
use virtual_channels::wallet::{Acceptance, Clock, FundingChoice, InviteRequest, Wallet, WalletConfig};

use crate::actor::ROLE;
use crate::spoken::say;
use crate::world::{World, request, sats};

type Answer = Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>>;

/// The system's clock, so many seconds off.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        now.saturating_add_signed(self.0.load(Ordering::SeqCst))
    }
}

/// Not a test of its own: what a child process does. Does nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_servant() {
    let Ok(place) = std::env::var(ROLE) else { return };
    let place: Vec<&str> = place.split('\n').collect();
    let [name, database, operator, esplora] = place.as_slice() else { panic!("{place:?}") };
    // The test harness has begun a line of its own.
    println!();
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let mut wallet: Option<Wallet> = None;
    let lines = std::io::stdin().lines();
    for line in lines {
        let line = line.expect("a line");
        let mut fields = line.split('\t');
        let ahead = fields.next().and_then(|text| text.parse().ok()).expect("the clock");
        clock.0.store(ahead, Ordering::SeqCst);
        let fields: Vec<&str> = fields.collect();
        let opened = match &wallet {
            Some(wallet) => Ok(wallet.clone()),
            None => {
                let config = WalletConfig::new(PathBuf::from(database), Network::Regtest, *operator, *esplora);
                let config = WalletConfig { clock: clock.clone(), max_preconfirmed: sats(100_000_000), ..config };
                Wallet::open(config, &World::mnemonic(name)).await
            }
        };
        let answer = match opened {
            Ok(opened) => {
                wallet = Some(opened.clone());
                serve(&opened, &fields).await
            }
            Err(error) => Err(error.into()),
        };
        let text = match answer {
            Ok(fields) => format!("ok\t{}", fields.join("\t")),
            Err(error) => format!("no\t{}", error.to_string().replace(['\t', '\n'], " ")),
        };
        say(&text);
    }
}

async fn serve(wallet: &Wallet, fields: &[&str]) -> Answer {
    let id = |text: &str| text.parse::<ChannelId>();
    let done = |text: String| Ok(vec![text]);
    match fields {
        ["boarding"] => done(wallet.boarding_address()?),
        ["onchain"] => done(wallet.onchain_address()?),
        ["invite"] => done(wallet.create_invite(&InviteRequest::default())?.to_text()?),
        ["propose", invite, capacity, kind] => {
            let funding = match *kind {
                "boarding" => FundingChoice::BatchFromBoarding,
                "offchain" => FundingChoice::Offchain,
                _ => FundingChoice::Batch,
            };
            let proposal = wallet.propose(&Invite::parse(invite)?, &request(capacity.parse()?, funding)).await?;
            let id = proposal.channel_id.map_or("-".to_owned(), |id| id.to_string());
            Ok(vec![proposal.offer.to_text()?, id])
        }
        ["offer", channel] => done(wallet.offer(&id(channel)?)?.to_text()?),
        ["accept", offer] => match wallet.accept(&Offer::parse(offer)?).await? {
            Acceptance::Accepted(accept) => Ok(vec!["accept".into(), accept.to_text()?]),
            Acceptance::Open(id) => Ok(vec!["open".into(), id.to_string()]),
        },
        ["open", accept] => done(wallet.open_channel(&Accept::parse(accept)?).await?.to_string()),
        ["pay", channel, amount, payment] => {
            let paid = wallet.pay(&id(channel)?, sats(amount.parse()?), payment, None)?;
            Ok(vec![paid.amount.to_sat().to_string(), paid.message.to_text()?])
        }
        ["latest", channel] => done(wallet.latest_update(&id(channel)?)?.message.to_text()?),
        ["catch-up", text] => done(wallet.catch_up(&UpdateMessage::parse(text)?)?.to_sat().to_string()),
        ["reauthorise", channel] => done(wallet.reauthorise(&id(channel)?).await?.message.to_text()?),
        ["receive", text] => done(wallet.receive(&UpdateMessage::parse(text)?)?.amount.to_sat().to_string()),
        ["close", channel] => done(wallet.close_channel(&id(channel)?).await?.to_string()),
        ["refund", channel] => done(wallet.refund(&id(channel)?).await?.to_string()),
        ["exit", channel] => done(format!("{:?}", wallet.exit_channel(&id(channel)?).await?)),
        ["exit-coins"] => done(wallet.exit_coins().await?.len().to_string()),
        ["settle"] => done(format!("{:?}", wallet.settle(false).await?)),
        ["watch", channel] => done(wallet.watch(&id(channel)?).await?.state.to_string()),
        ["resume"] => done(wallet.resume().await?.0.to_string()),
        ["advance"] => done(format!("{:?}", wallet.advance_exits().await?)),
        ["maintain"] => done(maintain(wallet).await?),
        ["channels"] => Ok(wallet
            .channels()?
            .into_iter()
            .map(|info| format!("{} {} {} {}", info.id, info.state, info.amount.to_sat(), info.high.to_sat()))
            .collect()),
        ["under-way"] => Ok(wallet.exits()?.iter().map(|exit| format!("{exit:?}")).collect()),
        ["onchain-balance"] => {
            let balance = wallet.onchain_balance().await?;
            done((balance.confirmed + balance.pending).to_sat().to_string())
        }
        ["balance"] => {
            let all = wallet.balance().await?;
            let coins = all.total() - all.in_channels - all.receivable;
            Ok([coins, all.pending, all.in_channels, all.receivable].map(|sats| sats.to_sat().to_string()).to_vec())
        }
        other => Err(format!("{other:?} is no request").into()),
    }
}

async fn maintain(wallet: &Wallet) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    let report = wallet.maintain().await?;
    let errors: Vec<String> =
        report.errors.iter().map(|failed| format!("{:?}: {}", failed.task, failed.error)).collect();
    Ok(format!("{} left, {:?}, {}", report.left, report.changed, errors.join("; ")))
}
