//! The node against a real bitcoind.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use regtest::{Node, NodeError};

/// Anyone can spend it: P2WSH of OP_TRUE.
fn free_script() -> ScriptBuf {
    ScriptBuf::new_p2wsh(&ScriptBuf::from(vec![0x51]).wscript_hash())
}

fn free_input(previous_output: OutPoint) -> TxIn {
    let witness = Witness::from_slice(&[vec![0x51]]);
    TxIn { previous_output, script_sig: ScriptBuf::new(), sequence: Sequence::MAX, witness }
}

fn free_output(sats: u64) -> TxOut {
    TxOut { value: Amount::from_sat(sats), script_pubkey: free_script() }
}

fn anchor() -> TxOut {
    TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from(regtest::node::P2A.to_vec()) }
}

fn first_output(tx: &Transaction) -> OutPoint {
    OutPoint { txid: tx.compute_txid(), vout: 0 }
}

#[tokio::test]
async fn a_new_chain_has_coins_and_the_time_of_now() -> Result<(), NodeError> {
    let began = std::time::Instant::now();
    let node = Node::start().await?;
    eprintln!("started in {:?}", began.elapsed());
    let tip = node.tip().await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    assert_eq!(tip.height, 180);
    assert!(tip.time <= now && now - tip.time < 30, "tip at {}, now {now}", tip.time);
    assert!(now - tip.median_time < 60, "median at {}, now {now}", tip.median_time);
    assert_eq!(node.block_hash(180).await?, Some(tip.hash));
    assert_eq!(node.block_hash(181).await?, None);
    Ok(())
}

#[tokio::test]
async fn pays_side_by_side_from_different_coins() -> Result<(), NodeError> {
    let node = Node::start().await?;
    let payments: Vec<_> = (1..=80)
        .map(|n| {
            let node = node.clone();
            tokio::spawn(async move { node.pay(&[free_output(n * 1000), free_output(5000)]).await })
        })
        .collect();
    let mut spent = HashSet::new();
    let mut txs = vec![];
    for payment in payments {
        let tx = payment.await.expect("no panic")?;
        assert!(tx.input.iter().all(|i| spent.insert(i.previous_output)), "a coin was taken twice");
        txs.push(tx);
    }
    assert_eq!(node.utxo(&first_output(&txs[0])).await?, Some(free_output(1000)));
    assert_eq!(node.transaction(&txs[0].compute_txid()).await?, Some((txs[0].clone(), None)));
    let blocks = node.generate(1).await?;
    let (_, place) = node.transaction(&txs[0].compute_txid()).await?.expect("mined");
    let place = place.expect("mined");
    assert_eq!((place.height, place.block_hash), (181, blocks[0]));
    let (hash, time, mined) = node.block_transactions(181).await?;
    assert_eq!((hash, time, mined.len()), (blocks[0], place.block_time, 81));
    Ok(())
}

#[tokio::test]
async fn more_than_the_faucet_has_is_refused_with_figures() -> Result<(), NodeError> {
    let node = Node::start().await?;
    let error = node.pay(&[free_output(10_000 * 100_000_000)]).await.expect_err("too much");
    assert!(matches!(error, NodeError::Funds { coins: 61, .. }), "{error}");
    node.pay(&[free_output(120 * 100_000_000)]).await?;
    Ok(())
}

#[tokio::test]
async fn a_transaction_without_fee_is_paid_for_by_its_child() -> Result<(), NodeError> {
    let node = Node::start().await?;
    let funding = node.pay(&[free_output(50_000)]).await?;
    node.generate(1).await?;
    let parent = Transaction {
        version: Version(3),
        lock_time: LockTime::ZERO,
        input: vec![free_input(first_output(&funding))],
        output: vec![free_output(50_000), anchor()],
    };
    let refused = node.broadcast(&parent).await.expect_err("no fee");
    assert_eq!(refused.code(), Some(-26), "{refused}");
    let answer = node.cpfp(&parent, Amount::from_sat(2_000)).await?;
    assert_eq!(answer["package_msg"], "success", "{answer}");
    node.generate(1).await?;
    let (_, place) = node.transaction(&parent.compute_txid()).await?.expect("known");
    assert_eq!(place.expect("mined").height, 182);
    // Without an anchor there is nothing to hang a child on.
    assert!(matches!(node.cpfp(&funding, Amount::from_sat(500)).await, Err(NodeError::NoAnchor(_))));
    Ok(())
}

#[tokio::test]
async fn a_reorg_gives_transactions_back_to_the_mempool() -> Result<(), NodeError> {
    let node = Node::start().await?;
    let tx = node.pay(&[free_output(50_000)]).await?;
    let old = node.generate(1).await?;
    node.invalidate(&old[0]).await?;
    assert_eq!(node.transaction(&tx.compute_txid()).await?, Some((tx.clone(), None)));
    // The coinbase of a block that lost is nowhere.
    let lost = node.block(old[0]).await?.txdata.remove(0);
    assert_eq!(node.transaction(&lost.compute_txid()).await?, None);
    let new = node.generate(2).await?;
    assert!(!new.contains(&old[0]));
    let (_, place) = node.transaction(&tx.compute_txid()).await?.expect("known");
    assert_eq!(place.expect("mined again").block_hash, new[0]);
    let newer = node.reorg(2).await?;
    assert_eq!((newer.len(), node.tip().await?.height), (3, 183));
    node.pay(&[free_output(50_000)]).await?;
    Ok(())
}

#[tokio::test]
async fn lock_times_follow_blocks_and_the_moved_clock() -> Result<(), NodeError> {
    let node = Node::start().await?;
    let funding = node.pay(&[free_output(50_000)]).await?;
    node.generate(1).await?;
    let mut input = free_input(first_output(&funding));
    input.sequence = Sequence::from_height(3);
    let mut tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: vec![input],
        output: vec![free_output(40_000)],
    };
    assert_eq!(node.test_accept(&tx).await?.as_deref(), Some("non-BIP68-final"));
    node.generate(2).await?;
    assert_eq!(node.test_accept(&tx).await?, None);

    let later = node.tip().await?.time + 86_400;
    tx.lock_time = LockTime::from_time(later as u32).expect("a time");
    assert_eq!(node.test_accept(&tx).await?.as_deref(), Some("non-final"));
    node.generate_after(11, 86_500).await?;
    assert_eq!(node.test_accept(&tx).await?, None);
    node.broadcast(&tx).await?;
    // The clock stays where it was moved to, and nothing that waits is dropped because of it.
    node.generate_after(1, 90 * 86_400).await?;
    let tip = node.tip().await?;
    assert!(tip.time >= later + 90 * 86_400);
    assert_eq!(node.utxo(&first_output(&tx)).await?, Some(free_output(40_000)));
    node.generate(1).await?;
    assert!(node.tip().await?.time >= tip.time);
    Ok(())
}

#[tokio::test]
async fn nodes_stand_side_by_side_and_leave_nothing_behind() -> Result<(), NodeError> {
    let (a, b, c) = tokio::try_join!(Node::start(), Node::start(), Node::start())?;
    let tx = a.pay(&[free_output(1000)]).await?;
    assert_eq!(b.transaction(&tx.compute_txid()).await?, None);
    assert_ne!(b.tip().await?.hash, c.generate(1).await?[0]);
    let folder = a.folder();
    assert!(folder.exists());
    drop(a);
    assert!(!folder.exists());
    assert_eq!(c.tip().await?.height, 181);
    Ok(())
}
