//! The indexer and script subscriptions.

use regtest::operator::wire;

use super::Answers;
use crate::operator_support::{Coin, Party};

pub async fn all(alice: &mut Party, coins: &[Coin], answers: &mut Answers) {
    let script = alice.vtxo_tree().script_pubkey().to_hex_string();
    let outpoint = coins[0].outpoint.to_string();
    let page = |size, index| Some(wire::IndexerPageRequest { size, index });
    let by_script = wire::GetVtxosRequest { scripts: vec![script.clone()], ..Default::default() };
    let by_outpoint = |text: &str| wire::GetVtxosRequest { outpoints: vec![text.into()], ..Default::default() };
    let texts = |text: &str| wire::GetVtxosRequest { scripts: vec![text.into()], ..Default::default() };
    for (name, request) in [
        ("VTXOs of nothing", wire::GetVtxosRequest::default()),
        ("VTXOs of both", wire::GetVtxosRequest { outpoints: vec![outpoint.clone()], ..by_script.clone() }),
        ("VTXOs of text", texts("zz")),
        ("VTXOs of an empty script", texts("")),
        ("VTXOs of another script", texts("0014")),
        ("VTXOs of a bad key", texts(&format!("5120{}", "ff".repeat(32)))),
        ("VTXOs of a bad outpoint", by_outpoint("x")),
        ("VTXOs of a bad txid", by_outpoint("zz:0")),
        ("VTXOs of a bad vout", by_outpoint(&format!("{}:x", "11".repeat(32)))),
        ("VTXOs by an outpoint", by_outpoint(&outpoint)),
        ("page of nothing", wire::GetVtxosRequest { page: page(0, 1), ..by_script.clone() }),
        ("page before the first", wire::GetVtxosRequest { page: page(1, -1), ..by_script.clone() }),
        ("two filters", wire::GetVtxosRequest { spent_only: true, spendable_only: true, ..by_script.clone() }),
        ("time before nothing", wire::GetVtxosRequest { after: -1, ..by_script.clone() }),
        ("time backwards", wire::GetVtxosRequest { after: 10, before: 5, ..by_script.clone() }),
    ] {
        answers.note(name, alice.indexer.get_vtxos(request).await);
    }
    for (size, index) in [(2, 0), (2, 1), (2, 2), (3, 3), (500, 1), (2, 99)] {
        let request = wire::GetVtxosRequest { page: page(size, index), ..by_script.clone() };
        let result = alice.indexer.get_vtxos(request).await;
        let (count, shown) = result.as_ref().map_or((0, None), |r| (r.get_ref().vtxos.len(), r.get_ref().page));
        let shown = shown.map(|p| (p.current, p.next, p.total));
        answers.note(&format!("page {index} of {size}: {count} {shown:?}"), result);
    }
    let chain = |txid: &str| wire::GetVtxoChainRequest {
        outpoint: Some(wire::IndexerOutpoint { txid: txid.into(), vout: 0 }),
        ..Default::default()
    };
    answers.note("chain of nothing", alice.indexer.get_vtxo_chain(wire::GetVtxoChainRequest::default()).await);
    answers.note("chain of text", alice.indexer.get_vtxo_chain(chain("zz")).await);
    answers.note("chain of an unknown VTXO", alice.indexer.get_vtxo_chain(chain(&"11".repeat(32))).await);
    let txs = |txids: &[&str]| wire::GetVirtualTxsRequest {
        txids: txids.iter().map(|t| (*t).to_owned()).collect(),
        ..Default::default()
    };
    answers.note("no virtual transactions", alice.indexer.get_virtual_txs(txs(&[])).await);
    answers.note("virtual transactions of text", alice.indexer.get_virtual_txs(txs(&["zz"])).await);
    let unknown = alice.indexer.get_virtual_txs(txs(&[&"11".repeat(32)])).await;
    let count = unknown.as_ref().map_or(9, |r| r.get_ref().txs.len());
    answers.note(&format!("an unknown virtual transaction: {count}"), unknown);
    subscriptions(alice, &script, answers).await;
}

async fn subscriptions(alice: &mut Party, script: &str, answers: &mut Answers) {
    let subscribe = |scripts: &[&str], id: &str| wire::SubscribeForScriptsRequest {
        scripts: scripts.iter().map(|s| (*s).to_owned()).collect(),
        subscription_id: id.into(),
    };
    for (name, request) in [
        ("subscribe to nothing", subscribe(&[], "")),
        ("subscribe to text", subscribe(&["zz"], "")),
        ("subscribe with an unknown id", subscribe(&[script], "nope")),
        ("subscribe", subscribe(&[script], "")),
    ] {
        answers.note(name, alice.indexer.subscribe_for_scripts(request).await);
    }
    let unsubscribe =
        |id: &str| wire::UnsubscribeForScriptsRequest { subscription_id: id.into(), scripts: vec![script.to_owned()] };
    answers.note("unsubscribe from nothing", alice.indexer.unsubscribe_for_scripts(unsubscribe("")).await);
    answers.note("unsubscribe from an unknown id", alice.indexer.unsubscribe_for_scripts(unsubscribe("nope")).await);
}
