//! What ends on chain, whoever is to blame: the operator refuses for good, or is gone. The receiver gets what it was
//! paid, less the fees that the chain asks.

use bitcoin::Txid;
use regtest::operator::{Action, Call, Unit};
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{ExitInfo, ExitStage, Wallet, WalletError};

use crate::case::{CAPACITY, Case, PAID, UNITS, paid};
use crate::stage::{fund, wait};
use crate::world::{eventually, pay, refused, sats};

/// Sats that the receiver keeps in coins for fees.
const PURSE: u64 = 20_000;
/// What claiming costs at most, at the rate of the tests.
const DEAR: u64 = 700;

impl Case {
    /// The branch goes on chain, a block a level, paid for by somebody.
    async fn unroll(&self) {
        let store = Store::open(&self.world.path("payer")).unwrap();
        let branch = store.read(|db| db.branch(&self.row("payer").record.funding)).unwrap().unwrap();
        for node in &branch.nodes {
            let answer = self.world.regtest.node().cpfp(&node.tx, sats(5_000)).await.unwrap();
            assert_eq!(answer["package_msg"], "success", "{answer}");
            self.world.mine(1).await;
        }
    }

    /// The same, and the operator has seen it.
    async fn unroll_and_show(&self) {
        self.unroll().await;
        let funding = self.row("payer").record.funding;
        let seen = async || {
            let operator = self.world.regtest.operator().await;
            operator.vtxo(&funding).is_some_and(|vtxo| vtxo.is_unrolled)
        };
        eventually("the operator's look at the chain", seen).await;
    }

    /// The receiver leaves, to the end.
    async fn leaves_with(&self, amount: u64) {
        let first = self.receiver.exit_channel(&self.id).await.unwrap();
        assert_eq!(first.amount, sats(amount));
        let info = self.drive(&self.receiver, first).await;
        assert_eq!(info.stage, ExitStage::Done);
        assert!(info.amount > sats(amount - DEAR) && info.amount <= sats(amount), "{}", info.amount);
        assert_eq!(self.state(), ChannelState::Settled);
    }

    /// Advances the wallet's exit and lets blocks and time pass, until it is over.
    pub async fn drive(&self, wallet: &Wallet, mut info: ExitInfo) -> ExitInfo {
        for _ in 0..30 {
            assert_eq!(info.problem, None);
            match info.stage {
                ExitStage::Waiting { until, unit } => wait(&self.world, (until, unit)).await,
                ExitStage::Done | ExitStage::Lost => return info,
                _ => self.world.mine(1).await,
            }
            info = wallet.advance_exits().await.unwrap().remove(0);
        }
        panic!("30 steps are not enough");
    }

    /// The close is submitted, and its end lost on the way.
    async fn submitted(&self) -> Txid {
        self.world.regtest.operator().await.faults().once(Call::FinalizeTx, Action::Drop);
        let error = self.close_refused().await;
        let WalletError::OutcomeUnknown { ark_txid } = error else { panic!("{error}") };
        ark_txid
    }
}

pub async fn funded(unit: Unit) -> Case {
    let case = paid(unit).await;
    fund(&case.world, &case.receiver, &[PURSE / 2, PURSE / 2]).await;
    case
}

/// The operator refuses the close of a channel that is on chain: the exit update takes it.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_unrolls_before_the_close() {
    for unit in UNITS {
        let case = funded(unit).await;
        case.unroll_and_show().await;
        let error = case.close_refused().await;
        assert!(matches!(error, WalletError::Unrolled { channel_id } if channel_id == case.id), "{error}");
        case.leaves_with(PAID).await;
    }
}

/// The operator has signed and finalizes no more: its signatures are good on chain.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_unrolls_between_submit_and_finalize() {
    for unit in UNITS {
        let case = funded(unit).await;
        case.submitted().await;
        case.unroll_and_show().await;
        case.close_refused().await;
        case.leaves_with(PAID).await;
    }
}

/// Somebody finalizes with garbage: dead for the operator, and for nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_close_goes_on_chain() {
    for unit in UNITS {
        let case = funded(unit).await;
        let ark_txid = case.submitted().await;
        assert!(case.world.regtest.operator().await.poison(&ark_txid));
        case.close_refused().await;
        case.clock.by(61);
        let error = case.close_refused().await;
        assert!(matches!(error, WalletError::FinalizeFailed { ark_txid: dead, .. } if dead == ark_txid), "{error}");
        case.leaves_with(PAID).await;
    }
}

/// What the receiver closed is not settled yet when the operator dies and the payer unrolls: the close goes on chain
/// before the payer's own leaf is ripe.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_unrolls_after_the_close_and_the_operator_is_dead() {
    for unit in UNITS {
        let case = funded(unit).await;
        case.receiver.close_channel(&case.id).await.unwrap();
        case.world.regtest.stop_operator().await;
        case.unroll().await;
        case.leaves_with(PAID).await;
    }
}

/// The operator is gone for good right after the opening: payments go on, and the receiver leaves with all of them. The
/// payer collects what is left from the receiver's exit.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_gone_for_the_whole_life() {
    let case = funded(Unit::Seconds).await;
    fund(&case.world, &case.payer, &[PURSE]).await;
    case.world.regtest.stop_operator().await;
    for n in 0..5 {
        pay(&case.payer, &case.receiver, &case.id, 1_000, &format!("offline {n}"));
        case.receiver.watch(&case.id).await.unwrap();
    }
    assert!(matches!(refused(case.receiver.close_channel(&case.id).await), WalletError::Operator(_)));
    case.leaves_with(PAID + 5_000).await;
    let first = case.payer.exit_channel(&case.id).await.unwrap();
    let rest = case.drive(&case.payer, first).await;
    assert_eq!(rest.stage, ExitStage::Done);
    assert!(rest.amount > sats(CAPACITY - PAID - 5_000 - DEAR), "{}", rest.amount);
}
