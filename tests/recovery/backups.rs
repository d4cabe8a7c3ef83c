//! Channels out of the static backup: nothing is payable or claimable before the latest update is seen, and all of it
//! afterwards.

use bitcoin::Txid;
use bitcoin::hashes::Hash;
use regtest::operator::{Action, Call, Claim, Knob, Unit, wire};
use virtual_channels::channel::{ArkAddress, ChannelError, ChannelId, Invite, Network, UpdateMessage};
use virtual_channels::store::{ChannelState, StoreError};
use virtual_channels::wallet::{FundingChoice, InviteRequest, ProposeRequest, RestoreWarning, Wallet, WalletError};

use crate::lost::{assert_not_surprised, hand_over, latest, lose, new_phone, opened, restore, total};
use crate::world::{World, eventually, pay, refused, request, sats};

/// The receiver loses its phone with 12 000 sats in a channel of 40 000; the payer sends the latest update again.
async fn receiver_comes_back(unit: Unit, offchain: bool) {
    let world = World::start(unit).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = match offchain {
        true => world.open_offchain(&payer, &receiver, 40_000).await,
        false => world.open(&payer, &receiver, 40_000).await,
    };
    // Before the first payment: none is owed after it.
    let backup = receiver.backup().unwrap();
    pay(&payer, &receiver, &id, 5_000, "one");
    payer.acknowledge(&receiver.receipt(&id, None).unwrap()).unwrap();
    pay(&payer, &receiver, &id, 7_000, "two");

    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert_eq!((report.channels.as_slice(), report.warnings.as_slice()), ([id].as_slice(), [].as_slice()));
    let info = receiver.channel(&id).unwrap();
    assert_eq!((info.state, info.amount, info.awaits_update), (ChannelState::Open, sats(0), true));
    let error = refused(receiver.close_channel(&id).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::NothingPaid)), "{error}");

    // Payments travel without the Authorisation by now; the latest update brings it again.
    let received = receiver.receive(&latest(&payer, &id)).unwrap();
    assert_eq!((received.amount, received.increase), (sats(12_000), sats(12_000)));
    assert!(!receiver.channel(&id).unwrap().awaits_update);
    pay(&payer, &receiver, &id, 1_000, "three");
    receiver.close_channel(&id).await.unwrap();
    eventually("paid", async || receiver.balance().await.is_ok_and(|b| b.preconfirmed == sats(13_000))).await;
    let closed = async || payer.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Closed);
    eventually("the payer sees it", closed).await;
    assert_not_surprised(&receiver);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_a_batch_channel() {
    receiver_comes_back(Unit::Blocks, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_of_a_preconfirmed_channel() {
    receiver_comes_back(Unit::Seconds, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_pays_nothing_before_it_has_seen_what_it_signed() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let backup = payer.backup().unwrap();
    pay(&payer, &receiver, &id, 5_000, "one");
    let old = latest(&receiver, &id);
    pay(&payer, &receiver, &id, 7_000, "two");

    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    assert_eq!((report.channels.as_slice(), report.warnings.len()), ([id].as_slice(), 0));
    assert_eq!(total(&report.vtxos), sats(60_000));
    // What is left in the channel is not known, so it is not counted.
    assert_eq!(payer.balance().await.unwrap().total(), sats(60_000));
    let refuse = |payer: &Wallet, payment: &str| {
        let error = refused(payer.pay(&id, sats(1_000), payment, None));
        assert!(matches!(error, WalletError::CatchUpNeeded { channel_id } if channel_id == id), "{error}");
    };
    refuse(&payer, "three");
    assert!(payer.latest_update(&id).is_err());

    // Somebody else's update, and a changed one, are no proof.
    let shown = latest(&receiver, &id);
    for bad in [
        UpdateMessage {
            update: virtual_channels::channel::ChannelUpdate { amount: sats(2_000), ..shown.update },
            ..shown.clone()
        },
        UpdateMessage {
            update: virtual_channels::channel::ChannelUpdate {
                exit_signature: old.update.exit_signature,
                ..shown.update
            },
            ..shown.clone()
        },
    ] {
        assert!(payer.catch_up(&bad).is_err());
        refuse(&payer, "three");
    }
    // Also after a restart.
    payer.close().unwrap();
    let payer = Wallet::open(new_phone(&world, "payer", "new"), &World::mnemonic("payer")).await.unwrap();
    refuse(&payer, "three");

    assert_eq!(payer.catch_up(&shown).unwrap(), sats(12_000));
    assert_eq!(payer.balance().await.unwrap().total(), sats(88_000));
    assert_eq!(pay(&payer, &receiver, &id, 1_000, "three").amount, sats(13_000));
    receiver.close_channel(&id).await.unwrap();
    let closed = async || payer.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Closed);
    eventually("the payer sees it", closed).await;
    eventually("its rest", async || payer.balance().await.is_ok_and(|b| b.total() == sats(87_000))).await;
    assert_not_surprised(&payer);
}

/// The receiver shows an older update than it has: the payer's next payment is refused, with the latest.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_shows_an_old_update_gains_nothing() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let backup = payer.backup().unwrap();
    pay(&payer, &receiver, &id, 5_000, "one");
    let old = latest(&receiver, &id);
    pay(&payer, &receiver, &id, 7_000, "two");
    let (payer, _) = lose(&world, "payer", payer, Some(&backup)).await;
    assert_eq!(payer.catch_up(&old).unwrap(), sats(5_000));
    let payment = payer.pay(&id, sats(9_000), "three", None).unwrap();
    let WalletError::Channel(ChannelError::Forked { stored, .. }) = refused(receiver.receive(&payment.message)) else {
        panic!("14 000 built on 5 000 is forked")
    };
    assert_eq!(
        payer.catch_up(&UpdateMessage { update: *stored, authorisation: None, memo: None }).unwrap(),
        sats(12_000)
    );
    assert_eq!(pay(&payer, &receiver, &id, 9_000, "three").amount, sats(21_000));
}

/// Nothing was paid before the loss: there is nothing to show, and the receiver says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_of_an_unused_channel() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let backup = payer.channel_backup(&id).unwrap();
    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    assert_eq!((report.channels, total(&report.vtxos)), (vec![id], sats(60_000)));
    assert!(payer.pay(&id, sats(1_000), "one", None).is_err());
    payer.pay_from_zero(&id).unwrap();
    assert_eq!(pay(&payer, &receiver, &id, 1_000, "one").amount, sats(1_000));
}

/// Both phones are lost, and with them the update: the payer takes everything back after the locktime.
#[tokio::test(flavor = "multi_thread")]
async fn both_are_lost() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let [for_payer, for_receiver] = [&payer, &receiver].map(|wallet| wallet.backup().unwrap());
    pay(&payer, &receiver, &id, 5_000, "one");
    let (payer, _) = lose(&world, "payer", payer, Some(&for_payer)).await;
    let (receiver, _) = lose(&world, "receiver", receiver, Some(&for_receiver)).await;
    for wallet in [&payer, &receiver] {
        assert!(matches!(refused(wallet.latest_update(&id)), WalletError::Channel(ChannelError::NothingPaid)));
    }
    let locktime = payer.channel(&id).unwrap().locktime.to_consensus_u32();
    let height = world.regtest.node().tip().await.unwrap().height;
    world.mine(locktime.saturating_sub(height)).await;
    payer.refund(&id).await.unwrap();
    eventually("back", async || payer.balance().await.is_ok_and(|b| b.total() == sats(100_000))).await;
}

/// The channel had ended before the phone was lost: the new one sees how.
#[tokio::test(flavor = "multi_thread")]
async fn channels_that_ended_meanwhile() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let closed = world.open(&payer, &receiver, 30_000).await;
    let refunded = world.open(&payer, &receiver, 20_000).await;
    let [for_payer, for_receiver] = [&payer, &receiver].map(|wallet| wallet.backup().unwrap());
    pay(&payer, &receiver, &closed, 5_000, "one");
    receiver.close_channel(&closed).await.unwrap();
    let locktime = payer.channel(&refunded).unwrap().locktime.to_consensus_u32();
    let height = world.regtest.node().tip().await.unwrap().height;
    world.mine(locktime.saturating_sub(height)).await;
    payer.refund(&refunded).await.unwrap();

    let (payer, report) = lose(&world, "payer", payer, Some(&for_payer)).await;
    assert_eq!(report.warnings, []);
    let state = |wallet: &Wallet, id| wallet.channel(id).unwrap().state;
    assert_eq!(state(&payer, &closed), ChannelState::Closed);
    assert_eq!(state(&payer, &refunded), ChannelState::Refunded);
    assert_eq!(payer.balance().await.unwrap().total(), sats(95_000));
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&for_receiver)).await;
    assert_eq!(state(&receiver, &closed), ChannelState::Closed);
    assert_eq!(receiver.balance().await.unwrap().total(), sats(5_000));
    // The refund's signatures say what it is, to a receiver too, which was no part of it.
    assert_eq!(state(&receiver, &refunded), ChannelState::Refunded);
    assert_eq!(report.warnings, []);
}

/// The books say that a channel was taken back, by a refund that nobody signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_none() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 20_000).await;
    let backup = payer.backup().unwrap();
    let info = payer.channel(&id).unwrap();
    world.mine(info.locktime.to_consensus_u32() - world.regtest.node().tip().await.unwrap().height).await;
    let lie = Txid::from_byte_array([7; 32]);
    let operator = world.regtest.operator().await;
    let outpoint = wire::IndexerOutpoint { txid: lie.to_string(), vout: 0 };
    let script = ArkAddress::parse(&payer.ark_address().unwrap()).unwrap().script_pubkey().to_hex_string();
    let shown = operator.vtxo(&info.funding).unwrap();
    assert!(operator.put_vtxo(&wire::IndexerVtxo { outpoint: Some(outpoint), script, ..shown }));
    operator.faults().claim(info.funding, Claim { spent: Some(true), ark_txid: Some(lie), ..Claim::default() });
    drop(operator);
    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    assert_eq!(payer.channel(&id).unwrap().state, ChannelState::Open);
    let spent = virtual_channels::wallet::RestoreWarning::ChannelSpent { channel_id: id };
    assert!(report.warnings.contains(&spent), "{:?}", report.warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_somebody_else() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 50_000).await;
    let backup = payer.backup().unwrap();
    let other = |result: Result<_, Box<WalletError>>| match result.map_err(|error| *error) {
        Err(WalletError::OtherBackup { what }) => what,
        Err(other) => panic!("{other:?}"),
        Ok((_, report)) => panic!("{report:?}"),
    };
    assert_eq!(other(restore(&world, "receiver", "new", Some(&backup)).await), "mnemonic");
    // The keys of all test networks are the same.
    let mut config = new_phone(&world, "payer", "new");
    config.network = Network::Signet;
    config.operator_url = "https://localhost:1".into();
    config.esplora_url = "https://localhost:1".into();
    assert_eq!(other(Wallet::restore(config, &World::mnemonic("payer"), Some(&backup)).await), "network");
    let elsewhere = World::with(Unit::Blocks, |settings| {
        settings.signer = bitcoin::secp256k1::SecretKey::from_slice(&[0x31; 32]).unwrap();
        settings.forfeit = bitcoin::secp256k1::SecretKey::from_slice(&[0x32; 32]).unwrap();
    })
    .await;
    assert_eq!(other(restore(&elsewhere, "payer", "new", Some(&backup)).await), "operator");
    for place in [&world, &elsewhere] {
        assert!(!place.path("payer-new").exists() && !place.path("receiver-new").exists());
    }
}

/// What a backup looks like from outside, and how long it is.
#[tokio::test(flavor = "multi_thread")]
async fn sizes() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 200_000).await;
    let receiver = world.wallet("receiver").await;
    let empty = receiver.backup().unwrap().len();
    println!("backup without a channel: {empty} characters");
    let mut last = empty;
    for number in 1..=3 {
        let id = world.open(&payer, &receiver, 20_000).await;
        pay(&payer, &receiver, &id, 1_000, "one");
        let (whole, one) = (receiver.backup().unwrap(), receiver.channel_backup(&id).unwrap());
        println!("backup with {number} channels: {} characters; of one channel: {}", whole.len(), one.len());
        assert!(whole.len() > last && whole.len() < empty + number * 3_000);
        assert!(one.len() < 6_000);
        last = whole.len();
        for text in [whole, one] {
            assert!(
                text.starts_with("vcb1") && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            );
        }
        // A payment changes nothing that is in it.
        pay(&payer, &receiver, &id, 1_000, "two");
        assert_eq!(receiver.backup().unwrap().len(), last);
        let message = hand_over(&payer.latest_update(&id).unwrap().message);
        receiver.receive(&message).unwrap();
    }
}

/// The backup is made when the offer was accepted, and the phone lost when the channel had been opened and used.
#[tokio::test(flavor = "multi_thread")]
async fn opened_after_the_backup() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let (_, accept) = world.agree(&payer, &receiver, 40_000).await;
    let [for_payer, for_receiver] = [&payer, &receiver].map(|wallet| wallet.backup().unwrap());
    let id = payer.open_channel(&accept).await.unwrap();
    world.confirm(&payer, &receiver, &id).await;
    pay(&payer, &receiver, &id, 12_000, "one");

    let (receiver, report) = lose(&world, "receiver", receiver, Some(&for_receiver)).await;
    assert_eq!((report.channels.as_slice(), report.warnings.as_slice()), ([id].as_slice(), [].as_slice()));
    assert_eq!(receiver.receive(&latest(&payer, &id)).unwrap().amount, sats(12_000));
    let (payer, report) = lose(&world, "payer", payer, Some(&for_payer)).await;
    assert_eq!((report.channels.as_slice(), report.warnings.as_slice()), ([id].as_slice(), [].as_slice()));
    assert!(matches!(refused(payer.pay(&id, sats(1_000), "two", None)), WalletError::CatchUpNeeded { .. }));
    assert_eq!(payer.catch_up(&latest(&receiver, &id)).unwrap(), sats(12_000));
    pay(&payer, &receiver, &id, 1_000, "two");
    receiver.close_channel(&id).await.unwrap();
    eventually("paid", async || receiver.balance().await.is_ok_and(|b| b.preconfirmed == sats(13_000))).await;
}

async fn pass_locktime(world: &World, payer: &Wallet, id: &ChannelId) {
    let locktime = payer.channel(id).unwrap().locktime.to_consensus_u32();
    world.mine(locktime.saturating_sub(world.regtest.node().tip().await.unwrap().height)).await;
}

/// The backup of a payer that proposes, and is lost before the operator answers that the channel is there.
async fn backup_without_an_answer(world: &World, payer: &Wallet, invite: &Invite, request: ProposeRequest) -> String {
    let operator = world.regtest.operator().await;
    operator.faults().always(Call::FinalizeTx, Action::KeepAnswer);
    let before = payer.channels().unwrap().len();
    let proposing = tokio::spawn({
        let (payer, invite) = (payer.clone(), invite.clone());
        async move { payer.propose(&invite, &request).await.is_ok() }
    });
    eventually("the answer that is kept", async || operator.faults().held() > 0).await;
    let backup = payer.backup().unwrap();
    assert_eq!(payer.channels().unwrap().len(), before);
    proposing.abort();
    operator.faults().clear();
    backup
}

/// The operator's last answer to an opening off chain is lost, and then the phone: the journal alone had the terms.
#[tokio::test(flavor = "multi_thread")]
async fn opened_off_chain_without_an_answer() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let backup = backup_without_an_answer(&world, &payer, &invite, request(40_000, FundingChoice::Offchain)).await;

    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    let [id] = report.channels[..] else { panic!("{report:?}") };
    assert_eq!((report.warnings.as_slice(), total(&report.vtxos)), ([].as_slice(), sats(60_000)));
    assert_eq!(receiver.recover_channel(&payer.describe_channel(&id).unwrap()).await.unwrap(), id);
    pass_locktime(&world, &payer, &id).await;
    payer.refund(&id).await.unwrap();
    assert_eq!(payer.balance().await.unwrap().total(), sats(100_000));
}

/// The same in a refund into a new channel.
#[tokio::test(flavor = "multi_thread")]
async fn refunded_into_a_channel_without_an_answer() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let first = ProposeRequest { lifetime: Some(130), ..request(40_000, FundingChoice::Offchain) };
    let old = payer.propose(&invite, &first).await.unwrap().channel_id.unwrap();
    pass_locktime(&world, &payer, &old).await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let backup = backup_without_an_answer(&world, &payer, &invite, request(30_000, FundingChoice::Refund(old))).await;

    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    assert!(report.warnings.is_empty() && report.channels.len() == 2, "{report:?}");
    let new = report.channels.into_iter().find(|id| *id != old).unwrap();
    let shown = [old, new].map(|id| payer.channel(&id).unwrap());
    assert_eq!(shown.each_ref().map(|info| info.state), [ChannelState::Refunded, ChannelState::Open]);
    assert_eq!((shown[1].capacity, payer.balance().await.unwrap().total()), (sats(30_000), sats(70_000)));
}

/// The row of a channel is damaged in the file, and an entry of the journal: everything else is saved.
#[tokio::test(flavor = "multi_thread")]
async fn made_of_a_damaged_file() {
    let (world, payer, receiver, damaged) = opened(Unit::Blocks).await;
    let sound = world.open(&payer, &receiver, 20_000).await;
    let file = rusqlite::Connection::open(world.path("receiver")).unwrap();
    let sql = "UPDATE channel_rare SET authorisation = x'ff' WHERE n = (SELECT n FROM channels WHERE id = ?1)";
    assert_eq!(file.execute(sql, [damaged.0]), Ok(1));
    file.execute("INSERT INTO flows VALUES (randomblob(32), 'open-receiver', 'proposed', x'ff', 1, 1)", []).unwrap();
    drop(file);
    let backup = receiver.backup().unwrap();
    let alone = receiver.channel_backup(&damaged);
    assert!(matches!(*alone.unwrap_err(), WalletError::Store(StoreError::Corrupt { .. })));

    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert_eq!((report.channels.as_slice(), report.warnings.as_slice()), ([sound].as_slice(), [].as_slice()));
    assert_eq!(receiver.recover_channel(&payer.describe_channel(&damaged).unwrap()).await.unwrap(), damaged);
}

/// The backup was made of a file in which the branch was damaged: the operator has it, once it shows the true one.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_the_backup_lacks() {
    let (world, payer, _, id) = opened(Unit::Blocks).await;
    let file = rusqlite::Connection::open(world.path("payer")).unwrap();
    assert!(file.execute("UPDATE branches SET data = x'ff'", []).unwrap() > 0);
    drop(file);
    let backup = payer.backup().unwrap();
    world.regtest.operator().await.faults().turn(Knob::WrongVirtualSignatures);
    let (payer, report) = lose(&world, "payer", payer, Some(&backup)).await;
    let [RestoreWarning::ChannelNotSeen { channel_id, .. }, RestoreWarning::BranchMissing { .. }] =
        &report.warnings[..]
    else {
        panic!("{:?}", report.warnings);
    };
    assert_eq!(*channel_id, id);
    assert!(payer.exit_quote(&id, None).await.is_err());
    world.regtest.operator().await.faults().clear();
    assert_eq!(payer.maintain().await.unwrap().kept, 2);
    world.regtest.stop_operator().await;
    payer.exit_quote(&id, None).await.unwrap();
    payer.close().unwrap();

    world.regtest.start_operator().await.unwrap();
    let (payer, report) = restore(&world, "payer", "newer", Some(&backup)).await.unwrap();
    assert_eq!(report.warnings, []);
    world.regtest.stop_operator().await;
    payer.exit_quote(&id, None).await.unwrap();
}

/// The branches in the file are damaged, and the operator is gone: the backup has them.
#[tokio::test(flavor = "multi_thread")]
async fn into_a_damaged_file() {
    let (world, payer, _, id) = opened(Unit::Blocks).await;
    payer.maintain().await.unwrap();
    let backup = payer.backup().unwrap();
    payer.close().unwrap();
    let file = rusqlite::Connection::open(world.path("payer")).unwrap();
    assert!(file.execute("UPDATE branches SET data = x'ff'", []).unwrap() >= 2);
    drop(file);
    world.regtest.stop_operator().await;
    let (payer, report) =
        Wallet::restore(world.config("payer"), &World::mnemonic("payer"), Some(&backup)).await.unwrap();
    assert!(matches!(report.warnings[..], [RestoreWarning::OperatorAway { .. }]), "{:?}", report.warnings);
    assert_eq!(report.channels, [id]);
    assert_eq!(payer.exit_coins().await.unwrap().len(), 1);
    payer.exit_quote(&id, None).await.unwrap();
}

/// One channel's row is damaged: it is told of, and the backup's other channel comes back.
#[tokio::test(flavor = "multi_thread")]
async fn into_a_file_with_a_damaged_channel() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let other = world.open(&payer, &receiver, 20_000).await;
    let backup = receiver.backup().unwrap();
    receiver.close().unwrap();
    let file = rusqlite::Connection::open(world.path("receiver")).unwrap();
    let damage = "UPDATE channel_rare SET authorisation = x'ff' WHERE n = (SELECT n FROM channels WHERE id = ?1)";
    assert_eq!(file.execute(damage, [id.0]).unwrap(), 1);
    drop(file);
    let (receiver, report) =
        Wallet::restore(world.config("receiver"), &World::mnemonic("receiver"), Some(&backup)).await.unwrap();
    let damaged = report
        .warnings
        .iter()
        .any(|warning| matches!(warning, RestoreWarning::ChannelNotSeen { channel_id, .. } if *channel_id == id));
    assert!(damaged, "{:?}", report.warnings);
    assert_eq!(receiver.channels().unwrap().into_iter().map(|info| info.id).collect::<Vec<_>>(), [other]);
}

/// Signatures that were damaged in the file are healed by the same payment, shown once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_signature() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    pay(&payer, &receiver, &id, 9_000, "all there is");
    receiver.close().unwrap();
    let file = rusqlite::Connection::open(world.path("receiver")).unwrap();
    let damage = "UPDATE channel_hot SET ark_signature = zeroblob(64), exit_signature = zeroblob(64) WHERE id = ?1";
    assert_eq!(file.execute(damage, [id.0]).unwrap(), 1);
    drop(file);
    let receiver = world.wallet("receiver").await;
    assert_ne!(latest(&receiver, &id).update, latest(&payer, &id).update);
    let received = receiver.receive(&latest(&payer, &id)).unwrap();
    assert_eq!((received.amount, received.increase), (sats(9_000), sats(0)));
    assert_eq!(latest(&receiver, &id).update, latest(&payer, &id).update);
    receiver.close_channel(&id).await.unwrap();
}

/// The backup is made while the batch waits for its block; the channel opens on the new phone.
#[tokio::test(flavor = "multi_thread")]
async fn confirmed_after_the_backup() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let (_, accept) = world.agree(&payer, &receiver, 40_000).await;
    let id = payer.open_channel(&accept).await.unwrap();
    eventually("the receiver's channel", async || receiver.channel(&id).is_ok()).await;
    assert_eq!(receiver.channel(&id).unwrap().state, ChannelState::Confirming);
    let backup = receiver.backup().unwrap();
    let (receiver, report) = lose(&world, "receiver", receiver, Some(&backup)).await;
    assert_eq!((report.channels, receiver.channel(&id).unwrap().state), (vec![id], ChannelState::Confirming));
    world.confirm(&payer, &receiver, &id).await;
    let payment = payer.pay(&id, sats(5_000), "one", None).unwrap();
    assert_eq!(receiver.receive(&hand_over(&payment.message)).unwrap().amount, sats(5_000));
    receiver.close_channel(&id).await.unwrap();
}

/// The key is where the documents say, of no other use, and there is no secret in what it opens.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_it() {
    use bitcoin::bip32::{ChildNumber, Xpriv};
    use virtual_channels::channel::backup::{StaticBackup, open};
    use virtual_channels::wallet::{KeyUse, Keys};
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    world.open(&payer, &receiver, 40_000).await;
    let text = payer.backup().unwrap();
    let words = World::mnemonic("payer");
    let seed = words.parse::<bip39::Mnemonic>().unwrap().to_seed("");
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let path = [1120, 1, 5, 0].map(|index| ChildNumber::from_hardened_idx(index).unwrap());
    let master = Xpriv::new_master(bitcoin::Network::Regtest, &seed).unwrap();
    let key = master.derive_priv(&secp, &path).unwrap().private_key.secret_bytes();
    let plain = open(&key, &text).unwrap().expect("this is the key");
    assert_eq!(StaticBackup::decode(&plain).unwrap().channels.len(), 1);
    let mut secrets = vec![seed[..32].to_vec(), seed[32..].to_vec(), words.into_bytes(), key.to_vec()];
    let keys = Keys::from_mnemonic(&World::mnemonic("payer"), Network::Regtest).unwrap();
    let uses = [KeyUse::Vtxo, KeyUse::Boarding, KeyUse::Payer, KeyUse::Receiver, KeyUse::Cosigner, KeyUse::Chain];
    for index in 0..30 {
        secrets.extend(uses.map(|key_use| keys.keypair(key_use, index).unwrap().secret_bytes().to_vec()));
    }
    assert!(!secrets[4..].contains(&key.to_vec()), "a key of its own");
    for secret in secrets {
        assert_eq!(memchr::memmem::find(&plain, &secret), None);
    }
}

/// The payer says that nothing was paid, and asks for the channel back: a receiver that has lost its updates signs nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_receiver_gives_nothing_back() {
    let (world, payer, receiver, id) = opened(Unit::Blocks).await;
    let [for_payer, for_receiver] = [&payer, &receiver].map(|wallet| wallet.backup().unwrap());
    pay(&payer, &receiver, &id, 12_000, "one");
    let update = latest(&payer, &id);
    // A payer that has forgotten, or says so.
    let (payer, _) = lose(&world, "payer", payer, Some(&for_payer)).await;
    let (receiver, _) = lose(&world, "receiver", receiver, Some(&for_receiver)).await;
    let request = payer.request_close(&id).unwrap();
    assert!(matches!(refused(receiver.grant_close(&request).await), WalletError::CatchUpNeeded { .. }));
    assert!(matches!(refused(receiver.release_channel(&id).await), WalletError::CatchUpNeeded { .. }));
    assert_eq!(receiver.receive(&update).unwrap().amount, sats(12_000));
    assert!(matches!(refused(receiver.grant_close(&request).await), WalletError::Paid { .. }));
    receiver.close_channel(&id).await.unwrap();
    eventually("paid", async || receiver.balance().await.is_ok_and(|b| b.preconfirmed == sats(12_000))).await;
}
