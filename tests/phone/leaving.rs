//! A wallet that is let go of leaves no thread and no file handle, whatever it was doing.

use std::path::PathBuf;
use std::sync::Arc;

use regtest::operator::Unit;
use virtual_channels::ffi::{FundingChoice, Network, ProposeRequest, Wallet, WalletConfig, WalletError};

use crate::alone::{handles, is_inside, run, soon, threads};
use crate::opened::{invite, sats};
use crate::world::World;

const PLACE: &str = "LEAVING_PLACE";
const OPERATOR: &str = "LEAVING_OPERATOR";
const CHAIN: &str = "LEAVING_CHAIN";

async fn open(name: &str) -> Arc<Wallet> {
    let told = |name: &str| std::env::var(name).unwrap();
    let config = WalletConfig {
        database_path: PathBuf::from(told(PLACE)).join(format!("{name}.db")).to_str().unwrap().into(),
        network: Network::Regtest,
        operator_url: told(OPERATOR),
        esplora_url: told(CHAIN),
        confirmations: None,
        max_preconfirmed: None,
        max_blind_seconds: None,
        proxy: None,
    };
    Wallet::open(config, World::mnemonic(name), None).await.unwrap()
}

fn request(funding: FundingChoice) -> ProposeRequest {
    ProposeRequest { capacity: sats(20_000), funding, lifetime: None, delay_margin: 0, on_close: false }
}

/// A channel's life on the wire.
async fn life(payer: &Wallet, receiver: &Wallet) {
    let text = receiver.create_invite(invite()).await.unwrap();
    let proposal = payer.propose(text, request(FundingChoice::Offchain)).await.unwrap();
    let id = proposal.channel_id.unwrap();
    receiver.accept(proposal.offer).await.unwrap();
    let payment = payer.pay(id.clone(), sats(5_000), "one".into(), None).await.unwrap();
    receiver.receive(payment.text).await.unwrap();
    receiver.close_channel(id.clone()).await.unwrap();
    payer.watch(id).await.unwrap();
}

/// The receiver waits in the background for a batch that never comes.
async fn cosigning(payer: &Wallet, receiver: &Wallet) {
    let text = receiver.create_invite(invite()).await.unwrap();
    let proposal = payer.propose(text, request(FundingChoice::Batch)).await.unwrap();
    receiver.accept(proposal.offer).await.unwrap();
}

/// Runs `work` with two wallets; answers what is left of them.
fn in_two_wallets<F: Future<Output = ()>>(work: impl FnOnce(Arc<Wallet>, Arc<Wallet>) -> F) {
    // Whatever the process makes once is there already.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { drop(open("payer").await) });
    let mine = || !threads().iter().any(|name| name.starts_with("virtual-channel"));
    soon("the first has gone", mine);
    let before = (threads(), handles());
    runtime.block_on(async {
        let (payer, receiver) = (open("payer").await, open("receiver").await);
        assert!(!mine() && handles().len() >= before.1.len() + 6, "{:?}", handles());
        work(payer, receiver).await;
    });
    soon("threads and handles are gone", || (threads(), handles()) == before);
}

async fn from_outside(test: &'static str) {
    let world = World::start(Unit::Seconds).await;
    world.rich("payer", 100_000).await.close().unwrap();
    world.wallet("receiver").await.close().unwrap();
    let config = world.config("payer");
    let place = config.database.parent().unwrap().to_str().unwrap().to_owned();
    let told = [(PLACE, place), (OPERATOR, config.operator_url), (CHAIN, config.esplora_url)];
    tokio::task::spawn_blocking(move || run(test, &told)).await.unwrap();
}

/// A test with a world in this process and the wallets in another.
macro_rules! leaves_nothing {
    ($name:ident, $work:expr) => {
        #[test]
        fn $name() {
            if is_inside() {
                in_two_wallets($work);
            } else {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(from_outside(concat!("leaving::", stringify!($name))));
            }
        }
    };
}

leaves_nothing!(after_shutdown, async |payer, receiver| {
    life(&payer, &receiver).await;
    payer.shutdown().await.unwrap();
    receiver.shutdown().await.unwrap();
});

leaves_nothing!(let_go_of_without_shutdown, async |payer, receiver| {
    life(&payer, &receiver).await;
    drop((payer, receiver));
});

leaves_nothing!(while_it_co_signs, async |payer, receiver| {
    cosigning(&payer, &receiver).await;
    drop((payer, receiver));
});

leaves_nothing!(while_somebody_waits, async |payer, receiver| {
    let seen = payer.clone().next_change(0).await.unwrap();
    let change = tokio::spawn(payer.clone().next_change(seen));
    while let Some(event) = receiver.pending_events(1).await.unwrap().pop() {
        receiver.acknowledge_event(event.token.unwrap()).await.unwrap();
    }
    let event = tokio::spawn(receiver.clone().next_event());
    tokio::task::yield_now().await;
    drop((payer, receiver));
    assert_eq!(change.await.unwrap().unwrap_err(), WalletError::Closed);
    assert_eq!(event.await.unwrap().unwrap_err(), WalletError::Closed);
});

leaves_nothing!(while_a_call_is_under_way, async |payer, receiver| {
    // Given up in the middle: the call goes on to its end, and then everything goes.
    let settling = tokio::spawn({
        let payer = payer.clone();
        async move { payer.settle(true).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    settling.abort();
    assert!(settling.await.unwrap_err().is_cancelled());
    drop((payer, receiver));
});

leaves_nothing!(opened_and_closed_again_and_again, async |payer, receiver| {
    drop((payer, receiver));
    for _ in 0..20 {
        let wallet = open("receiver").await;
        wallet.balance().await.unwrap();
        wallet.shutdown().await.unwrap();
    }
});

leaves_nothing!(let_go_of_while_another_process_writes, async |payer, receiver| {
    drop(receiver);
    let path = PathBuf::from(std::env::var(PLACE).unwrap()).join("payer.db");
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // It waits for the other's lock, also when nobody waits for it any more.
    let inviting = tokio::spawn({
        let payer = payer.clone();
        async move { payer.create_invite(invite()).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    inviting.abort();
    assert!(inviting.await.unwrap_err().is_cancelled());
    let before = handles();
    drop(payer);
    assert_eq!(handles(), before, "who lets go does not wait for the lock, or for what waits for it");
    other.execute_batch("ROLLBACK").unwrap();
});
