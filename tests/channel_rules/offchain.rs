//! Off-chain transactions of several inputs: locks input by input, as arkd rebuilds them.

use bitcoin::{OutPoint, Sequence, TxOut, absolute};
use virtual_channels::channel::offchain::{OffchainInput, OffchainTx, anchor};
use virtual_channels::channel::terms::leaf;
use virtual_channels::channel::{ChannelError, Unit};

use crate::pair::Pair;

fn input(pair: &Pair, leaf: usize) -> OffchainInput {
    let channel = &pair.channel;
    OffchainInput {
        outpoint: channel.funding,
        amount: channel.terms.capacity,
        tree: channel.tree().clone(),
        leaf,
        locktime: (leaf == leaf::REFUND).then_some(channel.terms.locktime),
    }
}

fn build(pair: &Pair, inputs: &[OffchainInput]) -> Result<OffchainTx, ChannelError> {
    let value = inputs.iter().map(|input| input.amount).sum();
    let output = TxOut { value, script_pubkey: pair.channel.terms.payer.ark_payout.script() };
    OffchainTx::new(inputs, &pair.script(), vec![output])
}

#[test]
fn each_input_has_the_sequence_of_its_own_leaf() {
    let (one, other) = (Pair::new(101, Unit::Seconds, 10_000), Pair::new(102, Unit::Seconds, 20_000));
    let built = build(&one, &[input(&one, leaf::REFUND), input(&other, leaf::FORFEIT)]).unwrap();
    let sequences: Vec<Sequence> = built.ark.input.iter().map(|input| input.sequence).collect();
    assert_eq!(sequences, [Sequence::ENABLE_LOCKTIME_NO_RBF, Sequence::MAX]);
    assert_eq!(built.ark.lock_time, one.channel.terms.locktime);
    assert_eq!(built.checkpoints[0].tx.lock_time, one.channel.terms.locktime);
    assert_eq!(built.checkpoints[1].tx.lock_time, absolute::LockTime::ZERO);
    for (checkpoint, input) in built.checkpoints.iter().zip(&built.ark.input) {
        assert_eq!(input.previous_output, OutPoint::new(checkpoint.tx.compute_txid(), 0));
        assert_eq!(checkpoint.tx.output[0].value, checkpoint.prevout.value);
        assert_eq!(checkpoint.tx.output.last(), Some(&anchor()));
        assert_eq!(checkpoint.tx.version.0, 3);
    }
    assert_eq!(built.ark.output.len(), 2);
}

#[test]
fn the_latest_locktime_stands_for_all() {
    let (one, mut other) = (Pair::new(103, Unit::Seconds, 10_000), Pair::new(104, Unit::Seconds, 20_000));
    let mut terms = other.channel.terms;
    terms.locktime = absolute::LockTime::from_consensus(terms.locktime.to_consensus_u32() + 7);
    other.channel = virtual_channels::channel::Channel::new(terms, other.channel.funding).unwrap();
    let built = build(&one, &[input(&other, leaf::REFUND), input(&one, leaf::REFUND)]).unwrap();
    assert_eq!(built.ark.lock_time, terms.locktime);
    assert_eq!(built.checkpoints[1].tx.lock_time, one.channel.terms.locktime);
}

#[test]
fn locktimes_of_two_units_do_not_mix() {
    let (seconds, blocks) = (Pair::new(105, Unit::Seconds, 10_000), Pair::new(106, Unit::Blocks, 20_000));
    let inputs = [input(&seconds, leaf::REFUND), input(&blocks, leaf::REFUND)];
    assert_eq!(build(&seconds, &inputs).map(|_| ()), Err(ChannelError::UnitMix));
    build(&seconds, &[input(&seconds, leaf::REFUND), input(&blocks, leaf::FORFEIT)]).unwrap();
}

#[test]
fn the_operators_answer_may_list_checkpoints_in_any_order() {
    use virtual_channels::channel::psbt;
    let (one, mut other) = (Pair::new(107, Unit::Seconds, 10_000), Pair::new(108, Unit::Seconds, 20_000));
    // Both under one operator.
    let mut terms = other.channel.terms;
    terms.operator = one.channel.terms.operator;
    other.channel = virtual_channels::channel::Channel::new(terms, other.channel.funding).unwrap();
    let built = build(&one, &[input(&one, leaf::FORFEIT), input(&other, leaf::FORFEIT)]).unwrap();
    let mut ark = built.ark_psbt().unwrap();
    for index in [0, 1] {
        built.sign_ark(&mut ark, index, &one.operator).unwrap();
    }
    let sign = |index: usize| {
        let checkpoint = &built.checkpoints[index];
        let mut psbt = checkpoint.psbt().unwrap();
        let signature = psbt::sign(&checkpoint.sighash().unwrap(), &one.operator);
        psbt::add_signature(&mut psbt, 0, &checkpoint.vtxo_leaf, one.channel.terms.operator, signature).unwrap();
        psbt
    };
    let operator = one.channel.terms.operator;
    let [first, second] = [sign(0), sign(1)];
    let straight = built.check_answer(&ark, &[first.clone(), second.clone()], operator).unwrap();
    assert_eq!(built.check_answer(&ark, &[second.clone(), first.clone()], operator), Ok(straight));
    let txid = built.checkpoints[1].tx.compute_txid();
    let missing = Err(ChannelError::MissingCheckpoint { txid });
    assert_eq!(built.check_answer(&ark, &[first.clone(), first.clone()], operator), missing);
    assert_eq!(built.check_answer(&ark, std::slice::from_ref(&first), operator), missing);
    // One input's signature on the other's place.
    let mut swapped = ark.clone();
    swapped.inputs.swap(0, 1);
    assert!(built.check_answer(&swapped, &[first.clone(), second.clone()], operator).is_err());
    ark.inputs[1].tap_script_sigs.clear();
    let missing = Err(ChannelError::MissingSignature { key: operator.into() });
    assert_eq!(built.check_answer(&ark, &[first, second], operator), missing);
}
