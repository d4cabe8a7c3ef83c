//! Esplora over a real bitcoind, asked by the client library that wallets use.

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Address, Amount, Network, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};
use esplora_client::{AsyncClient, Builder};
use regtest::operator::Unit;
use regtest::{Mode, Node, Regtest};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Spendable by anyone who knows `n`: P2WSH of a number, OP_DROP, OP_TRUE, so that every test has addresses of its own.
fn witness_script(n: u8) -> ScriptBuf {
    ScriptBuf::from(vec![0x01, 100 + n, 0x75, 0x51])
}

fn script(n: u8) -> ScriptBuf {
    ScriptBuf::new_p2wsh(&witness_script(n).wscript_hash())
}

fn address(n: u8) -> Address {
    Address::from_script(&script(n), Network::Regtest).expect("a witness program")
}

fn output(n: u8, sats: u64) -> TxOut {
    TxOut { value: Amount::from_sat(sats), script_pubkey: script(n) }
}

fn spend(n: u8, from: &Transaction, vout: u32, output: Vec<TxOut>) -> Transaction {
    let previous_output = OutPoint { txid: from.compute_txid(), vout };
    let witness = Witness::from_slice(&[witness_script(n).to_bytes()]);
    let input = vec![TxIn { previous_output, script_sig: ScriptBuf::new(), sequence: Sequence::MAX, witness }];
    Transaction { version: Version(3), lock_time: LockTime::ZERO, input, output }
}

async fn start() -> Result<(Regtest, Node, AsyncClient), Box<dyn std::error::Error>> {
    let regtest = Regtest::start(Unit::Blocks).await?;
    let client = Builder::new(regtest.esplora_url()).timeout(std::time::Duration::from_secs(10)).build_async()?;
    let node = regtest.node().clone();
    Ok((regtest, node, client))
}

#[tokio::test]
async fn blocks() -> Outcome {
    let (_regtest, node, client) = start().await?;
    let tip = node.tip().await?;
    assert_eq!((client.get_height().await?, client.get_tip_hash().await?), (tip.height, tip.hash));
    let blocks = client.get_block_infos(None).await?;
    assert_eq!(blocks.len(), 10);
    assert_eq!((blocks[0].id, blocks[0].height, blocks[0].mediantime), (tip.hash, tip.height, tip.median_time));
    assert_eq!(client.get_block_infos(Some(3)).await?.len(), 4);
    let info = client.get_block_info(&tip.hash).await?;
    assert_eq!((info.timestamp, info.tx_count), (tip.time, 2));
    assert_eq!(client.get_header_by_hash(&tip.hash).await?.block_hash(), tip.hash);
    assert_eq!(client.get_block_hash(7).await?, node.block_hash(7).await?.expect("mined"));
    assert!(client.get_block_hash(tip.height + 1).await.is_err());
    assert_eq!(client.get_block_by_hash(&tip.hash).await?, Some(node.block(tip.hash).await?));
    assert!(client.get_fee_estimates().await?.contains_key(&1));
    Ok(())
}

#[tokio::test]
async fn transactions_and_coins_from_the_mempool_into_the_chain() -> Outcome {
    let (_regtest, node, client) = start().await?;
    let height = node.tip().await?.height;
    let paid = node.pay(&[output(1, 10_000), output(2, 20_000)]).await?;
    let txid = paid.compute_txid();
    let coins = client.get_address_utxos(&address(1)).await?;
    assert_eq!(coins.len(), 1);
    assert_eq!((coins[0].txid, coins[0].vout, coins[0].value.to_sat()), (txid, 0, 10_000));
    assert!(!coins[0].status.confirmed);
    assert!(!client.get_tx_status(&txid).await?.confirmed);
    let info = client.get_tx_info(&txid).await?.expect("in the mempool");
    assert_eq!(info.to_tx(), paid);
    assert!(info.fee > Amount::ZERO && info.vin[0].prevout.is_some());

    let block = node.generate(1).await?[0];
    let status = client.get_tx_status(&txid).await?;
    assert_eq!((status.confirmed, status.block_height, status.block_hash), (true, Some(height + 1), Some(block)));
    assert_eq!(client.get_scripthash_utxos(&script(2)).await?[0].status.block_height, Some(height + 1));
    assert_eq!(client.get_tx(&txid).await?, Some(paid.clone()));

    let next = spend(1, &paid, 0, vec![output(3, 9_000)]);
    assert_eq!(client.broadcast(&next).await?, next.compute_txid());
    assert!(client.get_address_utxos(&address(1)).await?.is_empty());
    let spent = client.get_output_status(&txid, 0).await?.expect("known");
    assert_eq!((spent.spent, spent.txid, spent.vin), (true, Some(next.compute_txid()), Some(0)));
    assert!(!spent.status.expect("a spender").confirmed);
    assert!(!client.get_output_status(&txid, 1).await?.expect("known").spent);
    let history = client.get_scripthash_txs(&script(1), None).await?;
    assert_eq!(history.iter().map(|tx| tx.txid).collect::<Vec<_>>(), [next.compute_txid(), txid]);
    assert_eq!(client.get_address_txs(&address(1), Some(txid)).await?, []);

    let refused = client.broadcast(&spend(1, &paid, 0, vec![output(3, 9_500)])).await.expect_err("a double spend");
    assert!(refused.to_string().contains("-26"), "{refused}");
    let unknown = bitcoin::Txid::from_raw_hash(bitcoin::hashes::Hash::all_zeros());
    assert_eq!(client.get_tx(&unknown).await?, None);
    assert!(!client.get_tx_status(&unknown).await?.confirmed);
    Ok(())
}

#[tokio::test]
async fn long_histories_come_in_pages() -> Outcome {
    let (_regtest, node, client) = start().await?;
    for n in 1..=30 {
        node.pay(&[output(1, 1_000 + n)]).await?;
        if n % 10 == 0 {
            node.generate(1).await?;
        }
    }
    let first = client.get_address_txs(&address(1), None).await?;
    assert_eq!(first.len(), 25);
    let second = client.get_address_txs(&address(1), Some(first[24].txid)).await?;
    assert_eq!(second.len(), 5);
    assert!(second.iter().all(|tx| !first.contains(tx)));
    assert_eq!(client.get_address_utxos(&address(1)).await?.len(), 30);
    Ok(())
}

/// Up to 500 coins of an address are listed; beyond that none are, but its history is.
#[tokio::test]
async fn too_many_coins_are_not_listed() -> Outcome {
    let (_regtest, node, client) = start().await?;
    node.pay(&vec![output(1, 330); 500]).await?;
    node.generate(1).await?;
    assert_eq!(client.get_address_utxos(&address(1)).await?.len(), 500);
    node.pay(&[output(1, 330)]).await?;
    let refused = client.get_address_utxos(&address(1)).await.expect_err("one too many");
    assert!(refused.to_string().contains("400"), "{refused}");
    assert_eq!(client.get_address_txs(&address(1), None).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_package_and_a_replacement() -> Outcome {
    let (_regtest, node, client) = start().await?;
    let paid = node.pay(&[output(1, 50_000), output(2, 50_000)]).await?;
    node.generate(1).await?;
    let anchor = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from(regtest::node::P2A.to_vec()) };
    let parent = spend(1, &paid, 0, vec![output(3, 50_000), anchor]);
    let child = |fee: u64| {
        let mut tx = spend(2, &paid, 1, vec![output(4, 50_000 - fee)]);
        let previous_output = OutPoint { txid: parent.compute_txid(), vout: 1 };
        tx.input.push(TxIn { previous_output, sequence: Sequence::MAX, ..Default::default() });
        tx
    };
    let answer = client.submit_package(&[parent.clone(), child(2_000)], None, None).await?;
    assert_eq!((answer.package_msg.as_str(), answer.tx_results.len()), ("success", 2));
    assert_eq!(client.get_address_utxos(&address(4)).await?[0].value.to_sat(), 48_000);
    client.submit_package(&[parent.clone(), child(8_000)], None, None).await?;
    let coins = client.get_address_utxos(&address(4)).await?;
    assert_eq!((coins.len(), coins[0].value.to_sat()), (1, 42_000));
    assert_eq!(client.get_tx(&child(2_000).compute_txid()).await?, None);
    node.generate(1).await?;
    assert!(client.get_tx_status(&parent.compute_txid()).await?.confirmed);
    Ok(())
}

#[tokio::test]
async fn a_reorg_is_followed() -> Outcome {
    let (_regtest, node, client) = start().await?;
    let paid = node.pay(&[output(1, 50_000)]).await?;
    let old = node.generate(2).await?;
    assert_eq!(client.get_tx_status(&paid.compute_txid()).await?.block_hash, Some(old[0]));
    node.invalidate(&old[0]).await?;
    assert!(!client.get_tx_status(&paid.compute_txid()).await?.confirmed);
    assert!(!client.get_address_utxos(&address(1)).await?[0].status.confirmed);
    let new = node.generate(3).await?;
    assert_eq!(client.get_tx_status(&paid.compute_txid()).await?.block_hash, Some(new[0]));
    assert_eq!(client.get_tip_hash().await?, new[2]);
    assert!(client.get_block_info(&old[0]).await.is_ok(), "a lost block is still known");
    Ok(())
}

#[tokio::test]
async fn faucet_mining_fees_and_reorgs_over_http() -> Outcome {
    let (regtest, node, client) = start().await?;
    let post = async |path: &str, body: String| -> Result<String, bitreq::Error> {
        let request = bitreq::post(format!("{}{path}", regtest.admin_url()));
        let answer = request.with_body(body).with_timeout(20).send_async().await?;
        Ok(format!("{} {}", answer.status_code, answer.as_str()?))
    };
    let txid = post(&format!("/faucet/{}/50000", address(1)), String::new()).await?;
    let txid = txid.strip_prefix("200 ").expect("ok").parse()?;
    let before = node.tip().await?;
    assert!(post("/mine/11?after=3600", String::new()).await?.starts_with("200 [\""));
    assert!(node.tip().await?.median_time >= before.time + 3600);
    assert_eq!(client.get_tx_status(&txid).await?.block_height, Some(before.height + 1));

    let paid = client.get_tx(&txid).await?.expect("mined");
    let anchor = TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from(regtest::node::P2A.to_vec()) };
    let vout = paid.output.iter().position(|o| o.script_pubkey == script(1)).expect("paid") as u32;
    let parent = spend(1, &paid, vout, vec![output(2, 50_000), anchor]);
    let raw = bitcoin::consensus::encode::serialize_hex(&parent);
    let answer = post("/cpfp", format!(r#"{{"parent":"{raw}","fee":3000}}"#)).await?;
    assert!(answer.starts_with("200") && answer.contains(r#""package_msg":"success""#), "{answer}");
    post("/mine/1", String::new()).await?;
    post("/reorg/1", String::new()).await?;
    assert_eq!(client.get_height().await?, before.height + 13);
    assert!(client.get_tx_status(&parent.compute_txid()).await?.confirmed);

    for wrong in ["/mine/1001", "/mine/x", "/mine/1?after=99999999999", "/faucet/nobody/5", "/reorg/1001"] {
        assert!(post(wrong, String::new()).await?.starts_with("400"), "{wrong}");
    }
    assert!(post("/esplora/hang", String::new()).await?.starts_with("200"));
    assert!(tokio::time::timeout(std::time::Duration::from_millis(500), client.get_height()).await.is_err());
    regtest.set_esplora(Mode::Fail);
    assert!(client.get_height().await.is_err());
    post("/esplora/answer", String::new()).await?;
    assert_eq!(client.get_height().await?, before.height + 13);
    Ok(())
}
