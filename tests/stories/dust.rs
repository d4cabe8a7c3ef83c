//! Coins that nobody asked for: anybody may pay to a boarding address, as often as it likes.

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Address, Amount, TxOut};
use regtest::operator::Unit;
use virtual_channels::wallet::{Balance, MaintenanceTask, Wallet};

use crate::coins::total;
use crate::world::{World, eventually, sats};

const DUST: u64 = 330;

fn boarding(wallet: &Wallet) -> bitcoin::ScriptBuf {
    let address: Address<_> = wallet.boarding_address().unwrap().parse().unwrap();
    address.assume_checked().script_pubkey()
}

/// One transaction with so many outputs to the boarding address.
async fn send_dust(world: &World, wallet: &Wallet, outputs: usize) {
    let output = TxOut { value: sats(DUST), script_pubkey: boarding(wallet) };
    world.regtest.node().pay(&vec![output; outputs]).await.unwrap();
    world.mine(1).await;
}

/// A wallet that was sent 20 000 sats off chain.
async fn paid(world: &World) -> Wallet {
    let friend = world.rich("friend", 40_000).await;
    let wallet = world.wallet("wallet").await;
    friend.send(&wallet.ark_address().unwrap(), sats(20_000)).await.unwrap();
    eventually("what was sent", async || total(&wallet).await == sats(20_000)).await;
    wallet
}

/// More coins than a server lists: they are found in the history, and nothing waits for them.
#[tokio::test(flavor = "multi_thread")]
async fn more_coins_than_a_server_lists() {
    let world = World::start(Unit::Seconds).await;
    let wallet = paid(&world).await;
    world.board(&wallet, 30_000).await;
    send_dust(&world, &wallet, 501).await;
    let has = |boarding: u64, preconfirmed: u64| Balance {
        boarding: sats(boarding),
        preconfirmed: sats(preconfirmed),
        ..Balance::default()
    };
    let before = wallet.balance().await.unwrap();
    assert_eq!(before, has(30_000 + 501 * DUST, 20_000));
    let report = wallet.maintain().await.unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let settled = report.settled.unwrap().amount;
    assert!(settled > sats(50_000), "{settled}");
    let after = wallet.balance().await.unwrap();
    assert!(after.boarding < sats(501 * DUST) && after.total() == before.total(), "{after:?}");
}

/// A server that does not tell the coins in any way: what is off chain is counted and settled, and the rest is said to be
/// unknown, not gone.
#[tokio::test(flavor = "multi_thread")]
async fn coins_that_are_not_listed_at_all() {
    let world = World::start(Unit::Seconds).await;
    let wallet = paid(&world).await;
    world.board(&wallet, 30_000).await;
    let hash = sha256::Hash::hash(boarding(&wallet).as_bytes());
    let refuse = |looks: usize| {
        for path in ["utxo", "txs"].iter().cycle().take(2 * looks) {
            world.regtest.esplora_lies_once(format!("/scripthash/{hash}/{path}"), "there is too much of it");
        }
    };
    refuse(1);
    let known = Balance { preconfirmed: sats(20_000), boarding_incomplete: true, ..Balance::default() };
    assert_eq!(wallet.balance().await.unwrap(), known);
    assert_eq!(wallet.last_balance().unwrap().unwrap().balance, known);
    // A run looks twice.
    refuse(2);
    let report = wallet.maintain().await.unwrap();
    assert_eq!(world.regtest.esplora_lies_left(), 0);
    assert_eq!(report.settled.unwrap().amount, sats(20_000));
    assert_eq!(report.errors.iter().map(|failed| failed.task).collect::<Vec<_>>(), [MaintenanceTask::Settle]);
    let after = wallet.balance().await.unwrap();
    assert_eq!((after.boarding, after.boarding_incomplete), (sats(30_000), false));
    // One that says nothing at all is an error, as ever.
    world.regtest.set_esplora(regtest::Mode::Fail);
    wallet.balance().await.unwrap_err();
}

/// The operator takes no coin as small as that, and no intent with one in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_is_too_small_for_the_operator() {
    let world = World::with(Unit::Seconds, |settings| settings.utxo_min = 1_000).await;
    let wallet = paid(&world).await;
    send_dust(&world, &wallet, 1).await;
    let report = wallet.maintain().await.unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.settled.unwrap().amount, sats(20_000));
    assert_eq!(wallet.balance().await.unwrap().boarding, sats(DUST));
}

/// What dust costs in a batch does not make everything too dear.
#[tokio::test(flavor = "multi_thread")]
async fn dust_that_costs_more_than_it_brings() {
    let world = World::with(Unit::Seconds, |settings| settings.fees.onchain_input = "200.0".into()).await;
    let wallet = paid(&world).await;
    world.board(&wallet, 40_000).await;
    send_dust(&world, &wallet, 60).await;
    let report = wallet.maintain().await.unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.fee_refused, None);
    let settled = report.settled.unwrap();
    assert_eq!((settled.amount, settled.fee), (sats(60_000 - 200), Amount::from_sat(200)));
}
