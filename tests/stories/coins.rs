//! Money outside channels: settling, withdrawing, sending; what it costs, and what is refused.

use bitcoin::{Address, Amount, ScriptBuf, TxOut, Txid};
use regtest::operator::{Action, Call, Code, Knob, Phase, Unit};
use virtual_channels::channel::{ArkAddress, ChannelError};
use virtual_channels::operator::code;
use virtual_channels::wallet::{FundingChoice, InviteRequest, Keys, Settlement, Wallet, WalletError};

use crate::opening::shown;
use crate::world::{World, eventually, refused, request, sats};

/// An on-chain address that is not of any wallet here.
pub fn elsewhere(index: u32) -> (String, ScriptBuf) {
    let keys = Keys::from_mnemonic(&World::mnemonic("elsewhere"), virtual_channels::channel::Network::Regtest).unwrap();
    let address: Address = keys.chain_address(index).unwrap();
    (address.to_string(), address.script_pubkey())
}

/// Fees that tell the four kinds apart.
pub async fn set_fees(world: &World) {
    world.regtest.operator().await.change(|settings| {
        settings.fees.offchain_input = "10.0".into();
        settings.fees.onchain_input = "200.0".into();
        settings.fees.offchain_output = "30.0".into();
        settings.fees.onchain_output = "1000.0".into();
    });
}

/// What the commitment transaction pays to a script.
async fn paid(world: &World, txid: &Txid, script: &ScriptBuf) -> Vec<Amount> {
    let (tx, _) = world.regtest.node().transaction(txid).await.unwrap().expect("the commitment transaction");
    tx.output.iter().filter(|output: &&TxOut| output.script_pubkey == *script).map(|output| output.value).collect()
}

pub async fn total(wallet: &Wallet) -> Amount {
    wallet.balance().await.unwrap().total()
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_costs_what_the_quote_says() {
    let world = World::start(Unit::Seconds).await;
    let wallet = world.wallet("wallet").await;
    assert!(matches!(refused(wallet.settle(false).await), WalletError::NothingToSettle));
    assert!(matches!(refused(wallet.quote_settle(true).await), WalletError::NothingToSettle));
    world.board(&wallet, 20_000).await;
    world.board(&wallet, 5_000).await;
    set_fees(&world).await;
    let before = shown(&wallet).await;
    let quote = wallet.quote_settle(false).await.unwrap();
    assert_eq!((quote.fee, quote.amount), (sats(430), sats(24_570)));
    assert_eq!((quote.minimum, quote.maximum > sats(1_000_000)), (sats(330), true));
    assert_eq!(shown(&wallet).await, before);
    let Settlement { commitment_txid, outpoint, amount, fee } = wallet.settle(false).await.unwrap();
    assert_eq!((fee, amount), (quote.fee, quote.amount));
    let balance = wallet.balance().await.unwrap();
    assert_eq!((balance.preconfirmed, balance.total()), (sats(24_570), sats(24_570)), "not settled before a block");
    world.mine(1).await;
    eventually("settled", async || wallet.balance().await.is_ok_and(|b| b.settled == sats(24_570))).await;
    assert!(world.regtest.node().transaction(&commitment_txid).await.unwrap().unwrap().1.is_some());
    // Settled is settled; renewing makes a fresh one of it.
    assert!(matches!(refused(wallet.settle(false).await), WalletError::NothingToSettle));
    let renewed = wallet.settle(true).await.unwrap();
    assert_eq!((renewed.fee, renewed.amount), (sats(40), sats(24_530)));
    assert_ne!(renewed.outpoint, outpoint);
}

#[tokio::test(flavor = "multi_thread")]
async fn preconfirmed_coins_are_settled() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 20_000).await;
    let shop = world.wallet("shop").await;
    payer.send(&shop.ark_address().unwrap(), sats(8_000)).await.unwrap();
    assert_eq!(shop.balance().await.unwrap().preconfirmed, sats(8_000));
    world.settle(&shop).await;
    assert_eq!(shop.balance().await.unwrap().settled, sats(8_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn settled_is_what_is_confirmed() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 20_000).await;
    let node = world.regtest.node();
    let tip = node.tip().await.unwrap().height;
    node.invalidate(&node.block_hash(tip).await.unwrap().unwrap()).await.unwrap();
    eventually("reorged", async || wallet.balance().await.is_ok_and(|b| b.preconfirmed == sats(20_000))).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let error = refused(wallet.propose(&invite, &request(10_000, FundingChoice::Offchain)).await);
    assert!(matches!(error, WalletError::NeedsSettledVtxos { limit: 4 }), "{error}");
    world.mine(1).await;
    eventually("again", async || wallet.balance().await.is_ok_and(|b| b.settled == sats(20_000))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawing_pays_exactly_the_amount() {
    let world = World::start(Unit::Seconds).await;
    let wallet = world.rich("wallet", 50_000).await;
    set_fees(&world).await;
    let (address, script) = elsewhere(0);
    let before = shown(&wallet).await;
    let quote = wallet.quote_withdraw(&address, Some(sats(12_345))).await.unwrap();
    // One VTXO in, one on-chain output, one VTXO as change.
    assert_eq!((quote.fee, quote.amount, quote.minimum), (sats(1_040), sats(12_345), sats(330)));
    assert_eq!(shown(&wallet).await, before);
    let done = wallet.withdraw(&address, Some(sats(12_345))).await.unwrap();
    assert_eq!((done.fee, done.amount), (sats(1_040), sats(12_345)));
    assert_eq!(paid(&world, &done.commitment_txid, &script).await, [sats(12_345)]);
    assert_eq!(total(&wallet).await, sats(50_000 - 12_345 - 1_040));
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawing_everything() {
    let world = World::start(Unit::Seconds).await;
    let wallet = world.rich("wallet", 30_000).await;
    world.board(&wallet, 10_000).await;
    world.settle(&wallet).await;
    set_fees(&world).await;
    let (address, script) = elsewhere(0);
    let quote = wallet.quote_withdraw(&address, None).await.unwrap();
    assert_eq!((quote.fee, quote.amount), (sats(1_020), sats(38_980)));
    let done = wallet.withdraw(&address, None).await.unwrap();
    assert_eq!((done.amount, done.fee, done.outpoint), (quote.amount, quote.fee, None));
    assert_eq!(paid(&world, &done.commitment_txid, &script).await, [sats(38_980)]);
    assert_eq!(total(&wallet).await, Amount::ZERO);
    let error = refused(wallet.withdraw(&address, None).await);
    let WalletError::InsufficientFunds { available, .. } = error else { panic!("{error}") };
    assert_eq!(available, Amount::ZERO);
}

/// The smallest coin that is enough for the amount may not be enough for fee and change: then others are taken.
#[tokio::test(flavor = "multi_thread")]
async fn withdrawing_takes_more_coins_for_fee_and_change() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    world.board(&wallet, 20_000).await;
    world.settle(&wallet).await;
    set_fees(&world).await;
    let (address, script) = elsewhere(0);
    for amount in [10_000, 9_900] {
        let quote = wallet.quote_withdraw(&address, Some(sats(amount))).await.unwrap();
        assert_eq!((quote.fee, quote.amount), (sats(1_040), sats(amount)));
    }
    let before = shown(&wallet).await;
    let error = refused(wallet.withdraw(&address, Some(sats(30_000))).await);
    let WalletError::InsufficientFunds { needed, available } = error else { panic!("{error}") };
    assert_eq!((needed, available), (sats(31_020), sats(30_000)));
    assert_eq!(shown(&wallet).await, before);
    let done = wallet.withdraw(&address, Some(sats(10_000))).await.unwrap();
    assert_eq!(paid(&world, &done.commitment_txid, &script).await, [sats(10_000)]);
    assert_eq!(total(&wallet).await, sats(18_960));
}

#[tokio::test(flavor = "multi_thread")]
async fn withdrawals_that_are_refused() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 50_000).await;
    world.regtest.operator().await.change(|settings| settings.utxo_max = 20_000);
    let (address, _) = elsewhere(0);
    let before = shown(&wallet).await;
    let error = refused(wallet.withdraw(&address, Some(sats(329))).await);
    let WalletError::AmountTooSmall { amount, minimum } = error else { panic!("{error}") };
    assert_eq!((amount, minimum), (sats(329), sats(330)));
    for asked in [Some(sats(20_001)), None] {
        let error = refused(wallet.withdraw(&address, asked).await);
        let WalletError::AmountTooLarge { amount, maximum } = error else { panic!("{error}") };
        assert_eq!((amount, maximum), (asked.unwrap_or(sats(50_000)), sats(20_000)));
    }
    let mainnet = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr";
    for wrong in [mainnet, "", "hello", &"q".repeat(5_000), &wallet.ark_address().unwrap()] {
        let error = refused(wallet.withdraw(wrong, Some(sats(5_000))).await);
        assert!(matches!(error, WalletError::InvalidAddress), "{error}");
    }
    world.regtest.operator().await.faults().always(Call::RegisterIntent, Action::Refuse(Code::Internal, "no".into()));
    let error = refused(wallet.withdraw(&address, Some(sats(5_000))).await);
    assert!(matches!(&error, WalletError::Operator(error) if error.is(code::INTERNAL_ERROR)), "{error}");
    assert_eq!(shown(&wallet).await, before, "nothing is held after a refusal");
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_with_change_and_exactly() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    let shop = world.wallet("shop").await;
    let address = shop.ark_address().unwrap();
    assert_eq!(address, shop.ark_address().unwrap());
    wallet.send(&address, sats(3_000)).await.unwrap();
    let balance = wallet.balance().await.unwrap();
    assert_eq!((balance.preconfirmed, balance.pending, balance.total()), (sats(7_000), Amount::ZERO, sats(7_000)));
    wallet.send(&address, sats(7_000)).await.unwrap();
    assert_eq!(total(&wallet).await, Amount::ZERO);
    assert_eq!(shop.balance().await.unwrap().preconfirmed, sats(10_000));
    assert_ne!(shop.new_ark_address().unwrap(), address);
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_that_are_refused() {
    let world = World::with(Unit::Blocks, |settings| settings.vtxo_max = 40_000).await;
    let wallet = world.rich("wallet", 10_000).await;
    let shop = world.wallet("shop").await;
    let address = shop.ark_address().unwrap();
    let before = shown(&wallet).await;
    let error = refused(wallet.send(&address, sats(10_001)).await);
    let WalletError::InsufficientFunds { needed, available } = error else { panic!("{error}") };
    assert_eq!((needed, available), (sats(10_001), sats(10_000)));
    // 329 sats cannot be change.
    let error = refused(wallet.send(&address, sats(9_671)).await);
    let WalletError::InsufficientFunds { needed, available } = error else { panic!("{error}") };
    assert_eq!((needed, available), (sats(10_001), sats(10_000)));
    for amount in [0, 329] {
        let error = refused(wallet.send(&address, sats(amount)).await);
        let WalletError::AmountTooSmall { amount: figure, minimum } = error else { panic!("{error}") };
        assert_eq!((figure, minimum), (sats(amount), sats(330)));
    }
    let error = refused(wallet.send(&address, sats(40_001)).await);
    let WalletError::AmountTooLarge { amount, maximum } = error else { panic!("{error}") };
    assert_eq!((amount, maximum), (sats(40_001), sats(40_000)));
    let parsed = ArkAddress::parse(&address).unwrap();
    let foreign = ArkAddress { operator: parsed.output_key, ..parsed };
    let error = refused(wallet.send(&foreign.to_string(), sats(5_000)).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::WrongOperator { .. })), "{error}");
    let mainnet = ArkAddress { mainnet: true, ..parsed };
    assert!(matches!(refused(wallet.send(&mainnet.to_string(), sats(5_000)).await), WalletError::InvalidAddress));
    let error = refused(wallet.send("hello", sats(5_000)).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::InvalidAddress)), "{error}");
    assert_eq!(shown(&wallet).await, before);
    assert_eq!(total(&shop).await, Amount::ZERO);
}

/// Whatever happens to the answers of a send: the money is either still here or arrives, once.
async fn send_answer_lost(call: Call, action: Action) {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    let shop = world.wallet("shop").await;
    world.regtest.operator().await.faults().once(call, action);
    if wallet.send(&shop.ark_address().unwrap(), sats(3_000)).await.is_err() {
        let balance = wallet.balance().await.unwrap();
        assert!(balance.settled == Amount::ZERO && balance.pending == balance.total(), "{balance:?}");
        let arrived = total(&shop).await;
        assert_eq!(balance.total() + arrived, sats(10_000), "{balance:?}");
        let (left, errors) = wallet.resume().await.unwrap();
        assert!(left == 0 && errors.is_empty(), "{errors:?}");
    }
    assert_eq!(total(&shop).await, sats(3_000));
    let balance = wallet.balance().await.unwrap();
    assert_eq!((balance.preconfirmed, balance.total()), (sats(7_000), sats(7_000)));
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_answer_lost() {
    send_answer_lost(Call::SubmitTx, Action::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn submit_answer_garbage() {
    send_answer_lost(Call::SubmitTx, Action::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn finalize_answer_lost() {
    send_answer_lost(Call::FinalizeTx, Action::LoseAnswer).await;
}

/// The operator gives a wrong signature of its own each time it is asked: nothing is finalized, and nothing forgotten.
#[tokio::test(flavor = "multi_thread")]
async fn submit_answered_with_wrong_signatures() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    let shop = world.wallet("shop").await;
    let before = world.regtest.operator().await.faults().seen(Call::FinalizeTx);
    world.regtest.operator().await.faults().turn_once(Knob::WrongArkSignature);
    match wallet.send(&shop.ark_address().unwrap(), sats(3_000)).await {
        // What GetPendingTx shows was right.
        Ok(_) => {}
        Err(_) => {
            assert_eq!(world.regtest.operator().await.faults().seen(Call::FinalizeTx), before);
            assert_eq!(wallet.balance().await.unwrap().pending, sats(10_000));
            let (left, errors) = wallet.resume().await.unwrap();
            assert!(left == 0 && errors.is_empty(), "{errors:?}");
        }
    }
    assert_eq!((total(&shop).await, total(&wallet).await), (sats(3_000), sats(7_000)));
}

async fn settling_fails_then_succeeds(phase: Phase) {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    world.board(&wallet, 5_000).await;
    world.regtest.operator().await.faults().turn_once(Knob::FailBatch(phase));
    let settled = wallet.settle(true).await.unwrap();
    assert_eq!(settled.amount, sats(15_000));
    let balance = wallet.balance().await.unwrap();
    assert_eq!((balance.preconfirmed, balance.total()), (sats(15_000), sats(15_000)));
    assert_eq!(wallet.resume().await.unwrap().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_fails_at_the_start_then_succeeds() {
    settling_fails_then_succeeds(Phase::Started).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_fails_before_forfeits_then_succeeds() {
    settling_fails_then_succeeds(Phase::Forfeits).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_fails_with_everything_signed_then_succeeds() {
    settling_fails_then_succeeds(Phase::Broadcast).await;
}

/// An operator that never lets a batch succeed: the coins are free again, and it costs no ban.
#[tokio::test(flavor = "multi_thread")]
async fn settling_that_always_fails_holds_nothing() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    let before = shown(&wallet).await;
    world.regtest.operator().await.faults().turn(Knob::FailBatch(Phase::Signatures));
    let error = refused(wallet.settle(true).await);
    assert!(matches!(&error, WalletError::Operator(error) if error.is_batch_failure()), "{error}");
    assert_eq!(shown(&wallet).await, before);
    world.regtest.operator().await.faults().clear();
    assert_eq!(wallet.settle(true).await.unwrap().amount, sats(10_000));
}

/// The process ends in the middle of a withdrawal: it goes on, and pays once.
#[tokio::test(flavor = "multi_thread")]
async fn withdrawing_goes_on_after_a_restart() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 10_000).await;
    let (address, script) = elsewhere(3);
    world.regtest.operator().await.faults().turn(Knob::Stall(Phase::Broadcast));
    let running = tokio::spawn({
        let (wallet, address) = (wallet.clone(), address.clone());
        async move { wallet.withdraw(&address, Some(sats(4_000))).await }
    });
    // All is signed, and the operator has it: its call having come in would not be enough.
    eventually("the batch", async || world.regtest.operator().await.faults().held() > 0).await;
    running.abort();
    wallet.close().unwrap();
    world.regtest.operator().await.faults().clear();
    let wallet = world.wallet("wallet").await;
    eventually("withdrawn", async || wallet.resume().await.is_ok_and(|(left, _)| left == 0)).await;
    assert_eq!(total(&wallet).await, sats(6_000));
    world.mine(1).await;
    let tip = world.regtest.node().tip().await.unwrap().height;
    let mut amounts = Vec::new();
    for height in 1..=tip {
        let (_, _, txs) = world.regtest.node().block_transactions(height).await.unwrap();
        amounts.extend(txs.into_iter().flat_map(|tx| tx.output).filter(|o| o.script_pubkey == script).map(|o| o.value));
    }
    assert_eq!(amounts, [sats(4_000)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_balance_is_known_while_operator_and_chain_are_gone() {
    let world = World::start(Unit::Seconds).await;
    let wallet = world.wallet("wallet").await;
    assert_eq!(wallet.last_balance().unwrap(), None);
    world.board(&wallet, 20_000).await;
    let seen = wallet.balance().await.unwrap();
    assert_eq!(seen.boarding, sats(20_000));
    wallet.close().unwrap();

    let mut config = world.config("wallet");
    config.operator_url = "http://127.0.0.1:1".into();
    config.esplora_url = "http://127.0.0.1:1".into();
    let wallet = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    refused(wallet.balance().await);
    let last = wallet.last_balance().unwrap().unwrap();
    assert_eq!(last.balance, seen);
    assert!(last.at > 0);
}
