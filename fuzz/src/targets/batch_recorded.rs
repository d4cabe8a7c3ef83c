//! The opening of a channel on a real arkd, as the payer saw it.

use std::sync::OnceLock;
use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{Psbt, TxOut, XOnlyPublicKey};
use prost::Message;
use secp256k1::Keypair;
use virtual_channels::channel::Delay;
use virtual_channels::channel::intent::IntentInput;
use virtual_channels::channel::script::default_vtxo;
use virtual_channels::operator::{BatchInput, BatchOutput, BatchPlan, CosignPlan, InputKind};

use super::Writer;
use super::recorded::{answers, bytes, keypair, load, text};
use crate::wire;
use crate::wire::get_event_stream_response::Event;

pub struct Recorded {
    pub info: Vec<u8>,
    pub forfeit_key: XOnlyPublicKey,
    pub payer_cosigner: Keypair,
    receiver_cosigner: Keypair,
    owner: Keypair,
    signer: XOnlyPublicKey,
    delay: Delay,
    /// The payer's intent: what goes in and what comes out.
    proof: Psbt,
    pub intent_id: String,
    pub intent_hashes: Vec<String>,
    pub batch_id: String,
    /// Without the greeting.
    pub frames: Vec<Vec<u8>>,
    pub topics: Vec<String>,
    pub nonces: wire::TreeNoncesEvent,
    pub signature: wire::TreeSignatureEvent,
    /// The channel.
    pub leaf: TxOut,
}

pub fn recorded() -> &'static Recorded {
    static RECORDED: OnceLock<Recorded> = OnceLock::new();
    RECORDED.get_or_init(Recorded::new)
}

fn event(frame: &[u8]) -> Event {
    wire::GetEventStreamResponse::decode(frame).expect("a recorded event").event.expect("a known event")
}

impl Recorded {
    fn new() -> Self {
        let file = load("life-seconds");
        let said = &file["GetInfo"]["response"];
        let mut info =
            wire::GetInfoResponse::decode(answers("ArkService/GetInfo").pop().expect("a recorded info").as_slice())
                .expect("a recorded info");
        info.signer_pubkey = text(&said["signerPubkey"]).to_owned();
        info.forfeit_pubkey = text(&said["forfeitPubkey"]).to_owned();
        info.forfeit_address = text(&said["forfeitAddress"]).to_owned();
        info.checkpoint_tapscript = text(&said["checkpointTapscript"]).to_owned();
        let xonly = |key: &str| key.parse::<bitcoin::secp256k1::PublicKey>().expect("a key").x_only_public_key().0;
        let frames: Vec<Vec<u8>> =
            file["events.payer.frames"].as_array().expect("frames").iter().skip(1).map(bytes).collect();
        let events: Vec<Event> = frames.iter().map(|frame| event(frame)).collect();
        let find =
            |wanted: &dyn Fn(&Event) -> bool| events.iter().find(|event| wanted(event)).cloned().expect("an event");
        let Event::BatchStarted(started) = find(&|event| matches!(event, Event::BatchStarted(_))) else {
            unreachable!()
        };
        let Event::TreeNonces(nonces) = find(&|event| matches!(event, Event::TreeNonces(_))) else { unreachable!() };
        let Event::TreeSignature(signature) = find(&|event| matches!(event, Event::TreeSignature(_))) else {
            unreachable!()
        };
        let topics = events.iter().find_map(|event| match event {
            Event::TreeTx(event) if event.batch_index == 1 => Some(event.topic.clone()),
            _ => None,
        });
        let proof = Psbt::deserialize(&bytes(&file["intent.register"]["proof"])).expect("a recorded proof");
        let script = text(&file["channels"][0]["script"]);
        let leaf = proof.unsigned_tx.output.iter().find(|output| output.script_pubkey.to_hex_string() == script);
        let delay: i64 = text(&said["unilateralExitDelay"]).parse().expect("a number");
        let keys = &file["keys"];
        let intent_id = text(&file["RegisterIntent"]["response"]["intentId"]).to_owned();
        assert!(started.intent_id_hashes.contains(&sha256::Hash::hash(intent_id.as_bytes()).to_string()));
        Self {
            forfeit_key: xonly(&info.forfeit_pubkey),
            signer: xonly(&info.signer_pubkey),
            info: info.encode_to_vec(),
            payer_cosigner: keypair(&keys["payer_cosigner"]),
            receiver_cosigner: keypair(&keys["receiver_cosigner"]),
            owner: keypair(&keys["payer"]),
            delay: Delay::from_arkd(delay).expect("a delay"),
            leaf: leaf.expect("the channel").clone(),
            proof,
            intent_id,
            intent_hashes: started.intent_id_hashes,
            batch_id: started.id,
            frames,
            topics: topics.unwrap_or_default(),
            nonces,
            signature,
        }
    }

    /// The payer's plan, its coin taken for one of `kind`.
    pub fn plan(&self, kind: InputKind) -> BatchPlan {
        let tree = default_vtxo(self.owner.x_only_public_key().0, self.signer, self.delay).expect("a script");
        let value = self.proof.inputs[1].witness_utxo.as_ref().expect("a coin").value;
        let outpoint = self.proof.unsigned_tx.input[1].previous_output;
        BatchPlan {
            inputs: vec![BatchInput {
                coin: IntentInput::unlocked(outpoint, value, tree, 0),
                kind,
                keypair: self.owner,
            }],
            outputs: self.proof.unsigned_tx.output.iter().cloned().map(BatchOutput::Offchain).collect(),
            cosigner: self.payer_cosigner,
            other_cosigners: vec![self.receiver_cosigner.public_key()],
            expire_at: 0,
            patience: Duration::from_secs(60),
        }
    }

    /// The same for a party that only co-signs.
    pub fn cosign_plan(&self) -> CosignPlan {
        CosignPlan {
            cosigner: self.payer_cosigner,
            payer_inputs: vec![self.proof.unsigned_tx.input[1].previous_output],
            leaf: self.leaf.clone(),
            other_cosigners: vec![self.receiver_cosigner.public_key()],
        }
    }

    /// The recorded events, taken apart into what the target puts together again.
    pub fn parts(&self, seed: Writer) -> Writer {
        use base64::Engine as _;
        let psbt = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
        self.frames.iter().enumerate().fold(seed, |seed, (index, frame)| match event(frame) {
            Event::TreeTx(event) => seed.bytes(&[1, event.batch_index as u8, 0]).piece(&psbt(&event.tx)),
            Event::TreeSigningStarted(event) => seed.bytes(&[2]).piece(&psbt(&event.unsigned_commitment_tx)),
            Event::TreeNonces(_) => seed.bytes(&[3, 0]),
            Event::TreeSignature(_) => seed.bytes(&[4, 0, 0]),
            Event::BatchFinalization(event) => seed.bytes(&[5]).piece(&psbt(&event.commitment_tx)),
            Event::BatchFinalized(event) => seed.bytes(&[6]).piece(event.commitment_txid.as_bytes()),
            _ => seed.bytes(&[9, index as u8]),
        })
    }
}
