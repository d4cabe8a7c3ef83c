//! Children that pay for parents without a fee; bitcoind judges them.

use bitcoin::{Amount, OutPoint, Transaction, TxOut};
use regtest::operator::Unit;
use virtual_channels::channel::Network;
use virtual_channels::channel::branch::Branch;
use virtual_channels::store::Store;
use virtual_channels::wallet::{Keys, OwnedOutput, Wallet, WalletError};

use crate::purse::{elsewhere, fund, holds, offer, parent, per_vbyte, script_of, world};
use crate::world::{World, refused, sats};

/// What a child pays, its parent paying nothing.
async fn fee(world: &World, child: &Transaction, parent: &Transaction) -> u64 {
    let mut paid = 0;
    for input in &child.input {
        let OutPoint { txid, vout } = input.previous_output;
        let spent = if txid == parent.compute_txid() {
            parent.clone()
        } else {
            world.regtest.node().transaction(&txid).await.unwrap().expect("a known coin").0
        };
        paid += spent.output[vout as usize].value.to_sat();
    }
    paid - child.output.iter().map(|output| output.value.to_sat()).sum::<u64>()
}

fn child(wallet: &Wallet, parent: &Transaction, rate: u64) -> Transaction {
    wallet.fee_child(parent, per_vbyte(rate), Amount::ZERO, &[], &[]).expect("a child")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_a_channel_goes_on_chain() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 50_000).await;
    let branch: Branch = {
        let store = Store::open(&world.path("receiver")).unwrap();
        let row = store.read(|db| db.channel(&id)).unwrap().unwrap();
        store.read(|db| db.branch(&row.record.funding)).unwrap().unwrap()
    };
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    for node in &branch.nodes {
        let child = child(&receiver, &node.tx, 3);
        assert_eq!(offer(&world, &node.tx, &child).await, None);
        let size = (child.vsize() + node.tx.vsize()) as u64;
        assert!((3 * size..3 * size + 4).contains(&fee(&world, &child, &node.tx).await));
        assert_eq!((child.version.0, child.output.len()), (3, 1));
        world.mine(1).await;
        receiver.sync_onchain().await.unwrap();
    }
    let spent = 20_000 - receiver.onchain_balance().await.unwrap().confirmed.to_sat();
    assert!((500..2_000 * branch.nodes.len() as u64).contains(&spent), "{spent}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_higher_fee_replaces_and_two_exits_share_nothing() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    fund(&world, &wallet, &[20_000]).await;
    fund(&world, &wallet, &[30_000]).await;
    let (one, two) = (parent(&world, &[elsewhere(5_000)]).await, parent(&world, &[elsewhere(5_000)]).await);
    let first = child(&wallet, &one, 2);
    assert_eq!(offer(&world, &one, &first).await, None);
    wallet.sync_onchain().await.unwrap();

    // The same coin again for the same parent, none of it for another.
    let second = child(&wallet, &one, 5);
    assert_eq!(first.input[1].previous_output, second.input[1].previous_output);
    assert_eq!(offer(&world, &one, &second).await, None);
    wallet.sync_onchain().await.unwrap();
    let other = child(&wallet, &two, 2);
    assert_ne!(other.input[1].previous_output, second.input[1].previous_output);
    assert_ne!(other.output[0].script_pubkey, second.output[0].script_pubkey);
    assert_eq!(offer(&world, &two, &other).await, None);

    // At least so much, whatever the rate.
    let least = wallet.fee_child(&two, per_vbyte(1), sats(4_321), &[], &[]).unwrap();
    assert_eq!(fee(&world, &least, &two).await, 4_321);
    // Before anything is known of the others, the caller says what they spend.
    let three = parent(&world, &[elsewhere(5_000)]).await;
    let taken = [second.input[1].previous_output, other.input[1].previous_output];
    let error = refused(wallet.fee_child(&three, per_vbyte(1), Amount::ZERO, &[], &taken));
    assert!(matches!(&error, WalletError::InsufficientFeeCoins { available: Amount::ZERO, .. }), "{error}");
    world.mine(1).await;
    let left = 50_000 - fee(&world, &second, &one).await - fee(&world, &other, &two).await;
    holds(&wallet, left, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_outputs_pay_alone() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    let keys = Keys::from_mnemonic(&World::mnemonic("wallet"), Network::Regtest).unwrap();
    let output = |amount: u64| TxOut { value: sats(amount), script_pubkey: keys.chain_payout(7).unwrap().script() };
    let own = [OwnedOutput { vout: 1, key_index: 7 }];
    let rich = parent(&world, &[elsewhere(9_000), output(8_000)]).await;
    let child = wallet.fee_child(&rich, per_vbyte(10), Amount::ZERO, &own, &[]).unwrap();
    assert_eq!(offer(&world, &rich, &child).await, None);
    assert_eq!(child.input.len(), 2);
    world.mine(1).await;
    let left = 8_000 - fee(&world, &child, &rich).await;
    holds(&wallet, left, 0).await;

    // What is not ours is not spent.
    let error =
        refused(wallet.fee_child(&rich, per_vbyte(1), Amount::ZERO, &[OwnedOutput { vout: 0, key_index: 7 }], &[]));
    assert!(matches!(error, WalletError::NotFound), "{error}");
    // Not enough alone: a coin does it, without the output where that is possible.
    let poor = parent(&world, &[elsewhere(9_000), output(400)]).await;
    let child = wallet.fee_child(&poor, per_vbyte(10), Amount::ZERO, &own, &[]).unwrap();
    assert!(child.input.iter().all(|input| input.previous_output != OutPoint::new(poor.compute_txid(), 1)));
    assert_eq!(offer(&world, &poor, &child).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_is_needed() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    let parent = parent(&world, &[elsewhere(5_000)]).await;
    let ask = |rate: u64| refused(wallet.fee_child(&parent, per_vbyte(rate), Amount::ZERO, &[], &[]));
    let WalletError::InsufficientFeeCoins { needed, available, address } = ask(10) else { panic!("another error") };
    assert_eq!(available, Amount::ZERO);
    assert_eq!(address, wallet.onchain_address().unwrap());
    // Exactly that is enough, and a sat less is not.
    let pay = async |amount: u64| {
        let output = TxOut { value: sats(amount), script_pubkey: script_of(&address) };
        world.regtest.node().pay(&[output]).await.unwrap();
        world.mine(1).await;
        wallet.sync_onchain().await.unwrap();
    };
    pay(needed.to_sat() - 1).await;
    let WalletError::InsufficientFeeCoins { needed: again, available, .. } = ask(10) else { panic!("another error") };
    assert_eq!((again, available), (needed, needed - sats(1)));
    pay(needed.to_sat()).await;
    assert_eq!(offer(&world, &parent, &child(&wallet, &parent, 10)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_no_larger_than_a_thousand_vbytes() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    fund(&world, &wallet, &[1_000; 30]).await;
    let parent = parent(&world, &[elsewhere(5_000)]).await;
    let most = wallet.fee_child(&parent, per_vbyte(1), sats(14_000), &[], &[]).unwrap();
    assert!(most.vsize() <= 1_000);
    let error = refused(wallet.fee_child(&parent, per_vbyte(1), sats(20_000), &[], &[]));
    let WalletError::InsufficientFeeCoins { needed, available, .. } = error else { panic!("another error") };
    assert!(available >= sats(14_000) && available < needed && needed == sats(20_330), "{available} of {needed}");
    assert_eq!(offer(&world, &parent, &most).await, None);
    world.mine(1).await;
    holds(&wallet, 30_000 - 14_000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coin_that_is_not_confirmed_pays_for_nothing() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    let parent = parent(&world, &[elsewhere(5_000)]).await;
    crate::purse::pay_in(&world, &wallet, &[50_000]).await;
    holds(&wallet, 0, 50_000).await;
    let error = refused(wallet.fee_child(&parent, per_vbyte(1), Amount::ZERO, &[], &[]));
    assert!(matches!(error, WalletError::InsufficientFeeCoins { available: Amount::ZERO, .. }), "{error}");
    world.mine(1).await;
    wallet.sync_onchain().await.unwrap();
    assert_eq!(offer(&world, &parent, &child(&wallet, &parent, 1)).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn change_is_found_again_from_the_words_alone() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    fund(&world, &wallet, &[20_000]).await;
    let parent = parent(&world, &[elsewhere(5_000)]).await;
    let first = child(&wallet, &parent, 1);
    wallet.close().unwrap();
    // Durable before it is used: a new process takes another script.
    let mut wallet = world.wallet("wallet").await;
    let second = child(&wallet, &parent, 1);
    assert_ne!(first.output[0].script_pubkey, second.output[0].script_pubkey);
    // However many are made in vain, a scan finds the one that was used.
    let mut last = second;
    for _ in 0..33 {
        wallet.close().unwrap();
        wallet = world.wallet("wallet").await;
        last = child(&wallet, &parent, 1);
    }
    assert_eq!(offer(&world, &parent, &last).await, None);
    world.mine(1).await;
    let left = 20_000 - fee(&world, &last, &parent).await;
    holds(&wallet, left, 0).await;
    let mut config = world.config("wallet");
    config.database = world.path("another file");
    let restored = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    holds(&restored, left, 0).await;
}
