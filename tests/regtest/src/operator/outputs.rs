//! What an ark transaction may pay.

use bitcoin::{Transaction, TxOut};

use super::errors::{Code, Refusal, refuse};
use super::script::{anchor_script, is_sub_dust};
use super::settings::Settings;

/// Checks all outputs and returns them without the anchor.
pub fn check_outputs(tx: &Transaction, settings: &Settings, text: &str) -> Result<Vec<TxOut>, Refusal> {
    let txid = tx.compute_txid();
    let malformed = |line: String| refuse(Code::MalformedArkTx, line).with("tx", text);
    let mut outputs = Vec::new();
    let mut anchors = 0;
    let mut op_returns = 0;
    for (index, output) in tx.output.iter().enumerate() {
        if output.script_pubkey == anchor_script() {
            anchors += 1;
            if anchors > 1 {
                return Err(malformed(format!("tx {txid} has multiple anchor outputs")));
            }
            continue;
        }
        if output.script_pubkey.is_op_return() {
            op_returns += 1;
            check_op_return(index, output, settings).map_err(|e| match e {
                Wrong::Shape(line) => malformed(line),
                Wrong::Amount(refusal) => refusal,
            })?;
        } else {
            check_amount(index, output, settings)?;
            if !output.script_pubkey.is_p2tr() {
                let line = format!("output #{index} has amount greater than dust but is not a taproot pkscript");
                return Err(malformed(line));
            }
        }
        outputs.push(output.clone());
    }
    if anchors == 0 {
        return Err(malformed(format!("missing anchor output in ark tx {txid}")));
    }
    if op_returns > settings.max_op_return_outputs {
        let most = settings.max_op_return_outputs;
        return Err(malformed(format!("tx has {op_returns} OP_RETURN outputs, max {most} are allowed")));
    }
    Ok(outputs)
}

enum Wrong {
    Shape(String),
    Amount(Refusal),
}

fn check_op_return(index: usize, output: &TxOut, settings: &Settings) -> Result<(), Wrong> {
    let value = output.value.to_sat();
    if !is_sub_dust(&output.script_pubkey) {
        if value > 0 {
            let line = format!("OP_RETURN output #{index} has non-zero value ({value}) but is not a subdust output");
            return Err(Wrong::Shape(line));
        }
        return Ok(());
    }
    if value >= settings.dust {
        let line = format!("subdust OP_RETURN output #{index} has value ({value}) >= dust limit ({})", settings.dust);
        return Err(Wrong::Shape(line));
    }
    if (value as i64) < settings.vtxo_min {
        return Err(Wrong::Amount(too_low(index, value, settings.vtxo_min)));
    }
    Ok(())
}

fn too_low(index: usize, value: u64, least: i64) -> Refusal {
    let text = format!("output #{index} amount is lower than min vtxo amount: {least}");
    low_figures(refuse(Code::AmountTooLow, text), index, value, least)
}

fn low_figures(refusal: Refusal, index: usize, value: u64, least: i64) -> Refusal {
    refusal.number("output_index", index as i64).number("amount", value as i64).number("min_amount", least)
}

fn check_amount(index: usize, output: &TxOut, settings: &Settings) -> Result<(), Refusal> {
    let value = output.value.to_sat();
    let most = settings.vtxo_max;
    if most >= 0 && value as i64 > most {
        let text = format!("output #{index} amount ({value}) is higher than max vtxo amount: {most}");
        return Err(refuse(Code::AmountTooHigh, text)
            .number("output_index", index as i64)
            .number("amount", value as i64)
            .number("max_amount", most));
    }
    if (value as i64) < settings.vtxo_min {
        return Err(too_low(index, value, settings.vtxo_min));
    }
    if value < settings.dust {
        let dust = settings.dust;
        let text = format!(
            "output #{index} amount is below dust limit ({value} < {dust}) but is not using OP_RETURN output script"
        );
        return Err(low_figures(refuse(Code::AmountTooLow, text), index, value, dust as i64));
    }
    Ok(())
}
