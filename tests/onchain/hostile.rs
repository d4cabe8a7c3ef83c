//! A chain server that lies: nothing breaks, nothing grows, and the truth is seen when it comes back.

use bitcoin::Amount;
use bitcoin::hashes::{Hash, sha256};
use serde_json::{Value, json};
use virtual_channels::chain::{Chain, ChainError};
use virtual_channels::wallet::{Wallet, WalletError};

use crate::liar::Liar;
use crate::purse::{fund, holds, script_of, world};
use crate::world::{World, refused, sats};

async fn behind(world: &World, name: &str) -> (Liar, Wallet) {
    let liar = Liar::start(world.regtest.esplora_url()).await;
    let mut config = world.config(name);
    config.esplora_url = liar.url().to_owned();
    (liar, Wallet::open(config, &World::mnemonic(name)).await.unwrap())
}

fn history_path(address: &str) -> String {
    format!("/scripthash/{}/txs", sha256::Hash::hash(script_of(address).as_bytes()))
}

/// What the honest server says of an address.
async fn history(world: &World, address: &str) -> Vec<Value> {
    let url = format!("{}{}", world.regtest.esplora_url(), history_path(address));
    let answer = bitreq_get(&url).await;
    serde_json::from_slice(&answer).unwrap()
}

async fn bitreq_get(url: &str) -> Vec<u8> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (host, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let mut server = tokio::net::TcpStream::connect(host).await.unwrap();
    server.write_all(format!("GET /{path} HTTP/1.0\r\nhost: {host}\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    server.read_to_end(&mut answer).await.unwrap();
    let body = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    answer.split_off(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_answers_are_refused_and_forgotten() {
    let world = world().await;
    let (liar, wallet) = behind(&world, "wallet").await;
    let address = wallet.onchain_address().unwrap();
    fund(&world, &wallet, &[20_000]).await;
    holds(&wallet, 20_000, 0).await;
    let truth = history(&world, &address).await;
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut lie = truth.clone();
        change(&mut lie[0]);
        serde_json::to_vec(&lie).unwrap()
    };
    let lies: Vec<(&str, Vec<u8>)> = vec![
        ("no json", b"<html>".to_vec()),
        ("another kind of json", b"{}".to_vec()),
        ("another amount", changed(&|tx| tx["vout"][0]["value"] = json!(1))),
        ("too much", changed(&|tx| tx["vout"][0]["value"] = json!(u64::MAX))),
        ("nothing", changed(&|tx| (tx["vin"], tx["vout"]) = (json!([]), json!([])))),
        ("no block", changed(&|tx| tx["status"]["block_hash"] = Value::Null)),
        ("the first block", changed(&|tx| tx["status"]["block_height"] = json!(0))),
        ("a block to come", changed(&|tx| tx["status"]["block_height"] = json!(4_000_000_000u32))),
        ("twice", serde_json::to_vec(&[&truth[0], &truth[0]]).unwrap()),
        ("a thousand", serde_json::to_vec(&vec![&truth[0]; 1_000]).unwrap()),
        ("huge", vec![b' '; 17 << 20]),
        ("deep", vec![b'['; 1 << 20]),
    ];
    let path = history_path(&address);
    for (what, lie) in lies {
        let path = path.clone();
        liar.say(move |asked| (asked == path).then(|| lie.clone()));
        let error = refused(wallet.sync_onchain().await);
        assert!(matches!(error, WalletError::Chain(_)), "{what}: {error}");
        liar.be_honest();
        holds(&wallet, 20_000, 0).await;
    }
    // A tip that cannot be.
    let tip = world.regtest.node().tip().await.unwrap();
    let block: Value =
        serde_json::from_slice(&bitreq_get(&format!("{}/block/{}", world.regtest.esplora_url(), tip.hash)).await)
            .unwrap();
    for height in [0u32, 1, u32::MAX] {
        let mut lie = block.clone();
        lie["height"] = json!(height);
        liar.say(move |asked| asked.starts_with("/block/").then(|| serde_json::to_vec(&lie).unwrap()));
        let error = refused(wallet.sync_onchain().await);
        assert!(matches!(error, WalletError::Chain(ChainError::BadAnswer { .. })), "{error}");
    }
    liar.be_honest();
    holds(&wallet, 20_000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn histories_without_end_are_read_to_an_end() {
    let world = world().await;
    let (liar, wallet) = behind(&world, "wallet").await;
    let address = wallet.onchain_address().unwrap();
    let node = world.regtest.node();
    // More than a page.
    let output = bitcoin::TxOut { value: sats(1_000), script_pubkey: script_of(&address) };
    for _ in 0..30 {
        node.pay(std::slice::from_ref(&output)).await.unwrap();
        world.mine(1).await;
    }
    holds(&wallet, 30_000, 0).await;
    let path = history_path(&address);

    // The same page again and again.
    let page = serde_json::to_vec(&history(&world, &address).await).unwrap();
    let (asked, said) = (path.clone(), page.clone());
    liar.say(move |path| path.starts_with(&asked).then(|| said.clone()));
    liar.asked();
    let error = refused(wallet.sync_onchain().await);
    assert!(matches!(error, WalletError::Chain(ChainError::BadAnswer { .. })), "{error}");
    let pages = liar.asked().iter().filter(|asked| asked.starts_with(&path)).count();
    assert!(pages <= 4, "{pages} pages");

    // A new one each time.
    let block = node.tip().await.unwrap();
    let count = std::sync::atomic::AtomicU32::new(500_000_000);
    let asked = path.clone();
    liar.say(move |path| {
        if !path.starts_with(&asked) {
            return None;
        }
        let number = || count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let page: Vec<Value> = (0..25).map(|_| made_up(number(), block.height, &block.hash.to_string())).collect();
        Some(serde_json::to_vec(&page).unwrap())
    });
    liar.asked();
    wallet.sync_onchain().await.unwrap();
    let pages = liar.asked().iter().filter(|asked| asked.starts_with(&path)).count();
    assert!((2..=16).contains(&pages), "{pages} pages");
    // What it left out was known, and a history that has no end does not say that it is gone.
    liar.be_honest();
    holds(&wallet, 30_000, 0).await;
}

/// A confirmed transaction that pays somebody else.
fn made_up(number: u32, height: u32, block: &str) -> Value {
    let tx = bitcoin::Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::from_consensus(number),
        input: vec![bitcoin::TxIn {
            previous_output: bitcoin::OutPoint::new(bitcoin::Txid::all_zeros(), 0),
            ..Default::default()
        }],
        output: vec![bitcoin::TxOut { value: Amount::from_sat(5), script_pubkey: Default::default() }],
    };
    json!({
        "txid": tx.compute_txid(), "version": 2, "locktime": number, "size": 60, "weight": 240, "fee": 0,
        "vin": [{ "txid": bitcoin::Txid::all_zeros(), "vout": 0, "prevout": null, "scriptsig": "", "sequence": u32::MAX,
            "is_coinbase": false }],
        "vout": [{ "scriptpubkey": "", "value": 5 }],
        "status": { "confirmed": true, "block_height": height, "block_hash": block, "block_time": 1 },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_address_hides_no_other() {
    let world = world().await;
    let (liar, wallet) = behind(&world, "wallet").await;
    let first = wallet.onchain_address().unwrap();
    fund(&world, &wallet, &[20_000]).await;
    let path = history_path(&first);
    liar.say(move |asked| (asked == path).then(|| b"[".to_vec()));
    let second = wallet.onchain_address().unwrap();
    assert_ne!(first, second);
    crate::purse::pay_in(&world, &wallet, &[7_000]).await;
    world.mine(1).await;
    let error = refused(wallet.onchain_balance().await);
    assert!(matches!(error, WalletError::Chain(ChainError::BadAnswer { .. })), "{error}");
    assert_ne!(wallet.onchain_address().unwrap(), second, "what came there was seen and stored");
    liar.be_honest();
    holds(&wallet, 27_000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_few_and_the_file_does_not_grow() {
    let world = world().await;
    let (liar, wallet) = behind(&world, "wallet").await;
    let stored = || {
        let store = virtual_channels::store::Store::open(&world.path("wallet")).unwrap();
        let state = store.read(|db| db.meta("onchain")).unwrap().unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        state["known"].as_object().unwrap().len()
    };
    wallet.sync_onchain().await.unwrap();
    assert!(liar.asked().len() < 50, "all addresses up to the gap, once");
    for _ in 0..6 {
        fund(&world, &wallet, &[20_000]).await;
        let to = crate::purse::elsewhere(0).script_pubkey;
        let to = bitcoin::Address::from_script(&to, bitcoin::Network::Regtest).unwrap().to_string();
        wallet.send_onchain(&to, Some(sats(5_000)), None).await.unwrap();
        world.mine(1).await;
    }
    wallet.sync_onchain().await.unwrap();
    assert!(stored() >= 12, "nothing of it is buried");
    world.mine(101).await;
    wallet.sync_onchain().await.unwrap();
    let coins = stored();
    assert!(coins <= 7, "{coins} transactions for the coins that are left");
    world.mine(1).await;
    wallet.sync_onchain().await.unwrap();
    liar.asked();
    // No new block: what is expected, and nothing else.
    let held = wallet.onchain_balance().await.unwrap();
    let calls = liar.asked().len();
    println!("calls of a sync: {calls}");
    assert!(calls <= 6, "{calls} calls");
    // And the truth is still the truth from the words alone.
    let mut config = world.config("again");
    config.database = world.path("again");
    let restored = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    assert_eq!(restored.onchain_balance().await.unwrap(), held);
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_and_spends_of_a_transaction() {
    let world = world().await;
    let chain = Chain::new(world.regtest.esplora_url()).unwrap();
    let node = world.regtest.node();
    let one = node.pay(&[crate::purse::elsewhere(5_000), crate::purse::elsewhere(6_000)]).await.unwrap();
    let paid = chain.fee_of(one.compute_txid()).await.unwrap().unwrap();
    assert_eq!(paid.weight, one.weight());
    let entry = node.call("getmempoolentry", vec![one.compute_txid().to_string().into()]).await.unwrap();
    assert_eq!(paid.fee, Amount::from_btc(entry["fees"]["base"].as_f64().unwrap()).unwrap());
    assert!(!paid.status.is_confirmed());
    let spent = one.input[0].previous_output;
    let spends = chain.outspends(spent.txid).await.unwrap().unwrap();
    assert_eq!(spends[spent.vout as usize].map(|spend| spend.txid), Some(one.compute_txid()));
    let own = chain.outspends(one.compute_txid()).await.unwrap().unwrap();
    assert_eq!(own.len(), one.output.len());
    assert!(own.iter().all(Option::is_none));
    let unknown = bitcoin::Txid::all_zeros();
    assert_eq!(chain.fee_of(unknown).await.unwrap(), None);
    assert_eq!(chain.outspends(unknown).await.unwrap(), None);
    world.mine(1).await;
    assert!(chain.fee_of(one.compute_txid()).await.unwrap().unwrap().status.is_confirmed());
}
