//! Intent fees: constants instead of arkd's CEL programs.

use super::settings::Fees;

/// How many inputs and outputs of each kind an intent has.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct Shape {
    pub offchain_inputs: usize,
    pub onchain_inputs: usize,
    pub offchain_outputs: usize,
    pub onchain_outputs: usize,
}

/// The least fee in sats, rounded up once.
pub fn least(fees: &Fees, shape: Shape) -> Result<i64, String> {
    let parts = [
        (&fees.offchain_input, shape.offchain_inputs),
        (&fees.onchain_input, shape.onchain_inputs),
        (&fees.offchain_output, shape.offchain_outputs),
        (&fees.onchain_output, shape.onchain_outputs),
    ];
    let mut sum = 0.0;
    for (program, count) in parts {
        let program = program.trim();
        if !program.is_empty() {
            let each: f64 =
                program.parse().map_err(|_| format!("only constant fee programs are understood: {program}"))?;
            sum += each * count as f64;
        }
    }
    Ok(sum.ceil() as i64)
}
