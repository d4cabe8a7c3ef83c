//! GetInfo, and the two headers that calls carry.

use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::Secp256k1;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::errors::{Code, refuse};
use super::script::Delay;
use super::settings::Settings;
use super::wire::{DeprecatedSigner, FeeInfo, GetInfoResponse, IntentFeeInfo};

/// The answer to GetInfo.
pub fn info(settings: &Settings) -> GetInfoResponse {
    let secp = Secp256k1::signing_only();
    let fees = settings.fees.clone();
    let delay = |value| Delay::from_setting(value).seconds();
    let mut info = GetInfoResponse {
        version: settings.version.clone(),
        signer_pubkey: settings.signer.public_key(&secp).to_string(),
        forfeit_pubkey: settings.forfeit.public_key(&secp).to_string(),
        forfeit_address: settings.forfeit_address().to_string(),
        checkpoint_tapscript: settings.checkpoint_leaf().to_hex_string(),
        network: "regtest".into(),
        session_duration: settings.session.as_secs() as i64,
        unilateral_exit_delay: delay(settings.exit_delay),
        boarding_exit_delay: delay(settings.boarding_delay),
        utxo_min_amount: settings.utxo_min,
        utxo_max_amount: settings.utxo_max,
        vtxo_min_amount: settings.vtxo_min,
        vtxo_max_amount: settings.vtxo_max,
        dust: settings.dust as i64,
        fees: Some(FeeInfo {
            intent_fee: Some(IntentFeeInfo {
                offchain_input: fees.offchain_input,
                offchain_output: fees.offchain_output,
                onchain_input: fees.onchain_input,
                onchain_output: fees.onchain_output,
            }),
            tx_fee_rate: "0".into(),
        }),
        scheduled_session: None,
        deprecated_signers: settings
            .deprecated_signers
            .iter()
            .map(|d| DeprecatedSigner { pubkey: d.secret.public_key(&secp).to_string(), cutoff_date: d.cutoff })
            .collect(),
        service_status: Default::default(),
        digest: String::new(),
        max_tx_weight: settings.max_tx_weight as i64,
        max_op_return_outputs: settings.max_op_return_outputs,
    };
    info.digest = digest(&info);
    info
}

/// arkd's digest over what GetInfo says: SHA256 of Go's JSON of these fields in this order.
pub fn digest(info: &GetInfoResponse) -> String {
    let mut old: Vec<_> = info.deprecated_signers.iter().map(|d| (d.pubkey.clone(), d.cutoff_date)).collect();
    old.sort();
    let old: Vec<_> =
        old.iter().map(|(key, cutoff)| format!(r#"{{"PubKey":"{key}","CutoffDate":{cutoff}}}"#)).collect();
    let fees = info.fees.clone().and_then(|f| f.intent_fee).unwrap_or_default();
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let fields = [
        ("SignerPubKey", text(&info.signer_pubkey)),
        ("DeprecatedSigners", format!("[{}]", old.join(","))),
        ("ForfeitPubKey", text(&info.forfeit_pubkey)),
        ("UnilateralExitDelay", info.unilateral_exit_delay.to_string()),
        ("BoardingExitDelay", info.boarding_exit_delay.to_string()),
        ("SessionDuration", info.session_duration.to_string()),
        ("Network", text(&info.network)),
        ("Dust", info.dust.to_string()),
        ("ForfeitAddress", text(&info.forfeit_address)),
        ("UtxoMinAmount", info.utxo_min_amount.to_string()),
        ("UtxoMaxAmount", info.utxo_max_amount.to_string()),
        ("VtxoMinAmount", info.vtxo_min_amount.to_string()),
        ("VtxoMaxAmount", info.vtxo_max_amount.to_string()),
        ("CheckpointTapscript", text(&info.checkpoint_tapscript)),
        (
            "Fees",
            format!(
                r#"{{"IntentFees":{{"OnchainInputFee":{},"OffchainInputFee":{},"OnchainOutputFee":{},"OffchainOutputFee":{}}},"TxFeeRate":0}}"#,
                text(&fees.onchain_input),
                text(&fees.offchain_input),
                text(&fees.onchain_output),
                text(&fees.offchain_output),
            ),
        ),
        ("MaxTxWeight", info.max_tx_weight.to_string()),
        ("MaxOpReturnOutputs", info.max_op_return_outputs.to_string()),
    ];
    let body: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    sha256::Hash::hash(format!("{{{}}}", body.join(",")).as_bytes()).to_string()
}

/// Every call of ArkService but GetInfo passes here.
pub fn check_headers(settings: &Settings, headers: &MetadataMap, needs_digest: bool) -> Result<(), Status> {
    let header = |name| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let version = header("x-build-version");
    let least = parse_version(&settings.min_build_version);
    let too_old = match (parse_version(version), least) {
        (Some(client), Some(least)) => client < least,
        (None, _) => settings.build_version_required,
        (Some(_), None) => false,
    };
    if too_old {
        let text = format!("server requires build version header >= {}", settings.min_build_version);
        return Err(refuse(Code::BuildVersionTooOld, text)
            .with("client_version", version)
            .with("min_version", &settings.min_build_version)
            .into());
    }
    let (got, expected) = (header("x-digest"), settings.digest());
    if needs_digest && got != expected && (settings.digest_required || !got.is_empty()) {
        return Err(refuse(Code::DigestMismatch, "invalid digest header")
            .with("expected_digest", expected)
            .with("got_digest", got)
            .into());
    }
    Ok(())
}

fn parse_version(text: &str) -> Option<(u64, u64, u64)> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.').map(|part| {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        part[..end].parse::<u64>().ok()
    });
    let major = parts.next()??;
    Some((major, parts.next().flatten().unwrap_or(0), parts.next().flatten().unwrap_or(0)))
}
