//! The tables, one by one.

use bitcoin::{ScriptBuf, XOnlyPublicKey};

use super::*;
use crate::channel::Network;

fn key(byte: u8) -> XOnlyPublicKey {
    secp256k1::Keypair::from_seckey_slice(secp256k1::SECP256K1, &[byte; 32]).unwrap().x_only_public_key().0
}

fn coin(byte: u8) -> OutPoint {
    OutPoint::new(Txid::from_byte_array([byte; 32]), byte.into())
}

fn flow(byte: u8, kind: FlowKind) -> Flow {
    Flow { id: [byte; 32], kind, step: "begin".into(), data: vec![byte], created_at: 5, updated_at: 5 }
}

#[test]
fn a_file_belongs_to_one_wallet() {
    let Fresh { store, path } = fresh();
    let binding = Binding { fingerprint: [1; 32], network: Network::Regtest, operator: key(1) };
    let bind = |store: &Store, binding: Binding| store.write(|db| db.bind(&binding));
    assert_eq!(store.read(|db| db.binding()).unwrap(), None);
    bind(&store, binding).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    bind(&store, binding).unwrap();
    assert_eq!(bind(&store, Binding { fingerprint: [2; 32], ..binding }), Err(StoreError::OtherWallet));
    assert_eq!(
        bind(&store, Binding { network: Network::Signet, ..binding }),
        Err(StoreError::OtherNetwork { stored: Network::Regtest, got: Network::Signet })
    );
    assert_eq!(
        bind(&store, Binding { operator: key(2), ..binding }),
        Err(StoreError::OtherOperator { stored: key(1).into() })
    );
    assert!(raw(&store, "UPDATE wallet SET fingerprint = zeroblob(32)").is_err());
    store.write(|db| db.set_operator(key(2))).unwrap();
    assert_eq!(store.read(|db| db.binding()).unwrap(), Some(Binding { operator: key(2), ..binding }));
}

#[test]
fn time_never_runs_backwards() {
    let Fresh { store, .. } = fresh();
    let see = |wall, height, median| store.write(|db| db.see_time(SeenTime { wall, height, median })).unwrap();
    see(100, 10, 90);
    assert_eq!(see(99, 11, 80), SeenTime { wall: 100, height: 11, median: 90 });
    assert_eq!(store.read(|db| db.seen_time()).unwrap(), SeenTime { wall: 100, height: 11, median: 90 });
    assert!(raw(&store, "UPDATE wallet SET wall = 99").is_err());
    assert!(store.write(|db| db.see_time(SeenTime { wall: u64::MAX, height: 0, median: 0 })).is_err());
}

#[test]
fn small_facts() {
    let Fresh { store, .. } = fresh();
    assert_eq!(store.read(|db| db.batch_expiry()).unwrap(), None);
    for delay in [Delay::blocks(600).unwrap(), Delay::seconds(604_672).unwrap()] {
        store.write(|db| db.set_batch_expiry(delay)).unwrap();
        assert_eq!(store.read(|db| db.batch_expiry()).unwrap(), Some(delay));
    }
    store.write(|db| db.set_meta("a", b"1")).unwrap();
    store.write(|db| db.set_meta("a", b"2")).unwrap();
    assert_eq!(store.read(|db| db.meta("a")).unwrap().unwrap(), b"2");
    store.write(|db| db.delete_meta("a")).unwrap();
    assert_eq!(store.read(|db| db.meta("a")).unwrap(), None);
}

#[test]
fn a_key_index_is_given_out_once() {
    let Fresh { store, path } = fresh();
    let next = |store: &Store| store.write(|db| db.next_key_index());
    assert_eq!([next(&store), next(&store)], [Ok(0), Ok(1)]);
    drop(store);
    let store = Store::open(&path).unwrap();
    assert_eq!(next(&store), Ok(2));
    assert!(raw(&store, "UPDATE wallet SET next_key_index = 1").is_err());
    raw(&store, "UPDATE wallet SET next_key_index = 2147483647").unwrap();
    assert_eq!([next(&store), next(&store)], [Ok(2_147_483_647), Err(StoreError::KeysExhausted)]);
}

#[test]
fn own_scripts() {
    let Fresh { store, .. } = fresh();
    let own = |byte: u8, kind, delay| OwnScript {
        script: ScriptBuf::from_bytes(vec![byte; 34]),
        kind,
        key_index: byte.into(),
        operator: key(1),
        delay,
    };
    let vtxo = own(1, ScriptKind::Vtxo, Some(Delay::blocks(20).unwrap()));
    let chain = own(2, ScriptKind::Chain, None);
    for script in [&vtxo, &chain, &vtxo] {
        store.write(|db| db.add_script(script)).unwrap();
    }
    let other = OwnScript { key_index: 9, ..vtxo.clone() };
    assert_eq!(store.write(|db| db.add_script(&other)), Err(StoreError::AlreadyExists { what: "the script" }));
    let delayed = own(3, ScriptKind::Chain, vtxo.delay);
    assert!(matches!(store.write(|db| db.add_script(&delayed)), Err(StoreError::Invalid { .. })));
    assert_eq!(store.read(|db| db.script(&vtxo.script)).unwrap(), Some(vtxo.clone()));
    assert_eq!(store.read(|db| db.script(&delayed.script)).unwrap(), None);
    assert_eq!(store.read(|db| db.scripts(ScriptKind::Vtxo)).unwrap(), [vtxo]);
    assert_eq!(store.read(|db| db.scripts(ScriptKind::Chain)).unwrap(), [chain]);
    assert_eq!(store.read(|db| db.scripts(ScriptKind::Boarding)).unwrap(), []);
}

#[test]
fn a_flow_goes_on_once() {
    let Fresh { store, .. } = fresh();
    let begun = flow(1, FlowKind::Close);
    store.write(|db| db.insert_flow(&begun)).unwrap();
    assert_eq!(store.write(|db| db.insert_flow(&begun)), Err(StoreError::AlreadyExists { what: "the flow" }));
    let go = || store.write(|db| db.update_flow(&begun.id, "begin", "submitted", b"answer", 9));
    go().unwrap();
    let again = StoreError::StepChanged { expected: "begin".into(), found: "submitted".into() };
    assert_eq!(go(), Err(again));
    let found = store.read(|db| db.flow(&begun.id)).unwrap().unwrap();
    assert_eq!((found.step.as_str(), found.data.as_slice(), found.updated_at), ("submitted", &b"answer"[..], 9));
    store.write(|db| db.insert_flow(&flow(2, FlowKind::Send))).unwrap();
    assert_eq!(store.read(|db| db.flows()).unwrap().len(), 2);
    assert_eq!(store.read(|db| db.flows_of(FlowKind::Send)).unwrap(), [flow(2, FlowKind::Send)]);
    store.write(|db| db.delete_flow(&begun.id)).unwrap();
    store.write(|db| db.delete_flow(&begun.id)).unwrap();
    assert_eq!(go(), Err(StoreError::NotFound { what: "the flow" }));
}

#[test]
fn a_coin_is_held_by_one_flow() {
    let Fresh { store, .. } = fresh();
    store.write(|db| [1, 2].into_iter().try_for_each(|n| db.insert_flow(&flow(n, FlowKind::Settle)))).unwrap();
    let lock = |flow: u8, coins: &[OutPoint]| store.write(|db| db.lock_coins(&[flow; 32], coins));
    lock(1, &[coin(1), coin(2)]).unwrap();
    lock(1, &[coin(2)]).unwrap();
    assert_eq!(lock(2, &[coin(3), coin(2)]), Err(StoreError::CoinLocked { outpoint: coin(2), by: [1; 32].into() }));
    assert_eq!(lock(3, &[coin(3)]), Err(StoreError::NotFound { what: "the flow" }));
    assert_eq!(store.read(|db| db.locked_coins()).unwrap(), [(coin(1), [1; 32]), (coin(2), [1; 32])]);
    store.write(|db| db.delete_flow(&[1; 32])).unwrap();
    assert_eq!(store.read(|db| db.locked_coins()).unwrap(), []);
    lock(2, &[coin(2)]).unwrap();
    store.write(|db| db.unlock_coins(&[2; 32])).unwrap();
    assert_eq!(store.read(|db| db.lock_of(&coin(2))).unwrap(), None);
}

#[test]
fn an_invite_is_used_once() {
    let Fresh { store, .. } = fresh();
    let invite =
        |byte: u8| Invite { id: [byte; 32], encoded: vec![byte], key_index: 3, expires_at: byte.into(), used: false };
    store.write(|db| [2, 1].iter().try_for_each(|n| db.insert_invite(&invite(*n)))).unwrap();
    assert_eq!(store.write(|db| db.insert_invite(&invite(1))), Err(StoreError::AlreadyExists { what: "the invite" }));
    let mark = |byte: u8| store.write(|db| db.mark_invite_used(&[byte; 32]));
    mark(1).unwrap();
    assert_eq!(mark(1), Err(StoreError::InviteUsed));
    assert_eq!(mark(9), Err(StoreError::NotFound { what: "the invite" }));
    assert!(raw(&store, "UPDATE invites SET used = 0").is_err());
    assert_eq!(store.read(|db| db.invites()).unwrap(), [Invite { used: true, ..invite(1) }, invite(2)]);
    assert_eq!(store.write(|db| db.delete_invites_before(2)).unwrap(), 1);
    assert_eq!(store.read(|db| db.invite(&[1; 32])).unwrap(), None);
}
