//! What an exit would cost, at a rate that is asked about.

use bitcoin::FeeRate;
use regtest::operator::Unit;
use virtual_channels::channel::{Delay, Unit as DelayUnit};
use virtual_channels::wallet::{ExitQuote, ExitStage};

use crate::stage::{finish, fund, in_a_batch, leave, off_chain, pair, unroll, wait};
use crate::world::{pay, sats};

/// A block takes so long on average, and the median time past is so far behind, in seconds.
const BLOCK: u64 = 600;
const LAG: u64 = 3_600;

fn rate(sats: u64) -> FeeRate {
    FeeRate::from_sat_per_vb(sats).unwrap()
}

fn wait_of(delay: Delay) -> u64 {
    match delay.unit() {
        DelayUnit::Blocks => delay.value() * BLOCK,
        DelayUnit::Seconds => delay.value() + LAG,
    }
}

/// What does not depend on the rate.
fn way(quote: &ExitQuote) -> (u64, u32, u32, u32, u64, Delay) {
    (quote.claimed.to_sat(), quote.transactions, quote.levels, quote.coins, quote.seconds, quote.delay)
}

async fn scales_with_the_rate(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    let id = in_a_batch(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    let terms = receiver.channel(&id).unwrap();
    let levels = terms.levels;
    assert!(levels > 1, "a tree");
    for (wallet, claimed, delay) in [(&receiver, 12_000, terms.d1), (&payer, 30_000, terms.d2)] {
        let one = wallet.exit_quote(&id, Some(rate(1))).await.unwrap();
        assert_eq!(one, wallet.exit_quote(&id, None).await.unwrap(), "the chain server says 1");
        let least = FeeRate::from_sat_per_kwu(1);
        assert_eq!(one, wallet.exit_quote(&id, Some(least)).await.unwrap(), "less is not relayed");
        assert_eq!((one.claimed, one.delay, one.levels, one.transactions), (sats(claimed), delay, levels, levels));
        // A block for each level, and one for the claim.
        assert_eq!(one.seconds, u64::from(levels + 1) * BLOCK + wait_of(delay));
        assert_eq!(one.net, one.claimed - one.fee - one.claim_fee);
        for more in [2, 7, 20] {
            let quote = wallet.exit_quote(&id, Some(rate(more))).await.unwrap();
            assert_eq!((quote.rate, way(&quote)), (rate(more), way(&one)));
            assert_eq!((quote.fee, quote.claim_fee), (one.fee * more, one.claim_fee * more));
            assert_eq!(quote.worth_from, quote.fee + quote.claim_fee + sats(330));
            let needed = quote.fee + sats(330);
            assert_eq!(quote.missing, needed.checked_sub(quote.has).unwrap_or_default());
        }
        let far_too_much = wallet.exit_quote(&id, Some(rate(1_000))).await.unwrap();
        assert!(far_too_much.net == sats(0) && far_too_much.worth_from > far_too_much.claimed, "{far_too_much:?}");
    }

    // On chain only the wait and the claim are left, and the claim brings what was said.
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &receiver).await;
    let quote = receiver.exit_quote(&id, Some(rate(5))).await.unwrap();
    assert_eq!((quote.transactions, quote.levels, quote.coins, quote.fee, quote.missing), (0, 0, 0, sats(0), sats(0)));
    assert_eq!((quote.claimed, quote.seconds), (sats(12_000), BLOCK + wait_of(terms.d1)));
    wait(&world, until).await;
    world.regtest.set_fee_rate(5);
    let info = finish(&world, &receiver).await;
    assert_eq!(info.stage, ExitStage::Done);
    let (more, less) = (info.amount.max(quote.net), info.amount.min(quote.net));
    assert!(more - less < sats(5 * 20), "{} came of it, {} said", info.amount, quote.net);
}

#[tokio::test(flavor = "multi_thread")]
async fn scales_with_the_rate_in_blocks() {
    scales_with_the_rate(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scales_with_the_rate_in_seconds() {
    scales_with_the_rate(Unit::Seconds).await;
}

/// What a given rate is said to cost is what it costs at that rate, all the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_given_rate_is_what_is_paid() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = off_chain(&world, &payer, &receiver, 60_000).await;
    pay(&payer, &receiver, &id, 40_000, "one");
    fund(&world, &receiver, &[50_000]).await;
    world.regtest.stop_operator().await;
    let quote = receiver.exit_quote(&id, Some(rate(8))).await.unwrap();
    assert_eq!(receiver.exit_quote(&id, None).await.unwrap().rate, rate(1));
    world.regtest.set_fee_rate(8);
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    assert_eq!(leave(&world, &receiver).await.stage, ExitStage::Done);
    let has = receiver.onchain_balance().await.unwrap().confirmed;
    let said = sats(50_000) + quote.net;
    let (more, less) = (has.max(said), has.min(said));
    assert!(more - less < sats(8 * 20), "{has} left, {said} said");
}
