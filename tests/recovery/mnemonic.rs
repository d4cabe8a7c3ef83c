//! From twelve words alone.

use bitcoin::TxOut;
use bitcoin::secp256k1::SecretKey;
use regtest::operator::settings::DeprecatedSigner;
use regtest::operator::{Knob, Unit};
use virtual_channels::channel::{ChannelError, Invite};
use virtual_channels::wallet::{FundingChoice, InviteRequest, RestoreWarning, Wallet, WalletError};

use crate::lost::{assert_all_new, assert_not_surprised, lose, new_phone, restore, total};
use crate::world::{World, eventually, request, sats};

async fn pay_on_chain(world: &World, address: &str, amount: u64) {
    let address: bitcoin::Address<_> = address.parse().unwrap();
    let script_pubkey = address.assume_checked().script_pubkey();
    world.regtest.node().pay(&[TxOut { value: sats(amount), script_pubkey }]).await.unwrap();
    world.mine(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn coins_of_every_kind_are_found() {
    let world = World::start(Unit::Blocks).await;
    let friend = world.rich("friend", 100_000).await;
    let me = world.rich("me", 50_000).await;
    // Preconfirmed, and change of it; an address nobody has paid yet; a coin that waits on chain.
    me.send(&friend.ark_address().unwrap(), sats(4_000)).await.unwrap();
    let mut shown = vec![me.ark_address().unwrap(), me.new_ark_address().unwrap()];
    let unpaid = shown[1].clone();
    for _ in 0..7 {
        shown.push(me.new_ark_address().unwrap());
    }
    friend.send(shown.last().unwrap(), sats(3_000)).await.unwrap();
    world.board(&me, 20_000).await;
    let before = me.balance().await.unwrap();
    assert_eq!(before.total(), sats(69_000));

    let (me, report) = lose(&world, "me", me, None).await;
    assert_eq!(report.warnings, [RestoreWarning::NoBackup]);
    assert_eq!((total(&report.vtxos), total(&report.boarding)), (sats(49_000), sats(20_000)));
    assert!(report.exits.is_empty() && report.channels.is_empty());
    assert_eq!(me.balance().await.unwrap(), before);

    // No key twice, and what is paid to an address of the lost phone arrives.
    let fresh: Vec<String> = (0..5).map(|_| me.new_ark_address().unwrap()).collect();
    assert_all_new(&shown, &fresh);
    friend.send(&unpaid, sats(1_000)).await.unwrap();
    friend.send(&fresh[0], sats(500)).await.unwrap();
    eventually("both", async || me.balance().await.is_ok_and(|b| b.total() == sats(70_500))).await;

    // Everything can be spent, and nothing of it is taken for somebody else's.
    world.settle(&me).await;
    assert_eq!(me.balance().await.unwrap().settled, sats(70_500));
    me.send(&friend.ark_address().unwrap(), sats(70_500)).await.unwrap();
    for _ in 0..2 {
        me.balance().await.unwrap();
    }
    assert_not_surprised(&me);
}

/// Proposals and invites that came to nothing leave holes in the row of keys.
#[tokio::test(flavor = "multi_thread")]
async fn coins_behind_a_long_gap() {
    let world = World::start(Unit::Blocks).await;
    let friend = world.rich("friend", 100_000).await;
    let me = world.wallet("me").await;
    for _ in 0..80 {
        me.create_invite(&InviteRequest::default()).unwrap();
    }
    friend.send(&me.new_ark_address().unwrap(), sats(5_000)).await.unwrap();
    let (_, report) = lose(&world, "me", me, None).await;
    assert_eq!(total(&report.vtxos), sats(5_000));
}

/// The same for payouts on chain, which claims of exits pay.
#[tokio::test(flavor = "multi_thread")]
async fn payouts_behind_a_long_gap() {
    let world = World::start(Unit::Blocks).await;
    let me = world.wallet("me").await;
    for amount in [7_000, 8_000] {
        let invites: Vec<Invite> = (0..40).map(|_| me.create_invite(&InviteRequest::default()).unwrap()).collect();
        let output = TxOut { value: sats(amount), script_pubkey: invites[39].receiver.chain_payout.script() };
        world.regtest.node().pay(&[output]).await.unwrap();
        world.mine(1).await;
    }
    let (_, report) = lose(&world, "me", me, None).await;
    assert_eq!(report.onchain.confirmed, sats(15_000));
}

/// The wallet of a shop with thousands of invites. The backup names what was given out; what was paid after it is found
/// behind that.
#[tokio::test(flavor = "multi_thread")]
async fn paid_after_the_backup_of_a_large_wallet() {
    let world = World::start(Unit::Blocks).await;
    let friend = world.rich("friend", 100_000).await;
    let me = world.rich("me", 50_000).await;
    let file = rusqlite::Connection::open(world.path("me")).unwrap();
    assert_eq!(file.execute("UPDATE wallet SET next_key_index = 30000", []), Ok(1));
    drop(file);
    let backup = me.backup().unwrap();
    let invite = me.create_invite(&InviteRequest::default()).unwrap();
    let output = TxOut { value: sats(7_000), script_pubkey: invite.receiver.chain_payout.script() };
    world.regtest.node().pay(&[output]).await.unwrap();
    world.mine(1).await;
    friend.send(&me.new_ark_address().unwrap(), sats(5_000)).await.unwrap();
    let (_, report) = lose(&world, "me", me, Some(&backup)).await;
    assert_eq!(report.warnings, []);
    assert_eq!((report.onchain.confirmed, total(&report.vtxos)), (sats(7_000), sats(55_000)));
}

/// A boarding address is the same again, whatever else was given out before it; so is one that is paid only then.
#[tokio::test(flavor = "multi_thread")]
async fn a_boarding_address_behind_a_long_gap() {
    let world = World::start(Unit::Blocks).await;
    for (name, paid_before) in [("one", true), ("other", false)] {
        let me = world.wallet(name).await;
        for _ in 0..120 {
            me.create_invite(&InviteRequest::default()).unwrap();
        }
        let address = me.boarding_address().unwrap();
        if paid_before {
            pay_on_chain(&world, &address, 20_000).await;
        }
        let (me, report) = lose(&world, name, me, None).await;
        assert_eq!(total(&report.boarding), sats(if paid_before { 20_000 } else { 0 }));
        if !paid_before {
            pay_on_chain(&world, &address, 20_000).await;
        }
        assert_eq!(me.balance().await.unwrap().boarding, sats(20_000));
        assert_eq!(me.boarding_address().unwrap(), address);
        world.settle(&me).await;
        assert_eq!(me.balance().await.unwrap().settled, sats(20_000));
    }
}

/// A withdrawal to an own address, and a payout of an exit, are BIP86 outputs at an index of the same counter.
#[tokio::test(flavor = "multi_thread")]
async fn payouts_on_chain() {
    let world = World::start(Unit::Blocks).await;
    let me = world.rich("me", 50_000).await;
    let shop = world.wallet("shop").await;
    let invite = shop.create_invite(&InviteRequest::default()).unwrap();
    let offer = me.propose(&invite, &request(20_000, FundingChoice::Batch)).await.unwrap().offer;
    let output = TxOut { value: sats(7_000), script_pubkey: offer.terms.payer.chain_payout.script() };
    world.regtest.node().pay(&[output]).await.unwrap();
    world.mine(1).await;
    // And the coins that are there to pay for exits.
    for amount in [3_000, 2_000] {
        pay_on_chain(&world, &me.onchain_address().unwrap(), amount).await;
        me.onchain_balance().await.unwrap();
    }
    let before = me.onchain_balance().await.unwrap();
    assert_eq!(before.confirmed, sats(12_000));
    let (me, report) = lose(&world, "me", me, None).await;
    assert_eq!((report.onchain, total(&report.vtxos)), (before, sats(50_000)));
    let elsewhere = shop.onchain_address().unwrap();
    me.send_onchain(&elsewhere, None, None).await.unwrap();
    world.mine(1).await;
    assert!(shop.onchain_balance().await.unwrap().confirmed > sats(11_000));
}

/// An operator that shows signatures which do not verify: no exit could be made of that. What it shows later is kept.
#[tokio::test(flavor = "multi_thread")]
async fn branches_with_wrong_signatures() {
    let world = World::start(Unit::Blocks).await;
    let me = world.rich("me", 50_000).await;
    world.regtest.operator().await.faults().turn(Knob::WrongVirtualSignatures);
    let (me, report) = lose(&world, "me", me, None).await;
    let [RestoreWarning::NoBackup, RestoreWarning::BranchMissing { outpoint, why }] = report.warnings.as_slice() else {
        panic!("{:?}", report.warnings);
    };
    assert_eq!((*outpoint, total(&report.vtxos)), (report.vtxos[0].outpoint, sats(50_000)));
    assert!(why.starts_with("branch: "), "{why}");
    assert_eq!(me.maintain().await.unwrap().kept, 0);
    world.regtest.operator().await.faults().clear();
    let report = me.maintain().await.unwrap();
    assert_eq!((report.kept, report.errors.len()), (1, 0), "{:?}", report.errors);
    world.regtest.stop_operator().await;
    assert!(me.exit_coins().await.unwrap().iter().any(|exit| exit.outpoint == *outpoint));
}

/// The operator has changed its signer key: coins under the former one are still found.
#[tokio::test(flavor = "multi_thread")]
async fn coins_under_a_former_signer() {
    let world = World::start(Unit::Blocks).await;
    let me = world.rich("me", 30_000).await;
    world.regtest.operator().await.change(|settings| {
        let fresh = SecretKey::from_slice(&[0x21; 32]).unwrap();
        let secret = std::mem::replace(&mut settings.signer, fresh);
        settings.deprecated_signers.push(DeprecatedSigner { secret, cutoff: 0 });
    });
    let (me, report) = lose(&world, "me", me, None).await;
    assert_eq!(total(&report.vtxos), sats(30_000));
    assert_eq!(me.balance().await.unwrap().settled, sats(30_000));
}

/// A restore may be called on a file that is there: it adds what came since, and takes nothing away.
#[tokio::test(flavor = "multi_thread")]
async fn again_on_the_same_file() {
    let world = World::start(Unit::Blocks).await;
    let me = world.rich("me", 30_000).await;
    let address = me.boarding_address().unwrap();
    let (me, first) = lose(&world, "me", me, None).await;
    assert!(first.boarding.is_empty());
    let next = me.new_ark_address().unwrap();
    me.close().unwrap();
    pay_on_chain(&world, &address, 9_000).await;
    let (me, second) = restore(&world, "me", "new", None).await.unwrap();
    assert_eq!((second.vtxos, total(&second.boarding)), (first.vtxos, sats(9_000)));
    assert_ne!(me.new_ark_address().unwrap(), next);
    assert_eq!(me.balance().await.unwrap().total(), sats(39_000));
    me.close().unwrap();
    // Nobody else's file is touched.
    let config = new_phone(&world, "me", "new");
    let refused = Wallet::restore(config, &World::mnemonic("friend"), None).await.unwrap_err();
    assert!(matches!(*refused, WalletError::Store(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_operator_nothing_is_created() {
    let world = World::start(Unit::Blocks).await;
    world.regtest.stop_operator().await;
    let config = new_phone(&world, "me", "new");
    assert!(Wallet::restore(config.clone(), &World::mnemonic("me"), None).await.is_err());
    assert!(!config.database.exists());
}

/// A chain server that is away is a warning; restoring again finds what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_chain_server() {
    let world = World::start(Unit::Blocks).await;
    let me = world.rich("me", 30_000).await;
    world.board(&me, 5_000).await;
    me.close().unwrap();
    let mut config = new_phone(&world, "me", "new");
    config.esplora_url = "http://127.0.0.1:1".into();
    let (me, report) = Wallet::restore(config, &World::mnemonic("me"), None).await.unwrap();
    let [RestoreWarning::NoBackup, RestoreWarning::ChainAway { .. }, RestoreWarning::BranchMissing { .. }] =
        report.warnings.as_slice()
    else {
        panic!("{:?}", report.warnings);
    };
    assert_eq!((total(&report.vtxos), report.boarding.len()), (sats(30_000), 0));
    me.close().unwrap();
    let (me, report) = restore(&world, "me", "new", None).await.unwrap();
    assert_eq!(total(&report.boarding), sats(5_000));
    assert_eq!(me.balance().await.unwrap().total(), sats(35_000));
}

/// An exit delay of another length makes other scripts: only a backup names them.
#[tokio::test(flavor = "multi_thread")]
async fn coins_under_a_former_exit_delay() {
    let world = World::start(Unit::Blocks).await;
    let me = world.rich("me", 30_000).await;
    let backup = me.backup().unwrap();
    me.close().unwrap();
    world.regtest.operator().await.change(|settings| settings.exit_delay += 4);
    let (_, report) = restore(&world, "me", "words", None).await.unwrap();
    assert_eq!(total(&report.vtxos), sats(0));
    let (me, report) = restore(&world, "me", "backup", Some(&backup)).await.unwrap();
    assert_eq!((total(&report.vtxos), report.warnings.len()), (sats(30_000), 0));
    assert_eq!(me.balance().await.unwrap().settled, sats(30_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_words() {
    let world = World::start(Unit::Blocks).await;
    let refused = Wallet::restore(new_phone(&world, "me", "new"), "twelve words that are none", None).await;
    assert!(matches!(refused.as_ref().map_err(|error| &**error), Err(WalletError::InvalidMnemonic)));
    let good = world.rich("me", 10_000).await.backup().unwrap();
    let cut = &good[..good.len() - 1];
    for (text, damaged) in [(cut, true), ("hello", false), (good.trim_start_matches("vcb1"), false)] {
        let refused = restore(&world, "me", "damaged", Some(text)).await.unwrap_err();
        match *refused {
            WalletError::Channel(ChannelError::Checksum) if damaged => {}
            WalletError::Channel(ChannelError::NotOurText) if !damaged => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(!world.path("me-damaged").exists());
}

/// Coins of a backup that were spent after it was made: one in a batch, one off chain.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_after_the_backup_is_not_left() {
    let world = World::start(Unit::Blocks).await;
    let friend = world.wallet("friend").await;
    let me = world.rich("me", 50_000).await;
    let settled = me.settle(true).await.unwrap().outpoint.unwrap();
    world.mine(1).await;
    let backup = me.backup().unwrap();
    me.settle(true).await.unwrap();
    world.mine(1).await;
    eventually("settled", async || me.balance().await.is_ok_and(|b| b.settled == sats(50_000))).await;
    let renewed = me.backup().unwrap();
    me.send(&friend.ark_address().unwrap(), sats(20_000)).await.unwrap();
    me.close().unwrap();

    for (phone, backup) in [("second", backup), ("third", renewed)] {
        let config = world.config(phone);
        let (me, _) = Wallet::restore(config, &World::mnemonic("me"), Some(&backup)).await.unwrap();
        let operator = world.regtest.operator().await;
        // What settling it would cost keeps the change where it is.
        operator.change(|settings| settings.fees.offchain_input = "60000.0".into());
        drop(operator);
        me.maintain().await.unwrap();
        world.regtest.stop_operator().await;
        let left: Vec<_> =
            me.exit_coins().await.unwrap().into_iter().map(|exit| (exit.outpoint, exit.amount)).collect();
        assert!(left.iter().all(|(outpoint, amount)| *outpoint != settled && *amount == sats(30_000)), "{left:?}");
        assert_eq!(left.len(), 1, "the change: {left:?}");
        assert_not_surprised(&me);
        world.regtest.start_operator().await.unwrap();
    }
}

/// Addresses that were given out and not paid yet are paid after the restore, however many there were.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_far_behind_the_last_coin() {
    let world = World::start(Unit::Blocks).await;
    let friend = world.rich("friend", 100_000).await;
    let me = world.rich("me", 50_000).await;
    let shown: Vec<String> = (0..150).map(|_| me.new_ark_address().unwrap()).collect();
    let (me, _) = lose(&world, "me", me, None).await;
    let fresh: Vec<String> = (0..3).map(|_| me.new_ark_address().unwrap()).collect();
    assert_all_new(&shown, &fresh);
    friend.send(&shown[149], sats(1_000)).await.unwrap();
    eventually("paid", async || me.balance().await.is_ok_and(|b| b.total() == sats(51_000))).await;
    let operator = world.regtest.operator().await;
    let before = operator.faults().seen(regtest::operator::Call::GetVtxos);
    drop(operator);
    me.balance().await.unwrap();
    let calls = world.regtest.operator().await.faults().seen(regtest::operator::Call::GetVtxos) - before;
    assert!(calls <= 8, "{calls} calls");
}
