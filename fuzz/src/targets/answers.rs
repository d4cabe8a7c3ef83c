//! The operator's answers: the call, then what comes back for it, through gRPC, protobuf and the library's own checks.
//!
//! What the library takes must be what it asked for.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::{OutPoint, Psbt, ScriptBuf, Txid};
use prost::Message;
use virtual_channels::channel::branch::MAX_NODES;
use virtual_channels::channel::intent::{Intent, IntentInput, IntentMessage};
use virtual_channels::channel::offchain::OffchainTx;
use virtual_channels::channel::{Unit, psbt};
use virtual_channels::operator::ArkdError;

use super::grpc::{Answer, Part, World, frame};
use super::input::Input;
use super::{answers_seeds, recorded};
use crate::pair::{Pair, sats};
use crate::wire;

/// More answers than any call asks for.
const MOST: usize = 6;

thread_local! {
    static WORLD: &'static World = Box::leak(Box::new(World::new(recorded_info())));
}

/// Who the answers are for.
pub struct Fixture {
    pub pair: Pair,
    pub close: OffchainTx,
    signed: Psbt,
    pub intent: Intent,
}

pub fn fixture() -> &'static Fixture {
    static FIXTURE: std::sync::OnceLock<Fixture> = std::sync::OnceLock::new();
    FIXTURE.get_or_init(|| {
        let pair = Pair::new(60, Unit::Seconds, 100_000);
        let close = pair.channel.close(&pair.script(), sats(40_000)).expect("a close");
        let mut signed = close.ark_psbt().expect("a PSBT");
        close.sign_ark(&mut signed, 0, &pair.receiver).expect("a signature");
        let terms = &pair.channel.terms;
        let coin = IntentInput::unlocked(pair.channel.funding, terms.capacity, pair.channel.tree().clone(), 0);
        let intent =
            Intent::new(&IntentMessage::GetPendingTx { expire_at: 0 }, &[coin], Vec::new()).expect("an intent");
        Fixture { pair, close, signed, intent }
    })
}

fn recorded_info() -> Vec<u8> {
    recorded::answers("ArkService/GetInfo").pop().expect("a recorded info")
}

pub fn run(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let call = input.byte() % 14;
    WORLD.with(|world| match call {
        0 => info(world, &mut input),
        1 => vtxos_by_scripts(world, &mut input),
        2 => vtxos_by_outpoints(world, &mut input),
        3 => chain(world, &mut input),
        4 => virtual_txs(world, &mut input),
        5 => branch(world, &mut input),
        6 => submit(world, &mut input),
        7 => pending(world, &mut input),
        8 => plain(world, &mut input),
        9 => fee(world, &mut input),
        10 => subscription(world, &mut input),
        11 => details(&mut input),
        12 => registration(world, &mut input),
        _ => finalize(world, &mut input),
    })
}

/// Answers one after the other; then none.
fn replies(input: &mut Input<'_>) -> impl FnMut(&str, &[u8]) -> Answer + Send + 'static {
    let mut answers = VecDeque::new();
    while !input.is_empty() && answers.len() < MOST {
        answers.push_back(reply(input));
    }
    move |_, _| answers.pop_front().unwrap_or_else(|| Answer::error(12))
}

/// A message, an error with its details, any bytes as the body, or a message and then an error.
fn reply(input: &mut Input<'_>) -> Answer {
    let kind = input.byte() % 4;
    let piece = input.piece().to_vec();
    match kind {
        0 => Answer::messages([piece]),
        1 => {
            let status = input.byte();
            Answer { status, message: piece, details: input.piece().to_vec(), ..Answer::default() }
        }
        2 => Answer { parts: vec![Part::Bytes(piece)], ..Answer::default() },
        _ => Answer { parts: vec![Part::Bytes(frame(&piece))], status: input.byte(), ..Answer::default() },
    }
}

fn info(world: &World, input: &mut Input<'_>) -> bool {
    let taken = world.run(replies(input), world.operator.refresh_info());
    let Some(Ok(info)) = taken else { return false };
    assert!(info.checkpoint.key == info.forfeit_key && info.max_amount() <= bitcoin::Amount::MAX_MONEY);
    assert_eq!(info.unit(), info.boarding_exit_delay.unit());
    // The next input finds the operator as it was.
    let again = world.run(|_, _| Answer::messages([recorded_info()]), world.operator.refresh_info());
    assert!(again.is_some_and(|again| again.is_ok()));
    true
}

/// What the first answer is about, so that it can be asked for.
fn first_vtxos(input: &Input<'_>) -> Vec<wire::IndexerVtxo> {
    let mut ahead = input.clone();
    ahead.byte();
    wire::GetVtxosResponse::decode(ahead.piece()).map(|answer| answer.vtxos).unwrap_or_default()
}

fn vtxos_by_scripts(world: &World, input: &mut Input<'_>) -> bool {
    let scripts = first_vtxos(input).into_iter().filter_map(|vtxo| ScriptBuf::from_hex(&vtxo.script).ok());
    let asked: Vec<ScriptBuf> = scripts.chain([ScriptBuf::new()]).take(2).collect();
    let Some(Ok(found)) = world.run(replies(input), world.operator.vtxos_by_scripts(&asked)) else { return false };
    assert!(found.iter().all(|vtxo| asked.contains(&vtxo.script) && vtxo.amount <= bitcoin::Amount::MAX_MONEY));
    !found.is_empty()
}

fn vtxos_by_outpoints(world: &World, input: &mut Input<'_>) -> bool {
    let outpoints = first_vtxos(input).into_iter().filter_map(|vtxo| {
        let outpoint = vtxo.outpoint?;
        Some(OutPoint::new(outpoint.txid.parse().ok()?, outpoint.vout))
    });
    let asked: Vec<OutPoint> = outpoints.chain([OutPoint::null()]).take(2).collect();
    let Some(Ok(found)) = world.run(replies(input), world.operator.vtxos_by_outpoints(&asked)) else { return false };
    assert!(found.len() <= asked.len() && found.iter().all(|vtxo| asked.contains(&vtxo.outpoint)));
    !found.is_empty()
}

fn chain(world: &World, input: &mut Input<'_>) -> bool {
    matches!(world.run(replies(input), world.operator.vtxo_chain(OutPoint::null())), Some(Ok(_)))
}

/// PSBTs as bytes, which come as base64; or anything as text.
fn psbts(input: &mut Input<'_>) -> (Vec<String>, Vec<Txid>) {
    let (mut texts, mut txids) = (Vec::new(), Vec::new());
    while !input.is_empty() && texts.len() <= MAX_NODES {
        let kind = input.byte();
        let piece = input.piece();
        txids.extend(Psbt::deserialize(piece).map(|psbt| psbt.unsigned_tx.compute_txid()));
        texts.push(if kind == 0xff { String::from_utf8_lossy(piece).into_owned() } else { STANDARD.encode(piece) });
    }
    (texts, txids)
}

fn virtual_txs(world: &World, input: &mut Input<'_>) -> bool {
    let (txs, asked) = psbts(input);
    let answer = wire::GetVirtualTxsResponse { txs, ..Default::default() };
    let taken = world.run(move |_, _| Answer::message(&answer), world.operator.virtual_txs(&asked));
    let Some(Ok(found)) = taken else { return false };
    assert!(found.iter().all(|psbt| asked.contains(&psbt.unsigned_tx.compute_txid())));
    !found.is_empty()
}

fn branch(world: &World, input: &mut Input<'_>) -> bool {
    let (txs, txids) = psbts(input);
    let target = OutPoint::new(txids.first().copied().unwrap_or(OutPoint::null().txid), 0);
    let link = |txid: &Txid| wire::IndexerChain { txid: txid.to_string(), r#type: 3, ..Default::default() };
    let links = wire::GetVtxoChainResponse { chain: txids.iter().map(link).collect(), ..Default::default() };
    let answer = wire::GetVirtualTxsResponse { txs, ..Default::default() };
    let answers = move |call: &str, _: &[u8]| match call {
        "GetVtxoChain" => Answer::message(&links),
        _ => Answer::message(&answer),
    };
    let Some(Ok(branch)) = world.run(answers, world.operator.branch_of(target)) else { return false };
    let order: Vec<Txid> = branch.nodes.iter().map(|node| node.tx.compute_txid()).collect();
    assert_eq!(order.last(), Some(&target.txid));
    for (index, node) in branch.nodes.iter().enumerate() {
        let parents =
            node.tx.input.iter().filter_map(|input| order.iter().position(|txid| *txid == input.previous_output.txid));
        assert!(parents.into_iter().all(|parent| parent < index), "parents come first");
    }
    true
}

fn submit(world: &World, input: &mut Input<'_>) -> bool {
    let fixture = fixture();
    let operator = fixture.pair.operator.x_only_public_key().0;
    let (mut texts, _) = psbts(input);
    let ark = if texts.is_empty() { String::new() } else { texts.remove(0) };
    let answer = wire::SubmitTxResponse { final_ark_tx: ark, signed_checkpoint_txs: texts, ..Default::default() };
    let calls = world.operator.submit(&fixture.close, &fixture.signed, operator);
    let Some(Ok(taken)) = world.run(move |_, _| Answer::message(&answer), calls) else { return false };
    let ark = fixture.close.ark_sighash(0).expect("a message");
    let checkpoint = fixture.close.checkpoint(0).expect("a checkpoint").sighash().expect("a message");
    assert!(psbt::verify(&ark, &operator, &taken.signatures.ark[0]));
    assert!(psbt::verify(&checkpoint, &operator, &taken.signatures.checkpoints[0]));
    assert_eq!(taken.ark.unsigned_tx, fixture.close.ark);
    true
}

fn pending(world: &World, input: &mut Input<'_>) -> bool {
    let fixture = fixture();
    let answers = if input.byte() == 0 {
        let (texts, txids) = psbts(input);
        let (first, rest) = texts.split_first().map(|(first, rest)| (first.clone(), rest.to_vec())).unwrap_or_default();
        let ark_txid = txids.first().map(Txid::to_string).unwrap_or_default();
        let pending = wire::PendingTx { ark_txid, final_ark_tx: first, signed_checkpoint_txs: rest };
        VecDeque::from([Answer::message(&wire::GetPendingTxResponse { pending_txs: vec![pending] })])
    } else {
        VecDeque::from([reply(input)])
    };
    let mut answers = answers;
    let answers = move |_: &str, _: &[u8]| answers.pop_front().unwrap_or_else(|| Answer::error(12));
    let Some(Ok(found)) = world.run(answers, world.operator.pending_txs(&fixture.intent)) else { return false };
    for pending in &found {
        assert_eq!(pending.ark_txid, pending.ark.unsigned_tx.compute_txid());
        let operator = fixture.pair.operator.x_only_public_key().0;
        let checked = virtual_channels::operator::SubmitAnswer::check(
            &fixture.close,
            pending.ark.clone(),
            pending.checkpoints.clone(),
            operator,
        );
        assert!(checked.is_err() || pending.ark.unsigned_tx == fixture.close.ark);
    }
    !found.is_empty()
}

/// Calls that are answered by nothing, or an error.
fn plain(world: &World, input: &mut Input<'_>) -> bool {
    let intent = &fixture().intent;
    let which = input.byte();
    let replies = replies(input);
    let taken = match which % 2 {
        0 => world.run(replies, world.operator.delete_intent(intent)),
        _ => world.run(replies, world.operator.confirm_registration("an intent")),
    };
    matches!(taken, Some(Ok(())))
}

fn fee(world: &World, input: &mut Input<'_>) -> bool {
    let Some(Ok(fee)) = world.run(replies(input), world.operator.estimate_fee(&fixture().intent)) else { return false };
    assert!(fee.unsigned_abs() <= bitcoin::Amount::MAX_MONEY);
    true
}

fn registration(world: &World, input: &mut Input<'_>) -> bool {
    let taken = world.run(replies(input), world.operator.register_intent(&fixture().intent));
    let Some(Ok(id)) = taken else { return false };
    assert!(!id.is_empty() && id.len() <= 256);
    true
}

fn subscription(world: &World, input: &mut Input<'_>) -> bool {
    let events = input.byte() % 4;
    let scripts = vec![fixture().pair.channel.tree().script_pubkey()];
    let followed = async {
        let mut subscription = world.operator.subscribe(scripts).await?;
        for _ in 0..events {
            subscription.next().await?;
        }
        subscription.next().await
    };
    matches!(world.run(replies(input), followed), Some(Ok(_)))
}

/// An error as arkd words it, without the way there.
fn details(input: &mut Input<'_>) -> bool {
    let status = i32::from(input.byte());
    let text = String::from_utf8_lossy(input.piece()).into_owned();
    let error = ArkdError::decode(status, &text, input.rest());
    let figures = error.metadata.keys().filter_map(|key| error.number(key));
    assert!(figures.into_iter().all(f64::is_finite) && error.metadata.len() <= 64);
    assert!(error.to_string().len() < 8 * 1024);
    error.code.is_some()
}

fn finalize(world: &World, input: &mut Input<'_>) -> bool {
    let fixture = fixture();
    let checkpoint = fixture.close.checkpoint(0).and_then(|checkpoint| checkpoint.psbt()).expect("a PSBT");
    matches!(world.run(replies(input), world.operator.finalize(&fixture.close, &[checkpoint])), Some(Ok(())))
}

pub use answers_seeds::seeds;
