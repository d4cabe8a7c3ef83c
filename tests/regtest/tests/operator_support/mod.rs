//! A small Ark client for the tests of the operator: one party, everything in memory, no care for mistakes of others.
#![allow(dead_code, clippy::unwrap_used, clippy::indexing_slicing)]

mod follow;
pub mod target;
mod tree;

use bitcoin::absolute::LockTime;
use bitcoin::key::{Keypair, Secp256k1};
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::SecretKey;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, PublicKey, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, XOnlyPublicKey};
use regtest::Node;
use regtest::operator::script::{Delay, Leaf, LeafTree, anchor};
use regtest::operator::wire::ark_service_client::ArkServiceClient;
use regtest::operator::wire::indexer_service_client::IndexerServiceClient;
use regtest::operator::{Operator, psbt, wire};
use tonic::Status;
use tonic::transport::Channel;

pub use follow::{Stream, Trick};

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
    /// What this party does wrong in a batch.
    pub trick: Option<Trick>,
    /// What it was told for that.
    pub log: Vec<String>,
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
        let indexer = Indexer::connect(url).await.unwrap();
        Party { key, cosigner: random_secret(), ark, indexer, info, trick: None, log: Vec::new() }
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
        Stream::new(stream)
    }

    pub async fn vtxos(&mut self, script: &ScriptBuf) -> Vec<wire::IndexerVtxo> {
        let request = wire::GetVtxosRequest { scripts: vec![script.to_hex_string()], ..Default::default() };
        self.indexer.get_vtxos(request).await.unwrap().into_inner().vtxos
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

pub fn hex(bytes: &[u8]) -> String {
    bitcoin::hex::DisplayHex::to_lower_hex_string(bytes)
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
