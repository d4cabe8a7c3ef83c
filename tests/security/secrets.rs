//! No secret in the files, in what types print, or in an error.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::base64::{Engine, prelude::BASE64_STANDARD};
use bitcoin::bip32::{ChildNumber, Xpriv};
use bitcoin::hex::DisplayHex;
use regtest::operator::Unit;
use secp256k1::SECP256K1;
use virtual_channels::channel::Network;
use virtual_channels::log;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{FundingChoice, InviteRequest, KeyUse, Keys, Wallet, WalletError};

use crate::calls::{Things, all};
use crate::world::{World, eventually, pay, request};

/// More keys than a test derives.
const INDEXES: u32 = 60;

/// A secret, and what it is.
struct Secret {
    name: String,
    bytes: Vec<u8>,
}

/// All that a wallet's words lead to.
fn secrets(words: &str) -> Vec<Secret> {
    let mnemonic: bip39::Mnemonic = words.parse().unwrap();
    let seed = mnemonic.to_seed("");
    let mut found = vec![
        Secret { name: "words".into(), bytes: words.as_bytes().to_vec() },
        Secret { name: "entropy".into(), bytes: mnemonic.to_entropy() },
        Secret { name: "seed".into(), bytes: seed.to_vec() },
        Secret { name: "first half of the seed".into(), bytes: seed[..32].to_vec() },
        Secret { name: "second half of the seed".into(), bytes: seed[32..].to_vec() },
    ];
    let list: Vec<&str> = words.split(' ').collect();
    found.extend(list.windows(2).map(|pair| Secret { name: "two words".into(), bytes: pair.join(" ").into_bytes() }));
    let master = Xpriv::new_master(bitcoin::Network::Regtest, &seed).unwrap();
    for (name, path) in [("master", vec![]), ("own branch", vec![1120]), ("own coin", vec![1120, 1])] {
        let path: Vec<ChildNumber> = path.iter().map(|i| ChildNumber::from_hardened_idx(*i).unwrap()).collect();
        let key = master.derive_priv(SECP256K1, &path).unwrap();
        found.push(Secret { name: format!("{name} key"), bytes: key.private_key.secret_bytes().to_vec() });
        found.push(Secret { name: format!("{name} as text"), bytes: key.to_string().into_bytes() });
    }
    let keys = Keys::from_mnemonic(words, Network::Regtest).unwrap();
    let uses = [KeyUse::Vtxo, KeyUse::Boarding, KeyUse::Payer, KeyUse::Receiver, KeyUse::Cosigner, KeyUse::Chain];
    for key_use in uses {
        for index in 0..INDEXES {
            let bytes = keys.keypair(key_use, index).unwrap().secret_bytes().to_vec();
            found.push(Secret { name: format!("{key_use:?} key {index}"), bytes });
        }
    }
    found
}

/// A wallet's name and its secrets.
type Owner = (&'static str, Vec<Secret>);

/// The secrets that are in `data`, as bytes or as text.
fn found_in<'a>(data: &[u8], secrets: &'a [Secret]) -> Vec<&'a str> {
    let lower = data.to_ascii_lowercase();
    let holds = |hay: &[u8], needle: &[u8]| memchr::memmem::find(hay, needle).is_some();
    let found = secrets.iter().filter(|secret| {
        holds(data, &secret.bytes)
            || holds(&lower, secret.bytes.to_lower_hex_string().as_bytes())
            || holds(data, BASE64_STANDARD.encode(&secret.bytes).trim_end_matches('=').as_bytes())
    });
    found.map(|secret| secret.name.as_str()).collect()
}

/// The database with its log and its index.
fn files(path: &Path) -> Vec<u8> {
    let names = ["db", "db-wal", "db-shm"].map(|extension| path.with_extension(extension));
    let data: Vec<u8> = names.iter().filter_map(|name| std::fs::read(name).ok()).flatten().collect();
    assert!(data.len() > 50_000, "{} bytes are no wallet", data.len());
    data
}

fn check_files(world: &World, owners: &[Owner], when: &str) {
    for (name, secrets) in owners {
        let found = found_in(&files(&world.path(name)), secrets);
        assert!(found.is_empty(), "{when}, the {name}'s files hold {found:?}");
    }
}

#[test]
fn what_is_looked_for_would_be_found() {
    let secrets = secrets(&World::mnemonic("payer"));
    for secret in secrets.iter().step_by(7) {
        let mut data = vec![1, 2, 3];
        for form in [secret.bytes.clone(), secret.bytes.to_upper_hex_string().into_bytes()] {
            data.truncate(3);
            data.extend(form);
            data.push(4);
            assert!(found_in(&data, &secrets).contains(&secret.name.as_str()), "{}", secret.name);
        }
    }
    assert!(found_in(World::mnemonic("receiver").as_bytes(), &secrets).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_stored_or_told() {
    let logged = Arc::new(Mutex::new(Vec::new()));
    let keeps = logged.clone();
    log::set_sink(Some(Box::new(move |record| keeps.lock().unwrap().push(record.text))), log::Level::Debug);
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let owners = ["payer", "receiver"].map(|name| (name, secrets(&World::mnemonic(name))));
    let (offer, accept) = world.agree(&payer, &receiver, 40_000).await;
    check_files(&world, &owners, "while a channel is opened");
    let id = payer.open_channel(&accept).await.unwrap();
    world.confirm(&payer, &receiver, &id).await;
    pay(&payer, &receiver, &id, 1_000, "one");
    let receipt = receiver.receipt(&id, Some("thanks")).unwrap();
    let update = payer.latest_update(&id).unwrap().message;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    check_files(&world, &owners, "while it is open");
    let signatures = [update.update.ark_signature, update.update.exit_signature].map(|signature| signature.to_string());
    let mut messages = vec![update.to_text().unwrap(), offer.to_text().unwrap(), receipt.to_text().unwrap()];
    messages.extend(signatures);

    let told = what_is_told(&[&payer, &receiver], &[&update, &receipt, &invite, &offer, &accept]).await;
    world.regtest.stop_operator().await;
    let things = Things { id, update, receipt, invite, offer: Some((offer, accept)) };
    let mut told = told;
    for wallet in [&payer, &receiver] {
        let errors = all(wallet, &things).await.into_iter().filter_map(|(_, error)| error);
        told.extend(errors.flat_map(|error| [error.to_string(), format!("{error:?}"), format!("{error:#?}")]));
    }
    world.regtest.start_operator().await.unwrap();
    told.extend(refusals(&world).await);
    assert!(told.len() > 60, "{} texts", told.len());
    let told = told.join("\n");
    for (name, secrets) in &owners {
        let found = found_in(told.as_bytes(), secrets);
        assert!(found.is_empty(), "the {name}'s texts hold {found:?}");
    }

    receiver.close_channel(&id).await.unwrap();
    let closed = async || payer.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Closed);
    eventually("the payer sees the close", closed).await;
    world.settle(&receiver).await;
    world.settle(&payer).await;
    check_files(&world, &owners, "after it was closed and settled");
    payer.close().unwrap();
    receiver.close().unwrap();
    check_files(&world, &owners, "after the wallets were closed");
    log::set_sink(None, log::Level::Debug);
    while Arc::strong_count(&logged) > 1 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check_log(&logged.lock().unwrap(), &owners, &messages);
}

/// Neither a secret nor a signature, let alone a whole message, is in the log of a whole life at its fullest.
fn check_log(lines: &[String], owners: &[Owner], messages: &[String]) {
    for line in [": open → closing", "GetInfo: answered after", "pays 1000 sats", "BranchStored", "GET /"] {
        assert!(lines.iter().any(|text| text.contains(line)), "no {line:?} in {} lines", lines.len());
    }
    let text = lines.join("\n");
    for (name, secrets) in owners {
        let found = found_in(text.as_bytes(), secrets);
        assert!(found.is_empty(), "the log holds the {name}'s {found:?}");
    }
    for message in messages {
        assert!(!text.contains(&message[..40]), "the log holds {message}");
    }
    assert!(lines.iter().all(|line| line.len() < 1_100 && !line.contains('\n')));
}

/// Everything public that can be printed.
async fn what_is_told(wallets: &[&Wallet], messages: &[&dyn std::fmt::Debug]) -> Vec<String> {
    let mut told: Vec<String> = messages.iter().map(|message| format!("{message:?}")).collect();
    for wallet in wallets {
        told.push(format!("{wallet:?}"));
        told.push(format!("{:?}", wallet.channels().unwrap()));
        told.push(format!("{:?}", wallet.pending_events(100).unwrap()));
        told.push(format!("{:?}", wallet.balance().await.unwrap()));
        told.push(format!("{:?}", wallet.quote_settle(true).await));
        told.push(format!("{:?} {:?}", wallet.ark_address(), wallet.boarding_address()));
        for channel in wallet.channels().unwrap() {
            told.push(format!("{:?}", wallet.watch(&channel.id).await.unwrap()));
            told.push(format!("{:?}", wallet.latest_update(&channel.id)));
        }
    }
    told
}

/// Errors of wallets that do not open: words that are nearly right, another's file, a file that is none.
async fn refusals(world: &World) -> Vec<String> {
    let words = World::mnemonic("payer");
    let reversed: Vec<&str> = words.split(' ').rev().collect();
    let mut errors: Vec<Box<WalletError>> = Vec::new();
    for wrong in [reversed.join(" "), words[1..].to_owned(), format!("{words} {words}"), words.replace(' ', ",")] {
        errors.extend(Keys::from_mnemonic(&wrong, Network::Regtest).err());
        errors.extend(Wallet::open(world.config("payer"), &wrong).await.err());
    }
    errors.extend(Wallet::open(world.config("receiver"), &words).await.err());
    let mut config = world.config("no wallet");
    std::fs::write(&config.database, &words).unwrap();
    errors.extend(Wallet::open(config.clone(), &words).await.err());
    config.operator_url = "nowhere".into();
    errors.extend(Wallet::open(config, &words).await.err());
    assert!(errors.len() >= 9, "{errors:?}");
    // A request that asks for too much, and one for an invite of one's own.
    let wallet = world.wallet("payer").await;
    let invite = wallet.create_invite(&InviteRequest::default()).unwrap();
    for choice in [FundingChoice::Batch, FundingChoice::BatchFromBoarding, FundingChoice::Offchain] {
        errors.extend(wallet.propose(&invite, &request(u64::MAX / 1_000, choice)).await.err());
    }
    errors.iter().flat_map(|error| [error.to_string(), format!("{error:?}")]).collect()
}

/// These hold secrets and must not be printable: a derive would be found here.
#[test]
fn what_holds_a_secret_cannot_be_printed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let holders = [
        ("wallet/keys.rs", "pub struct Keys"),
        ("wallet/keys.rs", "pub struct SecretKeypair"),
        ("wallet/config.rs", "pub struct WalletConfig"),
        ("operator/batch/mod.rs", "pub struct BatchInput"),
        ("operator/batch/mod.rs", "pub struct BatchPlan"),
        ("operator/batch/mod.rs", "pub struct CosignPlan"),
    ];
    for (file, item) in holders {
        let source = std::fs::read_to_string(folder.join(file)).unwrap();
        let before = source.split(item).next().filter(|before| before.len() < source.len());
        let before = before.unwrap_or_else(|| panic!("{item} is not in {file}"));
        let attributes: Vec<&str> =
            before.lines().rev().take_while(|line| line.starts_with("#[") || line.starts_with("///")).collect();
        assert!(!attributes.join(" ").contains("Debug"), "{item} in {file} can be printed");
        let name = item.rsplit(' ').next().unwrap();
        assert!(!source.contains(&format!("Debug for {name}")), "{name} in {file} can be printed");
    }
}
