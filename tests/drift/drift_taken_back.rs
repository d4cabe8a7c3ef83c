//! A channel that a batch took back, and the batch is not on chain: replaced after a reorganisation, or published late.

use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::Hash;
use bitcoin::key::{Keypair, Secp256k1, TapTweak};
use bitcoin::secp256k1::Message;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::Signature;
use bitcoin::{TapSighashType, TxOut, Txid, Witness};
use regtest::operator::{Knob, Unit};
use virtual_channels::channel::Network;
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{ExitStage, Keys};

use crate::case::{CAPACITY, Case};
use crate::drift_expired::expired;
use crate::stage::{fund, leave};
use crate::world::{World, eventually, sats};

/// The last block goes, and two come in which the batch's money is spent by something else.
async fn replace(case: &Case, batch: Txid) {
    let node = case.world.regtest.node();
    let secret = {
        let mut secret = None;
        case.change(|settings| secret = Some(settings.forfeit)).await;
        Keypair::from_secret_key(&Secp256k1::new(), &secret.unwrap())
    };
    case.world.regtest.stop_operator().await;
    let (mut tx, _) = node.transaction(&batch).await.unwrap().unwrap();
    tx.input.truncate(1);
    let spent = tx.input[0].previous_output;
    let (before, _) = node.transaction(&spent.txid).await.unwrap().unwrap();
    let prevout = before.output[spent.vout as usize].clone();
    tx.output = vec![TxOut { value: prevout.value - sats(1_000), ..prevout.clone() }];
    let kind = TapSighashType::Default;
    let hash = SighashCache::new(&tx).taproot_key_spend_signature_hash(0, &Prevouts::All(&[prevout]), kind).unwrap();
    let keypair = secret.tap_tweak(&Secp256k1::new(), None).to_keypair();
    let signature = Secp256k1::new().sign_schnorr(&Message::from_digest(hash.to_byte_array()), &keypair);
    tx.input[0].witness = Witness::p2tr_key_spend(&Signature { signature, sighash_type: kind });
    node.invalidate(&node.tip().await.unwrap().hash).await.unwrap();
    let address = Keys::from_mnemonic(&World::mnemonic("miner"), Network::Regtest).unwrap().chain_address(0).unwrap();
    for transactions in [vec![serialize_hex(&tx)], Vec::new()] {
        let arguments = vec![address.to_string().into(), transactions.into()];
        node.call("generateblock", arguments).await.unwrap();
    }
    assert_eq!(node.transaction(&batch).await.unwrap(), None);
}

/// A reorganisation takes the batch away, and the operator with it: the channel is left on chain.
#[tokio::test(flavor = "multi_thread")]
async fn the_batch_is_replaced() {
    let case = expired(Unit::Seconds).await;
    fund(&case.world, &case.payer, &[20_000]).await;
    let batch = case.payer.refund(&case.id).await.unwrap();
    case.world.mine(1).await;
    let state = || case.row("payer").hot.state;
    assert!(case.payer.maintain().await.unwrap().next_run.is_some());
    assert_eq!(state(), ChannelState::Refunded);
    replace(&case, batch).await;
    case.payer.maintain().await.unwrap();
    assert_eq!(state(), ChannelState::Refunded, "one look says nothing");
    case.world.mine(1).await;
    case.payer.maintain().await.unwrap();
    assert_eq!(state(), ChannelState::Refunding);
    let info = case.payer.exit_channel(&case.id).await.unwrap();
    assert_eq!((info.amount, state()), (sats(CAPACITY), ChannelState::Exiting));
    case.world.mine(1).await;
    let info = leave(&case.world, &case.payer).await;
    assert_eq!((info.stage, state()), (ExitStage::Done, ChannelState::Refunded));
    // What it ended with is another transaction: nobody asks for the batch any more.
    case.world.mine(1).await;
    case.payer.maintain().await.unwrap();
    assert_eq!(state(), ChannelState::Refunded);
}

/// The operator publishes it late.
#[tokio::test(flavor = "multi_thread")]
async fn the_batch_comes_late() {
    let case = expired(Unit::Seconds).await;
    case.world.regtest.operator().await.faults().turn(Knob::HoldCommitment);
    let batch = case.payer.refund(&case.id).await.unwrap();
    let commitment = case.world.regtest.operator().await.commitment(&batch).unwrap();
    let state = || case.row("payer").hot.state;
    assert_eq!(state(), ChannelState::Refunded, "by the operator's word");
    case.payer.advance_exits().await.unwrap();
    case.world.mine(1).await;
    case.payer.advance_exits().await.unwrap();
    assert_eq!(state(), ChannelState::Refunding);
    case.world.regtest.node().broadcast(&commitment).await.unwrap();
    case.payer.advance_exits().await.unwrap();
    assert_eq!(state(), ChannelState::Refunding, "in no block yet");
    case.world.mine(1).await;
    eventually("the batch", async || {
        case.payer.advance_exits().await.unwrap();
        state() == ChannelState::Refunded
    })
    .await;
    // Deep in the chain, at two looks: for good.
    case.world.mine(6).await;
    case.payer.maintain().await.unwrap();
    case.world.mine(1).await;
    case.payer.maintain().await.unwrap();
    let away = Store::open(&case.world.path("payer")).unwrap();
    let away = away.read(|db| db.signed_away_of(&case.row("payer").record.funding)).unwrap();
    assert_eq!(away.iter().map(|away| (away.spent_by, away.is_final)).collect::<Vec<_>>(), [(batch, true)]);
    assert_eq!(case.payer.balance().await.unwrap().total(), sats(CAPACITY));
}
