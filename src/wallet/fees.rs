//! Which operators charge nothing, so that nobody has to ask.

use crate::channel::operator_info::FeePrograms;

impl FeePrograms {
    /// Whether every program is empty or the constant zero.
    pub fn is_free(&self) -> bool {
        [&self.offchain_input, &self.offchain_output, &self.onchain_input, &self.onchain_output]
            .into_iter()
            .all(|program| program.trim().is_empty() || program.trim().parse::<f64>().is_ok_and(|fee| fee == 0.0))
    }
}
