//! The channel expires before anybody has closed or refunded it: arkd's expiry is wall-clock, ahead of the median time
//! that locks on chain go by. The payer takes it back in a batch; the receiver came too late, and is told.

use regtest::operator::{Action, Call, Code, Knob, Phase, Unit};
use virtual_channels::operator::code;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, MaintenanceTask, WalletError};

use crate::case::{CAPACITY, Case, UNITS, paid};
use crate::world::{World, eventually, refused, sats};

/// The locktime has passed by the chain, and the operator calls the channel expired: in seconds by its clock, while the
/// chain's median time is before the expiry; in blocks by the height, and it has swept the batch.
pub async fn expired(unit: Unit) -> Case {
    let case = paid(unit).await;
    let info = case.payer.channel(&case.id).unwrap();
    let locktime = u64::from(info.locktime.to_consensus_u32());
    let tip = case.world.regtest.node().tip().await.unwrap();
    if unit == Unit::Blocks {
        case.world.mine(400).await;
        let swept = async || {
            let operator = case.world.regtest.operator().await;
            operator.vtxo(&info.funding).is_some_and(|vtxo| vtxo.is_swept)
        };
        eventually("the sweep", swept).await;
        return case;
    }
    case.world.regtest.node().generate_after(12, locktime - tip.time + 60).await.unwrap();
    let tip = case.world.regtest.node().tip().await.unwrap();
    assert!(tip.median_time >= locktime && tip.median_time < info.expiry);
    case.clock.by(90_000);
    case.change(|settings| settings.clock_shift = 90_000).await;
    case
}

impl Case {
    async fn is_back(&self, amount: u64) {
        assert_eq!(self.row("payer").hot.state, ChannelState::Refunded);
        self.world.mine(1).await;
        let all =
            async || self.payer.balance().await.is_ok_and(|b| b.total() == sats(amount) && b.in_channels == sats(0));
        eventually("everything back", all).await;
        let told = self.payer.pending_events(1_000).unwrap();
        let told = told.iter().filter(|event| matches!(event.kind, EventKind::ChannelRefunded { .. })).count();
        assert_eq!(told, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_takes_it_back_in_a_batch() {
    for unit in UNITS {
        let case = expired(unit).await;
        let quote = case.payer.quote_refund(&case.id).await.unwrap();
        assert_eq!((quote.fee, quote.amount), (sats(0), sats(CAPACITY)));
        let txid = case.payer.refund(&case.id).await.unwrap();
        assert_eq!(case.row("payer").result.unwrap().txid, txid);
        case.is_back(CAPACITY).await;
        assert!(matches!(refused(case.payer.quote_refund(&case.id).await), WalletError::WrongState { .. }));
        let error = case.close_refused().await;
        assert!(matches!(error, WalletError::Expired { .. } | WalletError::AlreadySpent { .. }), "{error}");
    }
}

/// Nobody watches maintenance, and the operator asks for most of it: it is not paid. While the channel can come on chain
/// that is the way; where its batch is swept the user decides.
#[tokio::test(flavor = "multi_thread")]
async fn maintenance_pays_no_fee_that_takes_most_of_it() {
    for unit in UNITS {
        let case = expired(unit).await;
        case.change(|settings| settings.fees.offchain_input = "25000.0".into()).await;
        let registered = async || case.world.regtest.operator().await.faults().seen(Call::RegisterIntent);
        let before = registered().await;
        let report = case.payer.maintain().await.unwrap();
        let error = report.errors.iter().find(|error| error.task == MaintenanceTask::Refund).expect("a refusal");
        assert_eq!(error.channel_id, Some(case.id));
        let WalletError::FeesLeaveTooLittle { fee, left, minimum } = error.error else { panic!("{error:?}") };
        assert_eq!((fee, left, minimum), (sats(25_000), sats(15_000), sats(CAPACITY / 2)));
        assert_eq!(registered().await, before, "nothing was signed for a batch");
        if unit == Unit::Seconds {
            assert_eq!(report.exits.iter().map(|exit| exit.channel_id).collect::<Vec<_>>(), [Some(case.id)]);
            assert_eq!(case.row("payer").hot.state, ChannelState::Exiting);
            continue;
        }
        assert_eq!((report.exits.len(), case.row("payer").hot.state), (0, ChannelState::Open));
        let quote = case.payer.quote_refund(&case.id).await.unwrap();
        assert_eq!((quote.fee, quote.amount), (sats(25_000), sats(15_000)));
        assert_eq!(registered().await, before, "nothing was signed for a batch");
        case.payer.refund(&case.id).await.unwrap();
        case.is_back(CAPACITY - 25_000).await;
    }
}

/// An operator that calls a channel expired which is not: it stays as it is, and can be left on chain.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_says_so_too_early() {
    let case = paid(Unit::Blocks).await;
    let info = case.payer.channel(&case.id).unwrap();
    let tip = case.world.regtest.node().tip().await.unwrap();
    case.world.mine(info.locktime.to_consensus_u32() - tip.height).await;
    let too_early = Action::Refuse(Code::VtxoRecoverable, "expired".into());
    case.world.regtest.operator().await.faults().once(Call::SubmitTx, too_early);
    let batches = async || case.world.regtest.operator().await.faults().seen(Call::RegisterIntent);
    let before = batches().await;
    let error = refused(case.payer.refund(&case.id).await);
    assert!(matches!(&error, WalletError::Operator(error) if error.is(code::VTXO_RECOVERABLE)), "{error}");
    assert_eq!((case.row("payer").hot.state, batches().await), (ChannelState::Open, before));
    // It was a lie: the next time it works.
    case.payer.refund(&case.id).await.unwrap();
    case.is_back(CAPACITY).await;
}

/// The batch is slow, and the payer leaves meanwhile: the exit ends with the batch, and pays for nothing more.
#[tokio::test(flavor = "multi_thread")]
async fn left_on_chain_while_the_batch_is_under_way() {
    let case = expired(Unit::Seconds).await;
    case.world.regtest.operator().await.faults().turn(Knob::Stall(Phase::Finalized));
    let taking = tokio::spawn({
        let (payer, id) = (case.payer.clone(), case.id);
        async move { payer.refund(&id).await }
    });
    let settled = async || {
        let funding = case.row("payer").record.funding;
        let operator = case.world.regtest.operator().await;
        operator.vtxo(&funding).is_some_and(|vtxo| !vtxo.settled_by.is_empty())
    };
    eventually("the batch", settled).await;
    // Without fee coins nothing of it goes out.
    case.payer.exit_channel(&case.id).await.unwrap();
    assert_eq!((case.payer.exits().unwrap().len(), case.row("payer").hot.state), (1, ChannelState::Exiting));
    case.world.regtest.operator().await.faults().clear();
    taking.await.unwrap().unwrap();
    assert_eq!(case.payer.exits().unwrap(), []);
    case.is_back(CAPACITY).await;
}

/// The batch's end is not told: the wallet is closed, opened again, and finds it.
#[tokio::test(flavor = "multi_thread")]
async fn interrupted_at_the_end_of_the_batch() {
    let mut case = expired(Unit::Seconds).await;
    case.world.regtest.operator().await.faults().turn_once(Knob::Stall(Phase::Finalized));
    let taking = tokio::spawn({
        let (payer, id) = (case.payer.clone(), case.id);
        async move { payer.refund(&id).await }
    });
    let settled = async || {
        let funding = case.row("payer").record.funding;
        let operator = case.world.regtest.operator().await;
        operator.vtxo(&funding).is_some_and(|vtxo| !vtxo.settled_by.is_empty())
    };
    eventually("the batch", settled).await;
    taking.abort();
    case.payer.close().unwrap();
    case.world.regtest.operator().await.faults().clear();
    let mut config = case.world.config("payer");
    config.clock = case.clock.clone();
    case.payer = virtual_channels::wallet::Wallet::open(config, &World::mnemonic("payer")).await.unwrap();
    let (left, errors) = case.payer.resume().await.unwrap();
    assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
    case.is_back(CAPACITY).await;
}
