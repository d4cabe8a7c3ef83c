//! Channels, their branches and their events from the first day to the last.

use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Transaction, TxIn};

use super::*;
use crate::channel::branch::{Branch, BranchNode};

const ID: ChannelId = ChannelId([1; 32]);

fn branch(locktime: u32) -> Branch {
    let tx = Transaction {
        version: Version(3),
        lock_time: LockTime::from_consensus(locktime),
        input: vec![TxIn::default()],
        output: vec![],
    };
    Branch { nodes: vec![BranchNode { tx, cosigners: [].into() }] }
}

#[test]
fn a_channel_comes_back_whole() {
    let Fresh { store, path } = fresh();
    for (n, role) in [(1, Role::Payer), (2, Role::Receiver)] {
        let record = record(n, role);
        store.write(|db| db.insert_channel(&record, ChannelState::Confirming, Some(b"auth"))).unwrap();
        let again = store.write(|db| db.insert_channel(&record, ChannelState::Open, None));
        assert_eq!(again, Err(StoreError::AlreadyExists { what: "the channel" }));
    }
    drop(store);
    let store = Store::open(&path).unwrap();
    let row = store.read(|db| db.channel(&ID)).unwrap().unwrap();
    assert_eq!(row.record, record(1, Role::Payer));
    assert_eq!((row.hot.state, row.hot.high, row.hot.update), (ChannelState::Confirming, Amount::ZERO, None));
    assert_eq!((row.authorisation.as_deref(), row.submit_answer, row.result), (Some(&b"auth"[..]), None, None));
    assert_eq!(store.read(|db| db.channel_at(&record(2, Role::Receiver).funding)).unwrap().unwrap().hot.id.0, [2; 32]);
    assert_eq!(store.read(|db| db.channels()).unwrap().0.len(), 2);
    assert_eq!(store.read(|db| db.channel(&ChannelId([3; 32]))).unwrap(), None);
}

#[test]
fn rare_changes() {
    let Fresh { store, .. } = fresh();
    store.write(|db| db.insert_channel(&record(1, Role::Payer), ChannelState::Open, Some(b"auth"))).unwrap();
    store.write(|db| db.set_acknowledged(&ID)).unwrap();
    store.write(|db| db.set_authorisation(&ID, b"auth")).unwrap();
    let row = || store.read(|db| db.channel(&ID)).unwrap().unwrap();
    assert!(row().hot.acknowledged);
    store.write(|db| db.set_authorisation(&ID, b"newer")).unwrap();
    assert!(!row().hot.acknowledged);
    assert_eq!(row().authorisation.unwrap(), b"newer");
    for time in [50, 40] {
        store.write(|db| db.set_last_watch(&ID, time)).unwrap();
        assert_eq!(row().hot.last_watch, 50);
    }
    store.write(|db| db.set_submit_answer(&ID, b"answer")).unwrap();
    for outpoint in [None, Some(record(5, Role::Payer).funding)] {
        let result = ChannelResult { txid: Txid::from_byte_array([8; 32]), outpoint };
        store.write(|db| db.set_result(&ID, &result)).unwrap();
        assert_eq!(row().result, Some(result));
    }
    assert_eq!(row().submit_answer.unwrap(), b"answer");
    let none = Err(StoreError::NotFound { what: "the channel" });
    let other = ChannelId([2; 32]);
    assert_eq!(store.write(|db| db.set_acknowledged(&other)), none);
    assert_eq!(store.write(|db| db.set_authorisation(&other, b"")), none);
    assert_eq!(store.write(|db| db.set_submit_answer(&other, b"")), none);
    assert_eq!(store.write(|db| db.set_last_watch(&other, 1)), none);
    assert_eq!(store.write(|db| db.set_state(&other, &[], ChannelState::Lost)), none);
}

#[test]
fn the_expiry_moves_until_the_channel_is_open() {
    let Fresh { store, .. } = fresh();
    let blocks = Delay::blocks(600).unwrap();
    store.write(|db| db.insert_channel(&record(1, Role::Payer), ChannelState::Confirming, None)).unwrap();
    let set = |expiry| store.write(|db| db.set_expiry(&ID, &[], blocks, expiry, 9));
    set(700).unwrap();
    store.write(|db| db.set_state(&ID, &[ChannelState::Confirming], ChannelState::Open)).unwrap();
    assert_eq!(set(800), Err(StoreError::NotOpen { state: ChannelState::Open }));
    let record = store.read(|db| db.channel(&ID)).unwrap().unwrap().record;
    assert_eq!((record.batch_expiry, record.expiry, record.commitments), (blocks, 700, vec![]));
}

#[test]
fn a_state_is_left_by_one_caller() {
    use ChannelState::*;
    let Fresh { store, .. } = fresh();
    store.write(|db| db.insert_channel(&record(1, Role::Payer), Open, None)).unwrap();
    let close = || store.write(|db| db.set_state(&ID, &[Open], Closing));
    close().unwrap();
    assert_eq!(close(), Err(StoreError::StateChanged { found: Closing, to: Closing }));
    store.write(|db| db.set_state(&ID, &[Closing, Closed], Exiting)).unwrap();
}

#[test]
fn a_branch_stays_once_the_channel_is_funded() {
    let Fresh { store, .. } = fresh();
    let record = record(1, Role::Payer);
    let at = record.funding;
    let put = |locktime| store.write(|db| db.put_branch(&at, &branch(locktime)));
    put(1).unwrap();
    store.write(|db| db.insert_channel(&record, ChannelState::Confirming, None)).unwrap();
    put(2).unwrap();
    store.write(|db| db.set_state(&ID, &[ChannelState::Confirming], ChannelState::Open)).unwrap();
    put(2).unwrap();
    assert_eq!(put(3), Err(StoreError::BranchFixed { outpoint: at }));
    assert_eq!(store.write(|db| db.delete_branch(&at)), Err(StoreError::BranchFixed { outpoint: at }));
    assert_eq!(store.read(|db| db.branch(&at)).unwrap(), Some(branch(2)));
    // A damaged one is replaced by what the indexer still has.
    raw(&store, "UPDATE branches SET data = x'01ff'").unwrap();
    assert!(matches!(store.read(|db| db.branch(&at)), Err(StoreError::Corrupt { .. })));
    put(2).unwrap();
    assert_eq!(store.read(|db| db.branch_outpoints()).unwrap(), [at]);

    let early = store.write(|db| db.delete_channel(&ID));
    assert_eq!(early, Err(StoreError::StateChanged { found: ChannelState::Open, to: ChannelState::Settled }));
    store.write(|db| db.set_state(&ID, &[ChannelState::Open], ChannelState::Refunded)).unwrap();
    store.write(|db| db.delete_channel(&ID)).unwrap();
    assert_eq!(store.read(|db| db.branch(&at)).unwrap(), None);
    assert_eq!(store.read(|db| db.channels()).unwrap().0, []);
    for table in ["channel_hot", "channel_rare"] {
        assert_eq!(number(&store, &format!("SELECT count(*) FROM {table}")), 0);
    }
}

#[test]
fn events_come_again_until_acknowledged() {
    let Fresh { store, path } = fresh();
    let first = store.write(|db| db.push_event(None, "started", b"1", 5)).unwrap();
    let second = store.write(|db| db.push_event(Some(&ID), "opened", b"2", 6)).unwrap();
    let pending = |store: &Store| store.read(|db| db.pending_events(10)).unwrap();
    drop(store);
    let store = Store::open(&path).unwrap();
    let kinds: Vec<_> = pending(&store).into_iter().map(|event| (event.token, event.kind, event.channel)).collect();
    assert_eq!(kinds, [(first, "started".to_owned(), None), (second, "opened".to_owned(), Some(ID))]);
    assert_eq!(store.read(|db| db.pending_events(1)).unwrap().len(), 1);
    let acknowledge = |token: &EventToken| store.write(|db| db.acknowledge_event(token)).unwrap();
    assert!(acknowledge(&second));
    assert!(!acknowledge(&second));
    assert_eq!(pending(&store)[0].token, first);
    assert!(acknowledge(&first));
    // A number is not given twice, even when the table has become empty.
    let third = store.write(|db| db.push_event(None, "again", b"", 7)).unwrap();
    assert!(third != first && third != second);
}

#[test]
fn payments_make_one_event_a_channel() {
    for role in [Role::Payer, Role::Receiver] {
        let Fresh { store, .. } = fresh();
        store.write(|db| db.insert_channel(&record(1, role), ChannelState::Open, None)).unwrap();
        let pending = || store.read(|db| db.pending_events(10)).unwrap();
        assert_eq!(pending(), []);
        for (previous, amount) in [(0, 500), (500, 510), (510, 520)] {
            store.write(|db| put(db, &update(1, previous, amount))).unwrap();
        }
        let [event] = &pending()[..] else { panic!("one event") };
        assert_eq!(event.kind, if role == Role::Payer { PAYMENT_SENT } else { PAYMENT_RECEIVED });
        assert_eq!((event.amount, event.before), (Some(Amount::from_sat(520)), Some(Amount::ZERO)));
        assert_eq!(pending()[0], *event);

        // Paid again before the app acknowledges: the new part stays pending.
        store.write(|db| put(db, &update(1, 520, 600))).unwrap();
        assert!(store.write(|db| db.acknowledge_event(&event.token)).unwrap());
        let [rest] = &pending()[..] else { panic!("one event") };
        assert_eq!((rest.amount, rest.before), (Some(Amount::from_sat(600)), Some(Amount::from_sat(520))));
        assert!(store.write(|db| db.acknowledge_event(&rest.token)).unwrap());
        assert_eq!(pending(), []);
        if role == Role::Receiver {
            assert!(!store.write(|db| db.acknowledge_event(&event.token)).unwrap());
            assert_eq!(pending(), []);
        }
        let never = EventToken::Payment { channel: ID, amount: Amount::from_sat(601) };
        assert!(!store.write(|db| db.acknowledge_event(&never)).unwrap());
        let unknown = EventToken::Payment { channel: ChannelId([9; 32]), amount: Amount::ZERO };
        assert!(!store.write(|db| db.acknowledge_event(&unknown)).unwrap());
    }
}

#[test]
fn tokens_are_text() {
    let payment = EventToken::Payment { channel: ID, amount: Amount::from_sat(7) };
    for token in [EventToken::Queued(0), EventToken::Queued(u64::MAX), payment] {
        assert_eq!(token.to_string().parse::<EventToken>(), Ok(token));
    }
    for bad in ["", "e", "e:", "e:-1", "e:+1", "e:01", "x:1", "p:1", "p:00:1", "e:99999999999999999999", "p::", "é:1"]
    {
        assert!(bad.parse::<EventToken>().is_err(), "{bad}");
    }
    let capital = payment.to_string().to_uppercase();
    assert!(capital.parse::<EventToken>().is_err());
}
