//! Paying on chain: amounts, fees, everything, and what is refused with figures.

use bitcoin::{Amount, TxOut};
use regtest::operator::Unit;
use virtual_channels::chain::ChainError;
use virtual_channels::store::{ChannelState, ScriptKind, Store};
use virtual_channels::wallet::{InviteRequest, Wallet, WalletError};

use crate::liar::Liar;
use crate::purse::{elsewhere, fund, holds, offer, parent, per_vbyte, script_of, world};
use crate::world::{World, eventually, refused, sats};

/// An address that nobody has the key of.
fn segwit_v0() -> String {
    bitcoin::Address::from_script(&elsewhere(0).script_pubkey, bitcoin::Network::Regtest).unwrap().to_string()
}

/// The transaction is in the mempool, pays what it says and costs what it says.
async fn paid(world: &World, txid: bitcoin::Txid, address: &str, amount: Amount, fee: Amount) {
    let entry = world.regtest.node().call("getmempoolentry", vec![txid.to_string().into()]).await.expect("it is there");
    assert_eq!(Amount::from_btc(entry["fees"]["base"].as_f64().unwrap()).unwrap(), fee);
    let (tx, _) = world.regtest.node().transaction(&txid).await.unwrap().unwrap();
    let output = TxOut { value: amount, script_pubkey: script_of(address) };
    assert!(tx.output.contains(&output), "{tx:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_segwit_and_taproot_with_the_fee_that_was_shown() {
    let world = world().await;
    let mut wallet = world.wallet("wallet").await;
    let shop = world.wallet("shop").await;
    fund(&world, &wallet, &[50_000]).await;
    for (address, amount, rate) in [(segwit_v0(), 10_000, 2), (shop.onchain_address().unwrap(), 5_000, 7)] {
        let (amount, rate) = (sats(amount), Some(per_vbyte(rate)));
        let before = wallet.onchain_balance().await.unwrap().confirmed;
        let quote = wallet.onchain_quote(&address, Some(amount), rate).await.unwrap();
        assert_eq!((quote.amount, Some(quote.rate)), (amount, rate));
        let txid = wallet.send_onchain(&address, Some(amount), rate).await.unwrap();
        paid(&world, txid, &address, amount, quote.fee).await;
        // The change is on its way, also for a new process, and not sent before it has come.
        let left = (before - amount - quote.fee).to_sat();
        holds(&wallet, 0, left).await;
        wallet.close().unwrap();
        wallet = world.wallet("wallet").await;
        holds(&wallet, 0, left).await;
        let error = refused(wallet.send_onchain(&address, Some(amount), rate).await);
        assert!(matches!(error, WalletError::InsufficientFunds { available: Amount::ZERO, .. }), "{error}");
        world.mine(1).await;
        holds(&wallet, left, 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    let shop = world.wallet("shop").await;
    let address = shop.onchain_address().unwrap();
    let error = refused(wallet.send_onchain(&address, None, None).await);
    assert!(matches!(error, WalletError::InsufficientFunds { available: Amount::ZERO, .. }), "{error}");
    fund(&world, &wallet, &[20_000, 3_000]).await;
    let quote = wallet.onchain_quote(&address, None, None).await.unwrap();
    assert_eq!(quote.amount + quote.fee, sats(23_000));
    let txid = wallet.send_onchain(&address, None, None).await.unwrap();
    paid(&world, txid, &address, quote.amount, quote.fee).await;
    holds(&wallet, 0, 0).await;
    world.mine(1).await;
    holds(&shop, quote.amount.to_sat(), 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    fund(&world, &wallet, &[20_000]).await;
    let send = async |address: &str, amount: u64| {
        refused(wallet.send_onchain(address, Some(sats(amount)), Some(per_vbyte(1))).await)
    };
    let to = segwit_v0();
    let WalletError::InsufficientFunds { needed, available } = send(&to, 20_000).await else { panic!("another error") };
    assert!(available == sats(20_000) && needed > sats(20_000) && needed < sats(20_500), "{needed}");
    assert!(matches!(send(&to, 100).await, WalletError::AmountTooSmall { amount, .. } if amount == sats(100)));
    assert!(matches!(send(&to, u64::MAX).await, WalletError::AmountTooLarge { .. }));
    for wrong in ["", "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr", &"x".repeat(500)] {
        assert!(matches!(send(wrong, 1_000).await, WalletError::InvalidAddress), "{wrong}");
    }
    holds(&wallet, 20_000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn payouts_of_exits_count_and_can_be_sent() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    wallet.create_invite(&InviteRequest::default()).unwrap();
    let script_pubkey = {
        let store = Store::open(&world.path("wallet")).unwrap();
        store.read(|db| db.scripts(ScriptKind::Chain)).unwrap()[0].script.clone()
    };
    world.regtest.node().pay(&[TxOut { value: sats(40_000), script_pubkey }]).await.unwrap();
    holds(&wallet, 0, 40_000).await;
    world.mine(1).await;
    fund(&world, &wallet, &[10_000]).await;
    holds(&wallet, 50_000, 0).await;
    // Its own coins first; where they are not enough, all.
    let to = segwit_v0();
    wallet.send_onchain(&to, Some(sats(5_000)), None).await.unwrap();
    let left = wallet.onchain_balance().await.unwrap();
    assert_eq!(left.confirmed, sats(40_000));
    world.mine(1).await;
    let quote = wallet.onchain_quote(&to, None, None).await.unwrap();
    assert!(quote.amount + quote.fee > sats(44_000));
    // It pays for other exits, too.
    let parent = parent(&world, &[elsewhere(5_000)]).await;
    let child = wallet.fee_child(&parent, per_vbyte(1), sats(15_000), &[], &[]).unwrap();
    assert_eq!(offer(&world, &parent, &child).await, None);
    world.mine(1).await;
    let quote = wallet.onchain_quote(&to, None, None).await.unwrap();
    let txid = wallet.send_onchain(&to, None, None).await.unwrap();
    paid(&world, txid, &to, quote.amount, quote.fee).await;
    holds(&wallet, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_for_exits_under_way_stay() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 50_000).await;
    crate::world::pay(&payer, &receiver, &id, 5_000, "one");
    fund(&world, &receiver, &[20_000, 3_000]).await;
    let branch = {
        let store = Store::open(&world.path("receiver")).unwrap();
        let row = store.read(|db| db.channel(&id)).unwrap().unwrap();
        store.read(|db| db.branch(&row.record.funding)).unwrap().unwrap()
    };
    for node in &branch.nodes {
        world.regtest.node().cpfp(&node.tx, sats(5_000)).await.unwrap();
        world.mine(1).await;
    }
    eventually("exiting", async || receiver.watch(&id).await.is_ok_and(|r| r.state == ChannelState::Exiting)).await;
    // The largest coin stays; the other can go.
    let to = segwit_v0();
    for amount in [None, Some(sats(2_000))] {
        let sent = receiver.onchain_quote(&to, amount, Some(per_vbyte(2))).await.unwrap();
        assert!(sent.amount + sent.fee <= sats(3_000));
    }
    let error = refused(receiver.send_onchain(&to, Some(sats(10_000)), Some(per_vbyte(2))).await);
    let WalletError::ReservedForExits { exits, reserved, available } = error else { panic!("{error}") };
    assert_eq!((exits, reserved, available), (1, sats(20_000), sats(3_000)));
    let quote = receiver.onchain_quote(&to, None, Some(per_vbyte(2))).await.unwrap();
    receiver.send_onchain(&to, None, Some(per_vbyte(2))).await.unwrap();
    assert!(quote.amount < sats(3_000));
    holds(&receiver, 20_000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mad_estimate_does_not_eat_the_money() {
    let world = world().await;
    let liar = Liar::start(world.regtest.esplora_url()).await;
    let mut config = world.config("wallet");
    config.esplora_url = liar.url().to_owned();
    let wallet = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    fund(&world, &wallet, &[1_000_000]).await;
    liar.say(|path| path.ends_with("/fee-estimates").then(|| br#"{"1":99999.0,"6":99999.0}"#.to_vec()));
    let quote = wallet.onchain_quote(&segwit_v0(), Some(sats(1_000)), None).await.unwrap();
    assert_eq!(quote.rate, per_vbyte(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_network_refuses_is_not_spent() {
    let world = world().await;
    let liar = Liar::start(world.regtest.esplora_url()).await;
    let mut config = world.config("wallet");
    config.esplora_url = liar.url().to_owned();
    let wallet = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    fund(&world, &wallet, &[20_000]).await;
    let to = segwit_v0();
    // Another phone with the same words spends everything; this one's server has fallen asleep.
    liar.fall_asleep();
    wallet.sync_onchain().await.unwrap();
    let mut config = world.config("twin");
    config.database = world.path("twin");
    let twin = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    twin.send_onchain(&to, None, Some(per_vbyte(5))).await.unwrap();
    world.mine(1).await;
    let error = refused(wallet.send_onchain(&to, None, Some(per_vbyte(1))).await);
    assert!(matches!(error, WalletError::Chain(ChainError::Rejected { .. })), "{error}");
    holds(&wallet, 20_000, 0).await;
    liar.wake();
    holds(&wallet, 0, 0).await;
}
