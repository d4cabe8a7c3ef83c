//! What a batch comes to when one party does something wrong, and what a real arkd 0.9.15 made of it: ours must say the same.
//!
//! `SLOW=1 ARKD=http://… FAUCET=host:port cargo test -p regtest --test operator_tricks --features real-arkd -- theirs --nocapture` asks a running
//! arkd and compares it with the list again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod operator_support;

use bitcoin::OutPoint;
use operator_support::target::Target;
use operator_support::{Coin, Party, Trick};
use regtest::operator::Unit;

/// One line a trick: refused calls with gRPC status and code, then how the batch ended.
const RECORDED: &str = include_str!("refusals/tricks-0.9.15.txt");

/// Tricks with boarding coins, then with VTXOs.
const BOARDING: &[Trick] = &[
    Trick::None,
    Trick::NoNonces,
    Trick::NoncesForAnotherTree,
    Trick::NoSignatures,
    Trick::WrongSignatures,
    Trick::ShortSignatures,
    Trick::NoBoarding,
    Trick::UnsignedBoarding,
    Trick::WrongBoardingSignature,
    Trick::BoardingWithTwoLeaves,
];
const VTXOS: &[Trick] = &[
    Trick::NoForfeits,
    Trick::UnsignedForfeit,
    Trick::WrongForfeitSignature,
    Trick::ForfeitElsewhere,
    Trick::ForfeitOfAnotherConnector,
    Trick::ForfeitConnectorFirst,
    Trick::ForfeitWithoutConnectorOutput,
    Trick::ForfeitTwice,
    // Last: its intent goes back into the queue and is in every batch from then on.
    Trick::SilentAtConfirmation,
];

async fn boarding(target: &Target, party: &Party) -> Coin {
    let tree = party.boarding_tree();
    let outpoint = target.pay(&tree.script_pubkey(), 50_000).await;
    target.mine(1).await;
    Coin { outpoint, amount: 50_000, tree, leaf: 0, sequence: bitcoin::Sequence::MAX }
}

async fn outcome(party: &mut Party, trick: Trick, coin: Coin) -> String {
    party.trick = Some(trick);
    let ended = party.settle(&[coin], vec![party.vtxo_output(50_000)]).await;
    let end = match ended {
        Ok(_) => "well".to_owned(),
        // Without the part that names keys, transactions or libraries.
        Err(reason) => reason.split(", ").next().unwrap_or_default().split(": ").take(2).collect::<Vec<_>>().join(": "),
    };
    let line = format!("{trick:?}: {:?} {end}", party.log);
    println!("= {line}");
    line
}

async fn with_boarding(target: &Target) -> Vec<String> {
    let mut lines = Vec::new();
    for trick in BOARDING {
        let mut party = Party::at(target.url()).await;
        let coin = boarding(target, &party).await;
        lines.push(outcome(&mut party, *trick, coin).await);
    }
    lines
}

async fn with_vtxos(target: &Target) -> Vec<String> {
    let mut lines = Vec::new();
    for trick in VTXOS {
        let mut party = Party::at(target.url()).await;
        let coin = boarding(target, &party).await;
        party.settle(&[coin], vec![party.vtxo_output(50_000)]).await.unwrap();
        target.mine(1).await;
        if std::env::var("SLOW").is_ok() {
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
        let vtxo = party.vtxos(&party.vtxo_tree().script_pubkey()).await.remove(0);
        let place = vtxo.outpoint.as_ref().unwrap();
        let coin = party.coin(OutPoint::new(place.txid.parse().unwrap(), place.vout), 50_000);
        lines.push(outcome(&mut party, *trick, coin).await);
    }
    lines
}

fn compare(answers: &[String], recorded: impl Iterator<Item = &'static str>) {
    let recorded: Vec<&str> = recorded.collect();
    answers.iter().zip(&recorded).for_each(|(ours, theirs)| assert_eq!(ours, theirs));
    assert_eq!(answers.len(), recorded.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_with_boarding_coins() {
    let answers = with_boarding(&Target::ours(Unit::Seconds, 3).await).await;
    compare(&answers, RECORDED.lines().take(BOARDING.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_with_vtxos() {
    let answers = with_vtxos(&Target::ours(Unit::Blocks, 3).await).await;
    compare(&answers, RECORDED.lines().skip(BOARDING.len()));
}

#[cfg(feature = "real-arkd")]
#[tokio::test(flavor = "multi_thread")]
async fn theirs() {
    let target = Target::real().expect("ARKD and FAUCET say where it is");
    let mut answers = with_boarding(&target).await;
    answers.extend(with_vtxos(&target).await);
    compare(&answers, RECORDED.lines());
}
