//! Others try to cheat: a wallet that does nothing but its maintenance brings the money home.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Txid};
use regtest::operator::{Claim, Unit};
use virtual_channels::channel::ChannelId;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitReason, MaintenanceTask};

use crate::case::{Case, PAID, maintained, reasons, told};
use crate::world::eventually;

async fn the_payer_unrolls(unit: Unit) {
    let case = Case::new(unit).await;
    assert!(maintained(&case.receiver).await.exits.is_empty());
    case.publish(case.branch().nodes.into_iter().map(|node| node.tx)).await;
    let unrolled_at = case.height().await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Unrolled]);
    assert_eq!(told(&case.receiver, |kind| *kind == EventKind::ChannelUnrolled), 1);
    // The exit pays for itself: no other coins are touched.
    case.has_on_chain(&case.receiver, PAID - 1_500, PAID).await;
    let d2 = case.receiver.channel(&case.id).unwrap().d2;
    if unit == Unit::Blocks {
        assert!(case.height().await < unrolled_at + d2.value(), "before the payer could take it");
    }
    // The payer collects its part of the same transaction.
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_unrolls_in_blocks() {
    the_payer_unrolls(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_unrolls_in_seconds() {
    the_payer_unrolls(Unit::Seconds).await;
}

/// A reorganisation takes the batch back. Before the channel has opened again the payer unrolls it.
async fn unrolled_before_it_opens_again(case: &Case) {
    let node = case.world.regtest.node();
    let commitment = case.branch().nodes[0].tx.input[0].previous_output.txid;
    let (_, confirmed) = node.transaction(&commitment).await.unwrap().unwrap();
    let block = node.block_hash(confirmed.unwrap().height).await.unwrap().unwrap();
    node.invalidate(&block).await.unwrap();
    eventually("the batch is gone", async || {
        case.receiver.watch(&case.id).await.is_ok_and(|report| report.state == ChannelState::Confirming)
    })
    .await;
    case.world.mine(1).await;
    case.publish(case.branch().nodes.into_iter().map(|node| node.tx)).await;
    // The operator has seen it, too.
    let claim = Claim { unrolled: Some(true), ..Claim::default() };
    let funding = case.receiver.channel(&case.id).unwrap().funding;
    case.world.regtest.operator().await.faults().claim(funding, claim);
}

/// Nothing opens what is on chain; that keeps the receiver from nothing.
#[tokio::test(flavor = "multi_thread")]
async fn unrolled_while_it_confirms() {
    let case = Case::new(Unit::Blocks).await;
    unrolled_before_it_opens_again(&case).await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Unrolled]);
    case.has_on_chain(&case.receiver, PAID - 1_500, PAID).await;

    let case = Case::unpaid(Unit::Blocks).await;
    unrolled_before_it_opens_again(&case).await;
    maintained(&case.receiver).await;
    assert_eq!(case.state(&case.receiver), ChannelState::Refunded);
}

/// The coin that a preconfirmed channel was made from appears on chain: the receiver goes on from there at once, before
/// the operator or the payer takes what follows.
#[tokio::test(flavor = "multi_thread")]
async fn an_ancestor_is_unrolled() {
    let case = Case::preconfirmed(Unit::Blocks).await;
    assert!(maintained(&case.receiver).await.exits.is_empty());
    let tree = case.branch().nodes.into_iter().filter(|node| !node.cosigners.is_empty());
    case.world.regtest.stop_operator().await;
    case.publish(tree.map(|node| node.tx)).await;
    let funding = case.receiver.channel(&case.id).unwrap().funding;
    assert_eq!(case.world.regtest.node().utxo(&funding).await.unwrap(), None);
    let first = maintained(&case.receiver).await;
    assert_eq!(first.exits.len(), 1);
    assert_eq!(first.exits[0].reason, ExitReason::AncestorUnrolled);
    case.world.mine(1).await;
    maintained(&case.receiver).await;
    case.world.mine(1).await;
    assert!(case.world.regtest.node().utxo(&funding).await.unwrap().is_some(), "checkpoint and ark transaction");
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::AncestorUnrolled]);
}

/// The operator's books show the channel spent by a transaction that the receiver never signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_spends_it_in_the_books() {
    let case = Case::new(Unit::Blocks).await;
    let funding = case.receiver.channel(&case.id).unwrap().funding;
    let stranger = Txid::from_byte_array([7; 32]).to_string();
    let claim = Claim { spent: Some(true), ark_txid: Some(stranger.parse().unwrap()), ..Claim::default() };
    case.world.regtest.operator().await.faults().claim(funding, claim);
    let report = maintained(&case.receiver).await;
    assert_eq!(report.exits.len(), 1);
    assert_eq!(report.exits[0].reason, ExitReason::HostileSpend);
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::HostileSpend]);
}

/// The chain server says nothing more when the channel is looked at again: that is this channel's error, and the next run's.
#[tokio::test(flavor = "multi_thread")]
async fn the_chain_server_fails_at_the_second_look() {
    let case = Case::new(Unit::Blocks).await;
    case.publish(case.branch().nodes.into_iter().map(|node| node.tx)).await;
    let tip = case.world.regtest.node().tip().await.unwrap();
    for answer in [tip.hash.to_string(), "nonsense".into()] {
        case.world.regtest.esplora_lies_once("/blocks/tip/hash", answer);
    }
    let report = maintained(&case.receiver).await;
    assert_eq!(case.world.regtest.esplora_lies_left(), 0);
    let failed: Vec<_> = report.errors.iter().map(|error| (error.task, error.channel_id)).collect();
    assert_eq!(failed, [(MaintenanceTask::Look, Some(case.id))]);
    assert_eq!(report.exits, []);
    assert_eq!(maintained(&case.receiver).await.exits.len(), 1);
}

/// The branch of one channel is damaged in the file: the others are looked at, and the operator has it.
#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_branch() {
    let case = Case::new(Unit::Blocks).await;
    case.world.open(&case.payer, &case.receiver, 10_000).await;
    let file = rusqlite::Connection::open(case.world.path("receiver")).unwrap();
    let funding = case.receiver.channel(&case.id).unwrap().funding;
    let key = bitcoin::consensus::serialize(&funding);
    let changed = file.execute("UPDATE branches SET data = x'ff' WHERE outpoint = ?1", [key]).unwrap();
    assert_eq!(changed, 1);
    drop(file);
    let report = maintained(&case.receiver).await;
    let failed: Vec<_> = report.errors.iter().map(|error| (error.task, error.channel_id)).collect();
    assert_eq!((failed.as_slice(), report.kept), ([(MaintenanceTask::Look, Some(case.id))].as_slice(), 1));
    let report = maintained(&case.receiver).await;
    assert_eq!((report.errors.len(), report.kept), (0, 0), "{:?}", report.errors);
}

/// Nothing was received: there is nothing to defend.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_without_money_is_not_worth_a_fee() {
    let case = Case::unpaid(Unit::Blocks).await;
    case.publish(case.branch().nodes.into_iter().map(|node| node.tx)).await;
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty() && report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(case.state(&case.receiver), ChannelState::Refunded);
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Refunded);
}

/// A chain server that lies once: nothing is done that cannot be undone.
#[tokio::test(flavor = "multi_thread")]
async fn one_lie_is_not_enough() {
    let case = Case::new(Unit::Blocks).await;
    let branch = case.branch();
    let tip = case.world.regtest.node().tip().await.unwrap();
    let status = format!(
        r#"{{"confirmed":true,"block_height":{},"block_hash":"{}","block_time":{}}}"#,
        tip.height, tip.hash, tip.time
    );
    for node in &branch.nodes {
        let OutPoint { txid, vout } = node.tx.input[0].previous_output;
        let body = format!(r#"{{"spent":true,"txid":"{}","vin":0,"status":{status}}}"#, node.tx.compute_txid());
        case.world.regtest.esplora_lies_once(format!("/tx/{txid}/outspend/{vout}"), body);
    }
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty() && report.changed.is_empty(), "{report:?}");
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(case.world.regtest.esplora_lies_left(), 0, "it was heard");
    // Nor a height far ahead, once.
    let path = format!("/block/{}", tip.hash);
    let info = case.receiver.channel(&case.id).unwrap();
    let block = format!(
        r#"{{"id":"{}","height":{},"version":1,"timestamp":{},"tx_count":1,"size":1,"weight":1,"merkle_root":"{}","previousblockhash":null,"mediantime":{},"nonce":0,"bits":0,"difficulty":0.0}}"#,
        tip.hash,
        info.exit_by + 1,
        tip.time,
        Txid::all_zeros(),
        tip.median_time,
    );
    case.world.regtest.stop_operator().await;
    case.world.regtest.esplora_lies_once(path, block);
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty() && report.changed.is_empty(), "{report:?}");
    assert_eq!(case.world.regtest.esplora_lies_left(), 0, "it was heard");
    assert_eq!(case.state(&case.receiver), ChannelState::Open);
}

/// Three channels are damaged in the file, each another way: the fourth is listed, looked at and closed in time.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_channels() {
    let case = Case::new(Unit::Blocks).await;
    let damaged = [
        case.world.open(&case.payer, &case.receiver, 6_000).await,
        case.world.open(&case.payer, &case.receiver, 6_000).await,
        case.world.open(&case.payer, &case.receiver, 6_000).await,
    ];
    let file = rusqlite::Connection::open(case.world.path("receiver")).unwrap();
    let changed = |sql: &str, id: &ChannelId| assert_eq!(file.execute(sql, [id.0]).unwrap(), 1);
    // Nothing but a damaged disk gets round the triggers.
    file.execute_batch("DROP TRIGGER channels_never_change").unwrap();
    changed("UPDATE channels SET terms = x'ff' WHERE id = ?1", &damaged[0]);
    changed(
        "UPDATE channel_rare SET authorisation = x'ff' WHERE n = (SELECT n FROM channels WHERE id = ?1)",
        &damaged[1],
    );
    changed("UPDATE channels SET key_index = 4294967295 WHERE id = ?1", &damaged[2]);
    drop(file);
    // As in another process, where nothing is in memory yet.
    let receiver = case.world.wallet("receiver").await;
    let listed = || receiver.channels().unwrap().into_iter().map(|info| info.id).collect::<Vec<_>>();
    assert_eq!(listed(), [case.id]);
    assert!(damaged.iter().all(|id| receiver.channel(id).is_err()));
    assert!(receiver.balance().await.is_ok());

    case.mine_to(receiver.channel(&case.id).unwrap().close_by).await;
    let report = maintained(&receiver).await;
    let mut failed: Vec<_> = report.errors.iter().map(|error| (error.task, error.channel_id)).collect();
    failed.sort_by_key(|(_, id)| *id);
    let mut expected = damaged.map(|id| (MaintenanceTask::Look, Some(id)));
    expected.sort_by_key(|(_, id)| *id);
    assert_eq!(failed, expected, "{:?}", report.errors);
    assert_eq!(receiver.channel(&case.id).unwrap().state, ChannelState::Closed);
    assert!(report.next_run.is_some());
}

/// The journal's entry of an exit, and what is remembered of those that ended, are damaged: the exit begins anew, and ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_exit() {
    let case = Case::new(Unit::Blocks).await;
    case.publish(case.branch().nodes.into_iter().map(|node| node.tx)).await;
    assert_eq!(maintained(&case.receiver).await.exits.len(), 1);
    let file = rusqlite::Connection::open(case.world.path("receiver")).unwrap();
    assert_eq!(file.execute("UPDATE flows SET data = x'ff' WHERE kind = 'exit'", []).unwrap(), 1);
    file.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('ended-exits', x'ff')", []).unwrap();
    drop(file);
    assert_eq!(case.receiver.exits().unwrap(), []);
    assert_eq!(maintained(&case.receiver).await.exits.len(), 1);
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    case.has_on_chain(&case.receiver, PAID - 1_500, PAID).await;
}
