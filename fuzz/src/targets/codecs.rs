//! Small decoders, one a first byte: what is read can be written again, and reads the same.

use base64::Engine as _;
use bitcoin::{Psbt, Script, ScriptBuf, Sequence};
use virtual_channels::channel::script::{CheckpointScript, csv_multisig, multisig};
use virtual_channels::channel::{
    ArkAddress, Authorisation, ChannelId, ChannelTerms, Delay, Network, OperatorInfo, Payout, TapTree, Unit, psbt,
    text, time,
};

use super::Writer;
use super::input::Input;
use super::{backups, stored};
use crate::pair::Pair;

/// Decoders by the first byte.
const DECODERS: [fn(&[u8]) -> bool; 15] = [
    terms,
    authorisation,
    stored::branch,
    stored::cell,
    signed_psbt,
    channel_text,
    address,
    checkpoint_script,
    payout,
    numbers,
    trees,
    info,
    names,
    backups::whole,
    backups::sealed,
];

pub fn run(data: &[u8]) -> bool {
    let Some((which, data)) = data.split_first() else { return false };
    DECODERS[usize::from(*which) % DECODERS.len()](data)
}

fn terms(data: &[u8]) -> bool {
    let Ok(terms) = ChannelTerms::from_canonical(data) else { return false };
    assert_eq!(terms.canonical(), data);
    let _ = terms.tree();
    true
}

fn authorisation(data: &[u8]) -> bool {
    let Ok(read) = Authorisation::from_bytes(data) else { return false };
    assert_eq!(Authorisation::from_bytes(&read.to_bytes()), Ok(read));
    true
}

/// A PSBT from the operator, and the one signature in it that is looked for.
fn signed_psbt(data: &[u8]) -> bool {
    let Ok(found) = Psbt::deserialize(data) else { return false };
    let pair = pair();
    let close = &pair.close.checkpoint;
    let operator = pair.operator.x_only_public_key().0;
    let prevouts = std::slice::from_ref(&close.prevout);
    let Ok(signature) = psbt::verified_signature(&found, 0, &close.tx, prevouts, &close.vtxo_leaf, operator) else {
        return false;
    };
    assert!(psbt::verify(&close.sighash().expect("a message"), &operator, &signature));
    true
}

/// Text as it comes, with no checksum put right.
fn channel_text(data: &[u8]) -> bool {
    let data = String::from_utf8_lossy(data);
    let Ok((prefix, bytes)) = text::decode(&data) else { return false };
    let again = text::encode(&prefix, &bytes).expect("what was read can be written");
    assert_eq!(text::decode(&again), Ok((prefix, bytes)));
    true
}

/// An Ark address with any content behind a right checksum.
fn address(data: &[u8]) -> bool {
    let Some((which, data)) = data.split_first() else { return false };
    let hrp = bech32::Hrp::parse(["ark", "tark", "bc", "vcu"][usize::from(which % 4)]).expect("a prefix");
    let Ok(text) = bech32::encode::<bech32::Bech32m>(hrp, data) else { return false };
    let Ok(address) = ArkAddress::parse(&text) else { return false };
    assert_eq!(address.to_string(), text);
    assert!(Payout::from_script(&address.script_pubkey()).is_ok());
    true
}

fn checkpoint_script(data: &[u8]) -> bool {
    let script = Script::from_bytes(data);
    let Ok(read) = CheckpointScript::parse(script) else { return false };
    assert_eq!(read.script().as_script(), script);
    let _ = read.check(Network::Bitcoin, &read.key);
    true
}

fn payout(data: &[u8]) -> bool {
    let script = Script::from_bytes(data);
    let Ok(read) = Payout::from_script(script) else { return false };
    assert_eq!(read.script().as_script(), script);
    true
}

fn numbers(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let (low, high) = (input.number(), input.number());
    let wide = u64::from(low) | u64::from(high) << 32;
    let mut read = 0;
    if let Ok(delay) = Delay::from_arkd(wide as i64) {
        assert_eq!(delay.to_arkd(), wide as i64);
        read += 1;
    }
    if let Ok(delay) = Delay::from_sequence(Sequence(low)) {
        assert_eq!(delay.sequence(), Sequence(low));
        let key = pair().forfeit.x_only_public_key().0;
        let script = CheckpointScript { delay, key };
        assert_eq!(CheckpointScript::parse(&csv_multisig(delay, &[key])), Ok(script));
        read += 1;
    }
    for unit in [Unit::Blocks, Unit::Seconds] {
        if let Ok(delay) = Delay::at_least(unit, wide) {
            assert!(delay.value() >= wide && delay.unit() == unit);
        }
        if let Ok(locktime) = time::locktime(unit, wide) {
            assert_eq!((u64::from(locktime.to_consensus_u32()), Unit::of(locktime)), (wide, unit));
            read += 1;
        }
    }
    read > 0
}

/// Any scripts as leaves: each can be spent by, and stands in arkd's encoding.
fn trees(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let mut leaves = Vec::new();
    while !input.is_empty() && leaves.len() < 8 {
        leaves.push(ScriptBuf::from_bytes(input.piece().to_vec()));
    }
    let Ok(tree) = TapTree::new(leaves.clone()) else { return false };
    assert!([1, 2, 4].contains(&leaves.len()) && tree.leaves() == leaves);
    let mut encoded = tree.encode();
    for (index, script) in leaves.iter().enumerate() {
        let leaf = tree.leaf(index).expect("a leaf of the tree");
        assert!(leaf.control.verify_taproot_commitment(
            virtual_channels::channel::SECP256K1,
            tree.output_key(),
            script
        ));
        assert!(encoded.starts_with(&[1, 0xc0]) && encoded.len() >= script.len() + 3);
        let head = encoded.len().min(if script.len() < 0xfd { 3 } else { 5 });
        assert_eq!(encoded[head..].get(..script.len()), Some(script.as_bytes()));
        encoded.drain(..head + script.len());
    }
    assert!(encoded.is_empty());
    true
}

/// What the wallet stored of the operator.
fn info(data: &[u8]) -> bool {
    let Ok(info) = serde_json::from_slice::<OperatorInfo>(data) else { return false };
    let again = serde_json::to_vec(&info).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<OperatorInfo>(&again).expect("and read again"), info);
    let _ = (info.unit(), info.min_amount(), info.max_amount());
    let _ = pair().channel.terms.check(&info, crate::pair::NOW);
    true
}

fn names(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let id = text.parse::<ChannelId>();
    if let Ok(id) = &id {
        assert_eq!(id.to_string(), text.to_lowercase());
    }
    let proxy = virtual_channels::proxy::Proxy::parse(&text);
    if let Ok(proxy) = &proxy {
        let _ = proxy.connector();
    }
    let _ = ChannelId::from_slice(data);
    let _ = base64::engine::general_purpose::STANDARD.decode(data);
    let network = Network::from_arkd(&text);
    if let Ok(network) = network {
        assert_eq!(Network::from_code(network.code().into()), Ok(network));
    }
    id.is_ok() || proxy.is_ok() || network.is_ok()
}

fn pair() -> &'static Pair {
    static PAIR: std::sync::OnceLock<Pair> = std::sync::OnceLock::new();
    PAIR.get_or_init(|| Pair::new(21, Unit::Seconds, 100_000))
}

/// What the operator answers for the channel's checkpoint: signed by it.
fn operators_psbt() -> Vec<u8> {
    let pair = pair();
    let close = &pair.close.checkpoint;
    let mut found = close.psbt().expect("a PSBT");
    let signature = psbt::sign(&close.sighash().expect("a message"), &pair.operator);
    let operator = pair.operator.x_only_public_key().0;
    psbt::add_signature(&mut found, 0, &close.vtxo_leaf, operator, signature).expect("an input");
    found.serialize()
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let pair = pair();
    let key = |pair: &secp256k1::Keypair| pair.x_only_public_key().0;
    let address = pair.channel.terms.address().expect("an address").to_string();
    let address = bech32::decode(&address).expect("an address").1;
    let leaf = |script: ScriptBuf, writer: Writer| writer.piece(script.as_bytes());
    let one = leaf(multisig(&[key(&pair.payer), key(&pair.operator)]), Writer::default());
    let two = leaf(csv_multisig(pair.channel.terms.d1, &[key(&pair.payer)]), one.clone());
    let all = pair.channel.tree().leaves().iter().fold(Writer::default(), |all, script| leaf(script.clone(), all));
    let update = crate::messages::all(pair).pop().expect("a message").to_text().expect("text");
    let seeds: Vec<(&str, u8, Vec<u8>)> = vec![
        ("terms", 0, pair.channel.terms.canonical()),
        ("terms-blocks", 0, Pair::new(22, Unit::Blocks, 5_000).channel.terms.canonical()),
        ("authorisation", 1, pair.authorisation().to_bytes()),
        ("branch", 2, stored::branch_seed()),
        ("cell-ring", 3, [vec![12, 2], vec![0; 1026]].concat()),
        ("cell-word", 3, [vec![7, 1], b"closed".to_vec()].concat()),
        ("cell-number", 3, vec![8, 0, 9, 0, 0, 0, 0, 0, 0, 0]),
        ("psbt", 4, operators_psbt()),
        ("text", 5, update.into_bytes()),
        ("address", 6, [vec![1], address].concat()),
        ("checkpoint", 7, pair.script().script().into_bytes()),
        ("checkpoint-other", 7, pair.other_script().script().into_bytes()),
        ("payout", 8, pair.channel.tree().script_pubkey().into_bytes()),
        ("numbers", 9, vec![168, 0, 64, 0, 0, 0, 0, 0]),
        ("tree-one", 10, one.0),
        ("tree-two", 10, two.0),
        ("tree-four", 10, all.0),
        ("info", 11, serde_json::to_vec(&pair.info).expect("JSON")),
        ("name-id", 12, pair.channel.id.to_string().into_bytes()),
        ("name-proxy", 12, b"socks5://[::1]:9050".to_vec()),
        ("name-network", 12, b"regtest".to_vec()),
        ("backup", 13, backups::seed(pair)),
        ("backup-sealed", 14, backups::sealed_seed(pair)),
    ];
    seeds.into_iter().map(|(name, which, seed)| (name.to_owned(), [vec![which], seed].concat())).collect()
}
