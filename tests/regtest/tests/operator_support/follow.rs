//! One party goes through a batch, honestly or with a trick.

use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::psbt::Psbt;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use regtest::operator::script::anchor;
use regtest::operator::wire::get_event_stream_response::Event;
use regtest::operator::{psbt, wire};
use tonic::{Status, Streaming};

use super::tree::Run;
use super::{Coin, Party, key_of, prevouts, sign};

/// What a party does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trick {
    /// Nothing; calls that are refused are only written down.
    None,
    SilentAtConfirmation,
    NoNonces,
    NoncesForAnotherTree,
    NoSignatures,
    WrongSignatures,
    ShortSignatures,
    NoForfeits,
    UnsignedForfeit,
    WrongForfeitSignature,
    ForfeitElsewhere,
    ForfeitOfAnotherConnector,
    ForfeitConnectorFirst,
    ForfeitWithoutConnectorOutput,
    ForfeitTwice,
    NoBoarding,
    UnsignedBoarding,
    WrongBoardingSignature,
    BoardingWithTwoLeaves,
}

impl Party {
    /// Registers, goes through the whole batch, and returns the commitment's id or why the batch failed.
    pub async fn settle(&mut self, coins: &[Coin], outputs: Vec<TxOut>) -> Result<Txid, String> {
        let mut stream = self.listen(coins).await;
        let id = self.register(coins, outputs).await.map_err(|e| e.message().to_owned())?;
        self.follow(&mut stream, Some(id), coins).await
    }

    /// Follows one batch to its end.
    pub async fn follow(&mut self, stream: &mut Stream, id: Option<String>, coins: &[Coin]) -> Result<Txid, String> {
        let mut run = Run::default();
        loop {
            match stream.next().await.ok_or("stream ended")? {
                Event::BatchStarted(started) => {
                    run = Run { batch: started.id, expiry: started.batch_expiry as u32, ..Run::default() };
                    if let Some(id) = id.as_ref().filter(|_| self.trick != Some(Trick::SilentAtConfirmation)) {
                        let request = wire::ConfirmRegistrationRequest { intent_id: id.clone() };
                        let result = self.ark.confirm_registration(request).await;
                        self.took("confirm", result)?;
                    }
                }
                Event::TreeTx(tx) => {
                    let packet = psbt::decode(&tx.tx).unwrap();
                    let list = if tx.batch_index == 0 { &mut run.tree } else { &mut run.connectors };
                    list.push((packet, tx.topic));
                }
                Event::TreeSigningStarted(started) => {
                    run.commitment = Some(psbt::decode(&started.unsigned_commitment_tx).unwrap());
                    let mut nonces = run.make_nonces(&self.cosigner, key_of(&self.info.forfeit_pubkey));
                    match self.trick {
                        Some(Trick::NoNonces) => continue,
                        Some(Trick::NoncesForAnotherTree) => {
                            nonces = nonces.into_values().map(|n| ("11".repeat(32), n)).collect();
                        }
                        _ => {}
                    }
                    let request = wire::SubmitTreeNoncesRequest {
                        batch_id: run.batch.clone(),
                        pubkey: self.cosigner_key(),
                        tree_nonces: nonces,
                    };
                    let result = self.ark.submit_tree_nonces(request).await;
                    self.took("nonces", result)?;
                }
                Event::TreeNoncesAggregated(all) => {
                    let mut tree_signatures = run.sign(&self.cosigner, &all.tree_nonces);
                    match self.trick {
                        Some(Trick::NoSignatures) => continue,
                        Some(Trick::WrongSignatures) => tree_signatures.values_mut().for_each(|s| *s = "11".repeat(32)),
                        Some(Trick::ShortSignatures) => tree_signatures.values_mut().for_each(|s| *s = "11".into()),
                        _ => {}
                    }
                    let request = wire::SubmitTreeSignaturesRequest {
                        batch_id: run.batch.clone(),
                        pubkey: self.cosigner_key(),
                        tree_signatures,
                    };
                    let result = self.ark.submit_tree_signatures(request).await;
                    self.took("signatures", result)?;
                }
                Event::TreeSignature(signature) => run.check(&signature),
                Event::BatchFinalization(end) => {
                    let request = self.forfeits(&run, psbt::decode(&end.commitment_tx).unwrap(), coins);
                    if !request.signed_forfeit_txs.is_empty() || !request.signed_commitment_tx.is_empty() {
                        let result = self.ark.submit_signed_forfeit_txs(request).await;
                        self.took("forfeits", result)?;
                    }
                }
                Event::BatchFinalized(done) => return Ok(done.commitment_txid.parse().unwrap()),
                Event::BatchFailed(failed) => return Err(failed.reason),
                _ => {}
            }
        }
    }

    /// Keeps a refusal in the log of a party with a trick; else it ends the batch for it.
    fn took<T>(&mut self, call: &str, result: Result<T, Status>) -> Result<(), String> {
        match (result, self.trick) {
            (Ok(_), _) => Ok(()),
            (Err(e), None) => Err(e.message().to_owned()),
            (Err(e), Some(_)) => {
                let code = if e.details().is_empty() { "-".into() } else { super::code(&e).to_string() };
                self.log.push(format!("{call} {} {code}", e.code() as i32));
                Ok(())
            }
        }
    }

    fn forfeits(&self, run: &Run, mut commitment: Psbt, coins: &[Coin]) -> wire::SubmitSignedForfeitTxsRequest {
        let mut request = wire::SubmitSignedForfeitTxsRequest::default();
        let prevouts_of_commitment = prevouts(&commitment);
        let inputs: Vec<OutPoint> = commitment.unsigned_tx.input.iter().map(|i| i.previous_output).collect();
        let mut boarding = false;
        for coin in coins {
            if let Some(at) = inputs.iter().position(|i| *i == coin.outpoint) {
                if self.trick != Some(Trick::BoardingWithTwoLeaves) {
                    commitment.inputs[at].tap_scripts.clear();
                    coin.fill(&mut commitment.inputs[at]);
                } else {
                    let leaf = &coin.tree.leaves[0].script;
                    let version = bitcoin::taproot::LeafVersion::TapScript;
                    let control = coin.tree.control_block(leaf).unwrap();
                    commitment.inputs[at].tap_scripts.insert(control, (leaf.clone(), version));
                    let other = &coin.tree.leaves[1].script;
                    let control = coin.tree.control_block(other).unwrap();
                    commitment.inputs[at].tap_scripts.insert(control, (other.clone(), version));
                }
                boarding = true;
                continue;
            }
            let topic = coin.outpoint.to_string();
            let leaf =
                run.connectors.iter().find(|(p, t)| t == &vec![topic.clone()] && p.unsigned_tx.output.len() == 2);
            let Some((connector, _)) = leaf else { continue };
            let at = OutPoint::new(connector.unsigned_tx.compute_txid(), 0);
            let output = connector.unsigned_tx.output[0].clone();
            if self.trick != Some(Trick::NoForfeits) {
                request.signed_forfeit_txs.push(self.forfeit(coin, at, output).to_string());
            }
        }
        if self.trick == Some(Trick::ForfeitTwice) {
            request.signed_forfeit_txs.extend(request.signed_forfeit_txs.clone());
        }
        if boarding && self.trick != Some(Trick::NoBoarding) {
            if self.trick != Some(Trick::UnsignedBoarding) {
                sign(&mut commitment, &prevouts_of_commitment, &self.key);
            }
            if self.trick == Some(Trick::WrongBoardingSignature) {
                commitment.inputs.iter_mut().for_each(spoil);
            }
            request.signed_commitment_tx = commitment.to_string();
        }
        request
    }

    pub fn forfeit(&self, coin: &Coin, connector: OutPoint, output: TxOut) -> Psbt {
        let input = |previous_output| TxIn {
            previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::MAX,
            witness: Witness::new(),
        };
        let trick = |wanted| self.trick == Some(wanted);
        let address = if trick(Trick::ForfeitElsewhere) { coin.output().script_pubkey } else { self.forfeit_script() };
        let pays = TxOut { value: Amount::from_sat(coin.amount) + output.value, script_pubkey: address };
        let connector = match trick(Trick::ForfeitOfAnotherConnector) {
            true => OutPoint::new(Txid::from_raw_hash(bitcoin::hashes::Hash::all_zeros()), 0),
            false => connector,
        };
        let at = usize::from(trick(Trick::ForfeitConnectorFirst));
        let mut inputs = vec![input(coin.outpoint), input(connector)];
        if at == 1 {
            inputs.reverse();
        }
        let tx =
            Transaction { version: Version(3), lock_time: LockTime::ZERO, input: inputs, output: vec![pays, anchor()] };
        let mut packet = Psbt::from_unsigned_tx(tx).unwrap();
        packet.inputs[at].witness_utxo = Some(coin.output());
        packet.inputs[1 - at].witness_utxo = Some(output);
        coin.fill(&mut packet.inputs[at]);
        let prevouts = prevouts(&packet);
        if !trick(Trick::UnsignedForfeit) {
            sign(&mut packet, &prevouts, &self.key);
        }
        if trick(Trick::WrongForfeitSignature) {
            packet.inputs.iter_mut().for_each(spoil);
        }
        if trick(Trick::ForfeitWithoutConnectorOutput) {
            packet.inputs[1].witness_utxo = None;
        }
        packet
    }
}

fn spoil(input: &mut bitcoin::psbt::Input) {
    for signature in input.tap_script_sigs.values_mut() {
        let mut bytes = signature.signature.serialize();
        bytes[3] ^= 1;
        signature.signature = bitcoin::secp256k1::schnorr::Signature::from_slice(&bytes).unwrap();
    }
}

/// An event stream with a deadline on every event.
pub struct Stream {
    stream: Streaming<wire::GetEventStreamResponse>,
    pub seen: Vec<Event>,
}

impl Stream {
    pub fn new(stream: Streaming<wire::GetEventStreamResponse>) -> Stream {
        Stream { stream, seen: Vec::new() }
    }

    pub async fn next(&mut self) -> Option<Event> {
        let next =
            tokio::time::timeout(Duration::from_secs(30), self.stream.message()).await.expect("an event in time");
        let event = next.ok().flatten()?.event?;
        self.seen.push(event.clone());
        Some(event)
    }
}
