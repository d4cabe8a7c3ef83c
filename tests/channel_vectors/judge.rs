//! The crate `ark-core` as a second judge: it knows nothing of this library.

use ark_core::send::{SendReceiver, VtxoInput, build_offchain_transactions};
use ark_core::{ArkAddress, Vtxo, server};
use bitcoin::key::TweakedPublicKey;
use bitcoin::secp256k1::{Parity, SECP256K1};
use bitcoin::{Amount, Psbt, TxOut};
use virtual_channels::channel::offchain::OffchainTx;
use virtual_channels::channel::{Network, Payout, Unit, terms::leaf};

use crate::pair::{self, Pair};

fn judges_info(pair: &Pair) -> server::Info {
    let full = |pair: &secp256k1::Keypair| pair.x_only_public_key().0.public_key(Parity::Even);
    let operator = bitcoin::key::UntweakedPublicKey::from(pair.operator.x_only_public_key().0);
    server::Info {
        version: String::new(),
        signer_pk: full(&pair.operator),
        forfeit_pk: full(&pair.forfeit),
        forfeit_address: bitcoin::Address::p2tr(SECP256K1, operator, None, bitcoin::Network::Regtest),
        checkpoint_tapscript: pair.script().script(),
        network: bitcoin::Network::Regtest,
        session_duration: 30,
        unilateral_exit_delay: pair.channel.terms.d1.sequence(),
        boarding_exit_delay: pair.channel.terms.d1.sequence(),
        utxo_min_amount: None,
        utxo_max_amount: None,
        vtxo_min_amount: None,
        vtxo_max_amount: None,
        dust: Amount::from_sat(330),
        fees: None,
        scheduled_session: None,
        deprecated_signers: Vec::new(),
        service_status: Default::default(),
        digest: String::new(),
        max_tx_weight: 40_000,
        max_op_return_outputs: 3,
    }
}

/// What the judge makes of spending the channel by one leaf.
fn judged(pair: &Pair, vtxo: &Vtxo, leaf: usize, outputs: &[(Payout, Amount)]) -> (Psbt, Psbt) {
    let channel = &pair.channel;
    let script = channel.tree().leaves()[leaf].clone();
    let input = VtxoInput::new(
        script.clone(),
        (leaf == leaf::REFUND).then_some(channel.terms.locktime),
        vtxo.get_spend_info(script).unwrap(),
        vtxo.tapscripts(),
        vtxo.script_pubkey(),
        channel.terms.capacity,
        channel.funding,
        Vec::new(),
    );
    let address = |payout: &Payout| {
        let key = TweakedPublicKey::dangerous_assume_tweaked(payout.key());
        ArkAddress::new(bitcoin::Network::Regtest, channel.terms.operator, key)
    };
    let receivers: Vec<_> =
        outputs.iter().map(|(payout, amount)| SendReceiver::bitcoin(address(payout), *amount)).collect();
    let change = address(&channel.terms.payer.ark_payout);
    let built = build_offchain_transactions(&receivers, &change, &[input], &judges_info(pair)).unwrap();
    (built.checkpoint_txs[0].clone(), built.ark_tx)
}

fn same(built: &OffchainTx, (checkpoint, ark): (Psbt, Psbt)) {
    assert_eq!(built.checkpoints[0].tx, checkpoint.unsigned_tx);
    assert_eq!(built.ark, ark.unsigned_tx);
    let own = built.ark_psbt().unwrap();
    assert_eq!(own.inputs[0].tap_scripts, ark.inputs[0].tap_scripts);
    assert_eq!(own.inputs[0].witness_utxo, ark.inputs[0].witness_utxo);
    let own = built.checkpoints[0].psbt().unwrap();
    assert_eq!(own.inputs[0].tap_scripts, checkpoint.inputs[0].tap_scripts);
    assert_eq!(own.inputs[0].witness_utxo, checkpoint.inputs[0].witness_utxo);
    assert_eq!(own.inputs[0].unknown, checkpoint.inputs[0].unknown);
}

#[test]
fn ark_core_computes_the_same() {
    for seed in 0..40 {
        let unit = if seed % 2 == 0 { Unit::Seconds } else { Unit::Blocks };
        let capacity = 1_000 + 7_919 * seed;
        let pair = Pair::new(seed, unit, capacity);
        let (channel, script) = (&pair.channel, pair.script());
        let terms = &channel.terms;
        let vtxo = Vtxo::new_with_custom_scripts(
            SECP256K1,
            terms.operator,
            terms.payer.key,
            channel.tree().leaves().to_vec(),
            terms.d1.sequence(),
            bitcoin::Network::Regtest,
        )
        .unwrap();
        assert_eq!(vtxo.script_pubkey(), channel.tree().script_pubkey());
        assert_eq!(vtxo.to_ark_address().to_string(), terms.address().unwrap().to_string());
        for index in [leaf::FORFEIT, leaf::REFUND, leaf::UPDATE, leaf::UNILATERAL] {
            let leaf = channel.tree().leaf(index).unwrap();
            assert_eq!(vtxo.get_spend_info(leaf.script).unwrap(), leaf.control);
        }

        let (receiver, payer) = (terms.receiver.ark_payout, terms.payer.ark_payout);
        for amount in [330, 331, capacity / 2, capacity - 330, capacity].map(Amount::from_sat) {
            // The rest goes to the judge's change address, which is the payer's.
            let expected = judged(&pair, &vtxo, leaf::FORFEIT, &[(receiver, amount)]);
            same(&channel.close(&script, amount).unwrap(), expected);
        }
        let refund = TxOut { value: terms.capacity, script_pubkey: payer.script() };
        let expected = judged(&pair, &vtxo, leaf::REFUND, &[(payer, terms.capacity)]);
        same(&channel.refund(&script, vec![refund]).unwrap(), expected);
    }
}

#[test]
fn ark_core_reads_our_addresses() {
    for network in [Network::Bitcoin, Network::Testnet, Network::Signet, Network::Mutinynet, Network::Regtest] {
        let mut rng = pair::rng(7);
        let funding = pair::outpoint(&mut rng);
        let pair = Pair::at(&mut rng, network, Unit::Seconds, 10_000, funding);
        let address = pair.channel.terms.address().unwrap().to_string();
        let read = ArkAddress::decode(&address).unwrap();
        assert_eq!(read.to_p2tr_script_pubkey(), pair.channel.tree().script_pubkey());
        assert_eq!(read.server(), pair.channel.terms.operator);
        assert_eq!(read.encode(), address);
    }
}
