//! A small Ark client for the tests of the operator: one party, everything in memory, no care for mistakes of others.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

pub mod target;

use std::collections::HashMap;
use std::time::Duration;

use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::key::{Keypair, Secp256k1};
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::SecretKey;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, OutPoint, PublicKey, ScriptBuf, Sequence, TapNodeHash, TapSighashType, Transaction, TxIn, TxOut, Txid,
    Witness, XOnlyPublicKey,
};
use musig::musig::{
    AggregatedNonce, KeyAggCache, PublicNonce, SecretNonce, Session, SessionSecretRand, new_nonce_pair,
};
use regtest::Node;
use regtest::operator::script::{Delay, Leaf, LeafTree, anchor};
use regtest::operator::wire::ark_service_client::ArkServiceClient;
use regtest::operator::wire::get_event_stream_response::Event;
use regtest::operator::wire::indexer_service_client::IndexerServiceClient;
use regtest::operator::{Operator, psbt, wire};
use tonic::transport::Channel;
use tonic::{Status, Streaming};

pub type Ark = ArkServiceClient<Channel>;
pub type Indexer = IndexerServiceClient<Channel>;

/// A coin with all that is needed to spend it.
#[derive(Clone, Debug)]
pub struct Coin {
    pub outpoint: OutPoint,
    pub amount: u64,
    pub tree: LeafTree,
    /// Index of the leaf that spends it.
    pub leaf: usize,
    pub sequence: Sequence,
}

impl Coin {
    pub fn output(&self) -> TxOut {
        TxOut { value: Amount::from_sat(self.amount), script_pubkey: self.tree.script_pubkey() }
    }

    pub fn fill(&self, input: &mut bitcoin::psbt::Input) {
        let leaf = &self.tree.leaves[self.leaf];
        psbt::set_leaf(input, self.tree.control_block(&leaf.script).unwrap(), leaf.script.clone());
        psbt::reveal_scripts(input, &self.tree.leaves.iter().map(|l| l.script.clone()).collect::<Vec<_>>());
    }
}

fn key_of(compressed: &str) -> XOnlyPublicKey {
    compressed.parse::<PublicKey>().unwrap().inner.x_only_public_key().0
}

/// A keyholder with a client.
pub struct Party {
    pub key: Keypair,
    pub cosigner: SecretKey,
    pub ark: Ark,
    pub indexer: Indexer,
    pub info: wire::GetInfoResponse,
}

pub fn leaf_of(keys: &[XOnlyPublicKey]) -> Leaf {
    use bitcoin::opcodes::all::{OP_CHECKSIG, OP_CHECKSIGVERIFY};
    let mut script = bitcoin::script::Builder::new();
    for (i, key) in keys.iter().enumerate() {
        let op = if i + 1 == keys.len() { OP_CHECKSIG } else { OP_CHECKSIGVERIFY };
        script = script.push_x_only_key(key).push_opcode(op);
    }
    Leaf::parse(&script.into_script()).unwrap()
}

/// `<locktime> CLTV DROP` in front of another leaf.
pub fn locked_until(locktime: u32, inner: &Leaf) -> Leaf {
    use bitcoin::opcodes::all::{OP_CLTV, OP_DROP};
    let mut bytes = bitcoin::script::Builder::new()
        .push_int(i64::from(locktime))
        .push_opcode(OP_CLTV)
        .push_opcode(OP_DROP)
        .into_script()
        .into_bytes();
    bytes.extend(inner.script.as_bytes());
    Leaf::parse(&ScriptBuf::from_bytes(bytes)).unwrap()
}

pub fn sign(packet: &mut Psbt, prevouts: &[TxOut], key: &Keypair) {
    psbt::sign_leaves(packet, prevouts, key, None).unwrap();
}

pub fn random_secret() -> SecretKey {
    SecretKey::from_slice(&regtest::operator::musig::random()).unwrap()
}

/// An intent proof over these coins, unsigned.
pub fn proof(coins: &[Coin], outputs: Vec<TxOut>, message: &str) -> Psbt {
    let to_spend = regtest::operator::intent::message_transaction(message, coins[0].output().script_pubkey);
    let mut inputs = vec![(OutPoint::new(to_spend.compute_txid(), 0), coins[0].sequence)];
    inputs.extend(coins.iter().map(|c| (c.outpoint, c.sequence)));
    let outputs = if outputs.is_empty() {
        vec![TxOut { value: Amount::ZERO, script_pubkey: ScriptBuf::from_bytes(vec![0x6a]) }]
    } else {
        outputs
    };
    let tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::ZERO,
        input: inputs
            .into_iter()
            .map(|(previous_output, sequence)| TxIn {
                previous_output,
                sequence,
                script_sig: ScriptBuf::new(),
                witness: Witness::new(),
            })
            .collect(),
        output: outputs,
    };
    let mut packet = Psbt::from_unsigned_tx(tx).unwrap();
    packet.inputs[0].witness_utxo = Some(to_spend.output[0].clone());
    coins[0].fill(&mut packet.inputs[0]);
    for (i, coin) in coins.iter().enumerate() {
        packet.inputs[i + 1].witness_utxo = Some(coin.output());
        coin.fill(&mut packet.inputs[i + 1]);
    }
    packet
}

pub fn prevouts(packet: &Psbt) -> Vec<TxOut> {
    psbt::prevouts(packet).unwrap()
}

pub fn signed_intent(coins: &[Coin], outputs: Vec<TxOut>, message: String, keys: &[&Keypair]) -> wire::Intent {
    let mut packet = proof(coins, outputs, &message);
    let prevouts = prevouts(&packet);
    keys.iter().for_each(|k| sign(&mut packet, &prevouts, k));
    wire::Intent { proof: packet.to_string(), message }
}

pub fn register_message(cosigners: &[String], onchain: &[usize]) -> String {
    let cosigners: Vec<_> = cosigners.iter().map(|c| format!("\"{c}\"")).collect();
    let onchain: Vec<_> = onchain.iter().map(usize::to_string).collect();
    format!(
        "{{\"type\":\"register\",\"onchain_output_indexes\":[{}],\"valid_at\":0,\"expire_at\":0,\"cosigners_public_keys\":[{}]}}",
        onchain.join(","),
        cosigners.join(",")
    )
}

pub fn short_message(kind: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"expire_at\":0}}")
}

impl Party {
    pub async fn new(operator: &Operator) -> Party {
        Party::at(operator.url()).await
    }

    pub async fn at(url: String) -> Party {
        let key = Keypair::from_secret_key(&Secp256k1::new(), &random_secret());
        let mut ark = Ark::connect(url.clone()).await.unwrap();
        let info = ark.get_info(wire::GetInfoRequest {}).await.unwrap().into_inner();
        Party { key, cosigner: random_secret(), ark, indexer: Indexer::connect(url).await.unwrap(), info }
    }

    /// The operator's signer.
    pub fn signer(&self) -> XOnlyPublicKey {
        key_of(&self.info.signer_pubkey)
    }

    fn forfeit_script(&self) -> ScriptBuf {
        use bitcoin::address::NetworkUnchecked;
        let address: bitcoin::Address<NetworkUnchecked> = self.info.forfeit_address.parse().unwrap();
        address.assume_checked().script_pubkey()
    }

    pub fn x(&self) -> XOnlyPublicKey {
        self.key.x_only_public_key().0
    }

    pub fn cosigner_key(&self) -> String {
        PublicKey::new(self.cosigner.public_key(&Secp256k1::new())).to_string()
    }

    fn tree(&self, delay: u32) -> LeafTree {
        let exit = Leaf::after(Delay::from_setting(delay), self.x());
        LeafTree::new(vec![leaf_of(&[self.x(), self.signer()]), exit]).unwrap()
    }

    /// The default VTXO script.
    pub fn vtxo_tree(&self) -> LeafTree {
        self.tree(self.info.unilateral_exit_delay as u32)
    }

    /// The default boarding script.
    pub fn boarding_tree(&self) -> LeafTree {
        self.tree(self.info.boarding_exit_delay as u32)
    }

    pub fn vtxo_output(&self, amount: u64) -> TxOut {
        TxOut { value: Amount::from_sat(amount), script_pubkey: self.vtxo_tree().script_pubkey() }
    }

    /// A confirmed boarding coin.
    pub async fn board(&self, node: &Node, amount: u64) -> Coin {
        let tree = self.boarding_tree();
        let output = TxOut { value: Amount::from_sat(amount), script_pubkey: tree.script_pubkey() };
        let tx = node.pay(std::slice::from_ref(&output)).await.unwrap();
        node.generate(1).await.unwrap();
        let vout = tx.output.iter().position(|o| *o == output).unwrap() as u32;
        let outpoint = OutPoint::new(tx.compute_txid(), vout);
        Coin { outpoint, amount, tree, leaf: 0, sequence: Sequence::MAX }
    }

    /// The coin of an own default VTXO.
    pub fn coin(&self, outpoint: OutPoint, amount: u64) -> Coin {
        Coin { outpoint, amount, tree: self.vtxo_tree(), leaf: 0, sequence: Sequence::MAX }
    }

    pub async fn register(&mut self, coins: &[Coin], outputs: Vec<TxOut>) -> Result<String, Status> {
        let cosigners = [self.cosigner_key()];
        self.register_with(coins, outputs, &cosigners, &[]).await
    }

    pub async fn register_with(
        &mut self,
        coins: &[Coin],
        outputs: Vec<TxOut>,
        cosigners: &[String],
        onchain: &[usize],
    ) -> Result<String, Status> {
        let intent = signed_intent(coins, outputs, register_message(cosigners, onchain), &[&self.key]);
        let request = wire::RegisterIntentRequest { intent: Some(intent) };
        Ok(self.ark.register_intent(request).await?.into_inner().intent_id)
    }

    pub async fn listen(&mut self, coins: &[Coin]) -> Stream {
        let mut topics: Vec<String> = coins.iter().map(|c| c.outpoint.to_string()).collect();
        topics.push(self.cosigner_key());
        let stream = self.ark.get_event_stream(wire::GetEventStreamRequest { topics }).await.unwrap().into_inner();
        Stream { stream, seen: Vec::new() }
    }

    pub async fn vtxos(&mut self, script: &ScriptBuf) -> Vec<wire::IndexerVtxo> {
        let request = wire::GetVtxosRequest { scripts: vec![script.to_hex_string()], ..Default::default() };
        self.indexer.get_vtxos(request).await.unwrap().into_inner().vtxos
    }

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
                    if let Some(id) = &id {
                        let request = wire::ConfirmRegistrationRequest { intent_id: id.clone() };
                        self.ark.confirm_registration(request).await.map_err(|e| e.message().to_owned())?;
                    }
                }
                Event::TreeTx(tx) => {
                    let packet = psbt::decode(&tx.tx).unwrap();
                    let list = if tx.batch_index == 0 { &mut run.tree } else { &mut run.connectors };
                    list.push((packet, tx.topic));
                }
                Event::TreeSigningStarted(started) => {
                    run.commitment = Some(psbt::decode(&started.unsigned_commitment_tx).unwrap());
                    let nonces = run.make_nonces(&self.cosigner, key_of(&self.info.forfeit_pubkey));
                    let request = wire::SubmitTreeNoncesRequest {
                        batch_id: run.batch.clone(),
                        pubkey: self.cosigner_key(),
                        tree_nonces: nonces,
                    };
                    self.ark.submit_tree_nonces(request).await.map_err(|e| e.message().to_owned())?;
                }
                Event::TreeNoncesAggregated(all) => {
                    let tree_signatures = run.sign(&self.cosigner, &all.tree_nonces);
                    let request = wire::SubmitTreeSignaturesRequest {
                        batch_id: run.batch.clone(),
                        pubkey: self.cosigner_key(),
                        tree_signatures,
                    };
                    self.ark.submit_tree_signatures(request).await.map_err(|e| e.message().to_owned())?;
                }
                Event::TreeSignature(signature) => run.check(&signature),
                Event::BatchFinalization(end) => {
                    let request = self.forfeits(&run, psbt::decode(&end.commitment_tx).unwrap(), coins);
                    if !request.signed_forfeit_txs.is_empty() || !request.signed_commitment_tx.is_empty() {
                        self.ark.submit_signed_forfeit_txs(request).await.map_err(|e| e.message().to_owned())?;
                    }
                }
                Event::BatchFinalized(done) => return Ok(done.commitment_txid.parse().unwrap()),
                Event::BatchFailed(failed) => return Err(failed.reason),
                _ => {}
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
                commitment.inputs[at].tap_scripts.clear();
                coin.fill(&mut commitment.inputs[at]);
                boarding = true;
                continue;
            }
            let topic = coin.outpoint.to_string();
            let leaf =
                run.connectors.iter().find(|(p, t)| t == &vec![topic.clone()] && p.unsigned_tx.output.len() == 2);
            let Some((connector, _)) = leaf else { continue };
            let at = OutPoint::new(connector.unsigned_tx.compute_txid(), 0);
            let output = connector.unsigned_tx.output[0].clone();
            request.signed_forfeit_txs.push(self.forfeit(coin, at, output).to_string());
        }
        if boarding {
            sign(&mut commitment, &prevouts_of_commitment, &self.key);
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
        let pays = TxOut { value: Amount::from_sat(coin.amount) + output.value, script_pubkey: self.forfeit_script() };
        let tx = Transaction {
            version: Version(3),
            lock_time: LockTime::ZERO,
            input: vec![input(coin.outpoint), input(connector)],
            output: vec![pays, anchor()],
        };
        let mut packet = Psbt::from_unsigned_tx(tx).unwrap();
        packet.inputs[0].witness_utxo = Some(coin.output());
        packet.inputs[1].witness_utxo = Some(output);
        coin.fill(&mut packet.inputs[0]);
        let prevouts = prevouts(&packet);
        sign(&mut packet, &prevouts, &self.key);
        packet
    }

    /// Checkpoints and ark transaction over these coins, the ark transaction signed by this party.
    pub fn offchain(&self, coins: &[Coin], outputs: Vec<TxOut>) -> (Psbt, Vec<Psbt>) {
        let operator = Leaf::parse(&ScriptBuf::from_hex(&self.info.checkpoint_tapscript).unwrap()).unwrap();
        let build = |coins: &[Coin], mut outputs: Vec<TxOut>| {
            outputs.push(anchor());
            let mut locktime = 0;
            let input = coins.iter().map(|c| {
                let mut sequence = Sequence::MAX;
                if let regtest::operator::script::Lock::Until(until) = c.tree.leaves[c.leaf].lock {
                    locktime = until;
                    sequence = Sequence(0xffff_fffe);
                }
                TxIn { previous_output: c.outpoint, sequence, script_sig: ScriptBuf::new(), witness: Witness::new() }
            });
            let input = input.collect();
            let tx = Transaction {
                version: Version(3),
                lock_time: LockTime::from_consensus(locktime),
                input,
                output: outputs,
            };
            let mut packet = Psbt::from_unsigned_tx(tx).unwrap();
            for (slot, coin) in packet.inputs.iter_mut().zip(coins) {
                slot.witness_utxo = Some(coin.output());
                coin.fill(slot);
            }
            packet
        };
        let mut checkpoints = Vec::new();
        let mut next = Vec::new();
        for coin in coins {
            let tree = LeafTree::new(vec![operator.clone(), coin.tree.leaves[coin.leaf].clone()]).unwrap();
            let output = TxOut { value: Amount::from_sat(coin.amount), script_pubkey: tree.script_pubkey() };
            let checkpoint = build(std::slice::from_ref(coin), vec![output]);
            let outpoint = OutPoint::new(checkpoint.unsigned_tx.compute_txid(), 0);
            next.push(Coin { outpoint, amount: coin.amount, tree, leaf: 1, sequence: Sequence::MAX });
            checkpoints.push(checkpoint);
        }
        let mut ark = build(&next, outputs);
        let prevouts = prevouts(&ark);
        sign(&mut ark, &prevouts, &self.key);
        (ark, checkpoints)
    }

    pub async fn submit(&mut self, ark: &Psbt, checkpoints: &[Psbt]) -> Result<wire::SubmitTxResponse, Status> {
        let request = wire::SubmitTxRequest {
            signed_ark_tx: ark.to_string(),
            checkpoint_txs: checkpoints.iter().map(Psbt::to_string).collect(),
        };
        Ok(self.ark.submit_tx(request).await?.into_inner())
    }

    /// Signs the checkpoints of an answer and finalizes.
    pub async fn finalize(&mut self, answer: &wire::SubmitTxResponse) -> Result<(), Status> {
        let mut final_checkpoint_txs = Vec::new();
        for text in &answer.signed_checkpoint_txs {
            let mut packet = psbt::decode(text).unwrap();
            let prevouts = prevouts(&packet);
            sign(&mut packet, &prevouts, &self.key);
            final_checkpoint_txs.push(packet.to_string());
        }
        let request = wire::FinalizeTxRequest { ark_txid: answer.ark_txid.clone(), final_checkpoint_txs };
        self.ark.finalize_tx(request).await.map(|_| ())
    }
}

/// An event stream with a deadline on every event.
pub struct Stream {
    stream: Streaming<wire::GetEventStreamResponse>,
    pub seen: Vec<Event>,
}

impl Stream {
    pub async fn next(&mut self) -> Option<Event> {
        let next =
            tokio::time::timeout(Duration::from_secs(30), self.stream.message()).await.expect("an event in time");
        let event = next.ok().flatten()?.event?;
        self.seen.push(event.clone());
        Some(event)
    }
}

#[derive(Default)]
struct Run {
    batch: String,
    expiry: u32,
    tree: Vec<(Psbt, Vec<String>)>,
    connectors: Vec<(Psbt, Vec<String>)>,
    commitment: Option<Psbt>,
    nodes: HashMap<Txid, Node_>,
}

struct Node_ {
    cache: KeyAggCache,
    key: XOnlyPublicKey,
    message: [u8; 32],
    secret: Option<SecretNonce>,
}

fn cosigners(packet: &Psbt) -> Vec<musig::PublicKey> {
    let fields = packet.inputs[0].unknown.iter().filter(|(k, _)| k.key.starts_with(b"cosigner"));
    fields.map(|(_, v)| musig::PublicKey::from_byte_array_compressed(v[..].try_into().unwrap()).unwrap()).collect()
}

impl Run {
    fn make_nonces(&mut self, own: &SecretKey, forfeit: XOnlyPublicKey) -> HashMap<String, String> {
        let sweep = TapNodeHash::from(Leaf::after(Delay::from_setting(self.expiry), forfeit).hash());
        let commitment = self.commitment.as_ref().unwrap();
        let mut outputs = HashMap::from([(
            OutPoint::new(commitment.unsigned_tx.compute_txid(), 0),
            commitment.unsigned_tx.output[0].clone(),
        )]);
        for (packet, _) in &self.tree {
            let txid = packet.unsigned_tx.compute_txid();
            outputs.extend(
                packet.unsigned_tx.output.iter().enumerate().map(|(i, o)| (OutPoint::new(txid, i as u32), o.clone())),
            );
        }
        let keypair = musig::Keypair::from_secret_bytes(own.secret_bytes()).unwrap();
        let public = musig::PublicKey::from_keypair(&keypair);
        let mut result = HashMap::new();
        for (packet, _) in &self.tree {
            let keys = cosigners(packet);
            assert!(keys.is_sorted_by_key(|k| k.serialize()), "cosigners are sorted");
            if !keys.contains(&public) {
                continue;
            }
            let mut cache = KeyAggCache::new(&keys.iter().collect::<Vec<_>>());
            let internal = XOnlyPublicKey::from_slice(&cache.agg_pk().to_byte_array()).unwrap();
            let tweak = bitcoin::TapTweakHash::from_key_and_tweak(internal, Some(sweep)).to_byte_array();
            let full = cache.pubkey_xonly_tweak_add(&musig::Scalar::from_be_bytes(tweak).unwrap()).unwrap();
            let key = XOnlyPublicKey::from_slice(&full.x_only_public_key().0.to_byte_array()).unwrap();
            let tx = &packet.unsigned_tx;
            let prevout = outputs.get(&tx.input[0].previous_output).expect("the parent is known").clone();
            assert_eq!(&prevout.script_pubkey.as_bytes()[2..], key.serialize(), "the parent pays the aggregated key");
            assert_eq!(prevout.value, tx.output.iter().map(|o| o.value).sum(), "amounts add up");
            let message = SighashCache::new(tx)
                .taproot_key_spend_signature_hash(0, &Prevouts::All(&[prevout]), TapSighashType::Default)
                .unwrap()
                .to_byte_array();
            let rand = SessionSecretRand::assume_uniformly_random(regtest::operator::musig::random());
            let (secret, nonce) = new_nonce_pair(rand, Some(&cache), None, public, Some(&message), None);
            result.insert(tx.compute_txid().to_string(), hex(&nonce.serialize()));
            self.nodes.insert(tx.compute_txid(), Node_ { cache, key, message, secret: Some(secret) });
        }
        result
    }

    fn sign(&mut self, own: &SecretKey, aggregated: &HashMap<String, String>) -> HashMap<String, String> {
        let keypair = musig::Keypair::from_secret_bytes(own.secret_bytes()).unwrap();
        self.nodes
            .iter_mut()
            .filter_map(|(txid, node)| {
                let nonce: AggregatedNonce = aggregated[&txid.to_string()].parse().unwrap();
                let session = Session::new(&node.cache, nonce, &node.message);
                let signature = session.partial_sign(node.secret.take()?, &keypair, &node.cache);
                Some((txid.to_string(), hex(&signature.serialize())))
            })
            .collect()
    }

    fn check(&self, signature: &wire::TreeSignatureEvent) {
        let Some(node) = self.nodes.get(&signature.txid.parse::<Txid>().unwrap()) else { return };
        let bytes = <Vec<u8> as bitcoin::hex::FromHex>::from_hex(&signature.signature).unwrap();
        let parsed = bitcoin::secp256k1::schnorr::Signature::from_slice(&bytes).unwrap();
        let message = bitcoin::secp256k1::Message::from_digest(node.message);
        Secp256k1::new().verify_schnorr(&parsed, &message, &node.key).expect("the tree signature verifies");
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bitcoin::hex::DisplayHex::to_lower_hex_string(bytes)
}

/// Unused here, but what a client must be able to read.
pub fn parse_nonce(text: &str) -> PublicNonce {
    text.parse().unwrap()
}

/// The code in a refusal's details.
pub fn code(status: &Status) -> i32 {
    use prost::Message;
    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Outer {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }
    let outer = Outer::decode(status.details()).expect("details");
    assert_eq!(outer.code, status.code() as i32);
    wire::ErrorDetails::decode(&outer.details.first().expect("details").value[..]).unwrap().code
}
