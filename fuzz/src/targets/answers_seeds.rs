//! Answers that are taken: recorded ones where there are any.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use secp256k1::Keypair;
use virtual_channels::channel::psbt;

use super::Writer;
use super::answers::fixture;
use super::recorded::{answers, bytes, load};
use crate::wire;

/// A call, and one message for it.
fn message(call: u8, message: &[u8]) -> Vec<u8> {
    Writer::default().bytes(&[call, 0]).piece(message).0
}

/// PSBTs for one call, the operator's signatures in them.
fn signed() -> Writer {
    let fixture = fixture();
    let operator: &Keypair = &fixture.pair.operator;
    let close = &fixture.close;
    let mut ark = close.ark_psbt().expect("a PSBT");
    close.sign_ark(&mut ark, 0, operator).expect("a signature");
    let checkpoint = close.checkpoint(0).expect("a checkpoint");
    let mut answer = checkpoint.psbt().expect("a PSBT");
    let signature = psbt::sign(&checkpoint.sighash().expect("a message"), operator);
    let key = operator.x_only_public_key().0;
    psbt::add_signature(&mut answer, 0, &checkpoint.vtxo_leaf, key, signature).expect("an input");
    Writer::default().bytes(&[0]).piece(&ark.serialize()).bytes(&[0]).piece(&answer.serialize())
}

/// The trailers of recorded errors.
fn errors() -> Vec<Vec<u8>> {
    let file = load("wire-seconds");
    let calls = file.as_array().expect("calls").iter();
    let trailers = calls.flat_map(|call| call["trailers"].as_array().into_iter().flatten());
    let details = trailers.filter(|pair| pair[0] == "grpc-status-details-bin");
    // The shortest ones say it all.
    let mut details: Vec<Vec<u8>> = details
        .map(|pair| STANDARD.decode(pair[1].as_str().expect("text").trim_end_matches(',')).unwrap_or_default())
        .collect();
    details.retain(|details| !details.is_empty());
    details.sort_by_key(Vec::len);
    details.truncate(3);
    details
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, seed: Vec<u8>| seeds.push((name.to_owned(), seed));
    for (index, info) in answers("ArkService/GetInfo").iter().step_by(3).enumerate() {
        add(&format!("info-{index}"), message(0, info));
    }
    let vtxos = answers("IndexerService/GetVtxos").swap_remove(0);
    add("vtxos-scripts", message(1, &vtxos));
    add("vtxos-outpoints", message(2, &vtxos));
    let mut page = wire::GetVtxosResponse::decode(vtxos.as_slice()).expect("a recorded answer");
    let vtxo = page.vtxos.first().cloned();
    page.page = Some(wire::IndexerPageResponse { current: 1, next: 2, total: 2 });
    add("vtxos-pages", Writer(message(2, &page.encode_to_vec())).bytes(&[0]).piece(&vtxos).0);
    let txid = "a642f996e2c9385516994934fe70f9fb5ab23a20d1e9f47af83cec61cfe3fdda".to_owned();
    let link =
        |kind: i32| wire::IndexerChain { txid: txid.clone(), expires_at: 5, r#type: kind, spends: vec![txid.clone()] };
    let chain = wire::GetVtxoChainResponse { chain: (1..=4).map(link).collect(), ..Default::default() };
    add("chain", message(3, &chain.encode_to_vec()));
    let drift = load("drift-seconds");
    let preconfirmed = drift["virtual.preconfirmed"]["response"]["txs"].as_array().expect("transactions");
    let txs = preconfirmed.iter().fold(Writer::default(), |all, tx| all.bytes(&[0]).piece(&bytes(tx))).0;
    add("virtual-txs", [vec![4], txs.clone()].concat());
    add("branch", [vec![5], txs].concat());
    add("submit", [vec![6], signed().0].concat());
    add("pending", [vec![7, 0], signed().0].concat());
    add("pending-none", Writer::default().bytes(&[7, 1, 0]).piece(&[]).0);
    add("delete", Writer::default().bytes(&[8, 0, 0]).piece(&[]).0);
    add("fee", message(9, &wire::EstimateIntentFeeResponse { fee: 250 }.encode_to_vec()));
    let subscribed = wire::SubscribeForScriptsResponse { subscription_id: "a".to_owned() }.encode_to_vec();
    let event = wire::IndexerSubscriptionEvent {
        txid,
        new_vtxos: vtxo.clone().into_iter().collect(),
        spent_vtxos: vtxo.clone().into_iter().collect(),
        swept_vtxos: vtxo.into_iter().collect(),
        ..Default::default()
    };
    let data = Some(wire::get_subscription_response::Data::Event(event));
    let event = wire::GetSubscriptionResponse { data }.encode_to_vec();
    add("subscription", Writer::default().bytes(&[10, 0, 0]).piece(&subscribed).bytes(&[0]).piece(&event).0);
    for (index, error) in errors().iter().enumerate() {
        add(&format!("details-{index}"), Writer::default().bytes(&[11, 3]).piece(b"").bytes(error).0);
        let reply = Writer::default().bytes(&[12, 1]).piece(b"a text").bytes(&[3]).piece(error);
        add(&format!("refused-{index}"), reply.0);
    }
    add("worded", Writer::default().bytes(&[11, 3]).piece(b"VTXO_BANNED (29): for a while").0);
    add("registered", message(12, &wire::RegisterIntentResponse { intent_id: "an id".to_owned() }.encode_to_vec()));
    add("finalized", message(13, &[]));
    seeds
}
