//! Messages as text for QR codes: bech32m characters and checksum, upper-case safe, without its length limit.
//!
//! Beyond 1023 characters the checksum no longer promises to find every burst of errors; it still misses a random one
//! only once in 2^30, and what matters inside is signed.

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Checksum, Hrp};

use super::ChannelError;

/// The longest text that is read.
pub const MAX_TEXT: usize = 32 * 1024;

/// bech32m for strings of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LongBech32m {}

impl Checksum for LongBech32m {
    type MidstateRepr = u32;
    const CODE_LENGTH: usize = MAX_TEXT;
    const CHECKSUM_LENGTH: usize = Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [u32; 5] = Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: u32 = Bech32m::TARGET_RESIDUE;
}

/// `bytes` with `prefix`, in lower case. Upper-case it for a QR code: all of it is alphanumeric mode then.
pub fn encode(prefix: &str, bytes: &[u8]) -> Result<String, ChannelError> {
    let hrp = Hrp::parse(prefix).map_err(|_| ChannelError::NotOurText)?;
    bech32::encode_lower::<LongBech32m>(hrp, bytes)
        .map_err(|_| ChannelError::TooLarge { size: bytes.len(), limit: MAX_TEXT * 5 / 8 })
}

/// The prefix (lower case) and the bytes of a text; white space around it is ignored.
pub fn decode(text: &str) -> Result<(String, Vec<u8>), ChannelError> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return Err(ChannelError::TooLarge { size: text.len(), limit: MAX_TEXT });
    }
    let unchecked = bech32::primitives::decode::UncheckedHrpstring::new(text).map_err(|_| ChannelError::NotOurText)?;
    let prefix = unchecked.hrp().to_lowercase();
    if !prefix.starts_with("vc") {
        return Err(ChannelError::NotOurText);
    }
    let checked = CheckedHrpstring::new::<LongBech32m>(text).map_err(|_| ChannelError::Checksum)?;
    Ok((prefix, checked.byte_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_in_both_cases_and_any_length() {
        for size in [0, 1, 180, 5_000] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
            let text = encode("vcu", &bytes).unwrap();
            assert_eq!(decode(&text).unwrap(), ("vcu".to_string(), bytes.clone()));
            assert_eq!(decode(&format!("  {}\n", text.to_uppercase())).unwrap(), ("vcu".to_string(), bytes));
        }
    }

    #[test]
    fn damage_is_found() {
        let text = encode("vcu", &[1, 2, 3, 4, 5]).unwrap();
        for at in 4..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'q' { b'p' } else { b'q' };
            let damaged = String::from_utf8(damaged).unwrap();
            assert_eq!(decode(&damaged), Err(ChannelError::Checksum), "{at}");
        }
        assert_eq!(decode("hello"), Err(ChannelError::NotOurText));
        assert_eq!(
            decode(&"q".repeat(MAX_TEXT + 1)),
            Err(ChannelError::TooLarge { size: MAX_TEXT + 1, limit: MAX_TEXT })
        );
    }
}
