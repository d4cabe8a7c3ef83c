//! How a backup travels: encrypted, as text.
//!
//! ChaCha20-Poly1305 (RFC 8439) as `ring` has it, which the library's TLS uses already. Its nonce of 96 bits is too short
//! to be drawn at random for as long as a wallet lives, so every backup gets a key of its own instead: HKDF-SHA256 of
//! the wallet's backup key with 32 random bytes, which travel along. That key encrypts one text, so its nonce is zero.
//! XChaCha20 does the same with a shorter random part, and would be a second implementation of the cipher.
//!
//! Version and random bytes are authenticated with the text. A text whose checksum is right and whose tag is not was made
//! with another mnemonic.

use bech32::primitives::decode::{CheckedHrpstring, UncheckedHrpstring};
use bech32::{Bech32m, Checksum, Hrp};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};

use crate::channel::ChannelError;

/// In front of the text of a backup.
pub const PREFIX: &str = "vcb";

/// Random bytes a backup needs.
pub const SALT: usize = 32;

/// The most bytes in a backup: thousands of channels.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// The longest text that is read.
pub const MAX_TEXT: usize = MAX_BYTES / 5 * 8 + 1024;

const VERSION: u8 = 1;
const HEADER: usize = 1 + SALT;
const TAG: usize = 16;

/// bech32m for the longest backup. The tag is what protects it; the checksum tells a typo from another mnemonic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BackupBech32m {}

impl Checksum for BackupBech32m {
    type MidstateRepr = u32;
    const CODE_LENGTH: usize = MAX_TEXT;
    const CHECKSUM_LENGTH: usize = Bech32m::CHECKSUM_LENGTH;
    const GENERATOR_SH: [u32; 5] = Bech32m::GENERATOR_SH;
    const TARGET_RESIDUE: u32 = Bech32m::TARGET_RESIDUE;
}

/// The key of one text.
fn key(wallet: &[u8; 32], salt: &[u8]) -> Option<LessSafeKey> {
    let random = Salt::new(HKDF_SHA256, salt).extract(wallet);
    let bytes = random.expand(&[b"virtual-channels/backup"], &CHACHA20_POLY1305).ok()?;
    Some(LessSafeKey::new(UnboundKey::from(bytes)))
}

/// Encrypts `plain` with the wallet's backup key. `salt` must be fresh randomness.
pub fn seal(wallet: &[u8; 32], salt: [u8; SALT], plain: Vec<u8>) -> Result<String, ChannelError> {
    let too_large = ChannelError::TooLarge { size: plain.len(), limit: MAX_BYTES };
    if plain.len() > MAX_BYTES - HEADER - TAG {
        return Err(too_large);
    }
    let mut sealed = vec![VERSION];
    sealed.extend(salt);
    let mut body = plain;
    key(wallet, &salt)
        .and_then(|key| key.seal_in_place_append_tag(nonce(), Aad::from(&sealed), &mut body).ok())
        .ok_or(too_large.clone())?;
    sealed.extend(body);
    let hrp = Hrp::parse(PREFIX).map_err(|_| ChannelError::NotOurText)?;
    bech32::encode_lower::<BackupBech32m>(hrp, &sealed).map_err(|_| too_large)
}

/// Decrypts a text of [`seal`]. `Ok(None)`: it is whole, and made with another mnemonic.
pub fn open(wallet: &[u8; 32], text: &str) -> Result<Option<Vec<u8>>, ChannelError> {
    let text = text.trim();
    if text.len() > MAX_TEXT {
        return Err(ChannelError::TooLarge { size: text.len(), limit: MAX_TEXT });
    }
    let unchecked = UncheckedHrpstring::new(text).map_err(|_| ChannelError::NotOurText)?;
    if unchecked.hrp().to_lowercase() != PREFIX {
        return Err(ChannelError::NotOurText);
    }
    let checked = CheckedHrpstring::new::<BackupBech32m>(text).map_err(|_| ChannelError::Checksum)?;
    let mut bytes: Vec<u8> = checked.byte_iter().collect();
    match bytes.first() {
        Some(&VERSION) => {}
        Some(version) => return Err(ChannelError::UnknownVersion { version: (*version).into() }),
        None => return Err(ChannelError::Malformed { what: "an empty backup" }),
    }
    let (header, body) = bytes.split_at_mut_checked(HEADER).ok_or(ChannelError::Malformed { what: "a cut backup" })?;
    let salt = header.get(1..).unwrap_or_default();
    let opened = key(wallet, salt).and_then(|key| key.open_in_place(nonce(), Aad::from(&header), body).ok());
    Ok(opened.map(|plain| plain.to_vec()))
}

/// Each key is used once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    #[test]
    fn comes_back_in_both_cases_and_any_length() {
        for size in [0, 1, 300, 70_000] {
            let plain: Vec<u8> = (0..size).map(|i| (i * 7) as u8).collect();
            let text = seal(&KEY, [9; SALT], plain.clone()).unwrap();
            assert_eq!(open(&KEY, &text), Ok(Some(plain.clone())));
            assert_eq!(open(&KEY, &format!(" {}\n", text.to_uppercase())), Ok(Some(plain)));
        }
        assert!(seal(&KEY, [9; SALT], vec![0; MAX_BYTES]).is_err());
    }

    #[test]
    fn another_key_opens_nothing() {
        let text = seal(&KEY, [9; SALT], b"what is paid where".to_vec()).unwrap();
        for bit in 0..256 {
            let mut other = KEY;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(open(&other, &text), Ok(None));
        }
    }

    #[test]
    fn the_same_twice_is_another_text() {
        let plain = vec![0; 100];
        let [one, two] = [[1; SALT], [2; SALT]].map(|salt| seal(&KEY, salt, plain.clone()).unwrap());
        assert_ne!(one, two);
        assert!(!one.contains("qqqqqqqqqq"), "zeros do not show");
    }

    /// Every bit behind a right checksum is authenticated.
    #[test]
    fn damage_is_found_by_the_checksum_and_behind_it() {
        let text = seal(&KEY, [9; SALT], vec![5; 40]).unwrap();
        let mut damaged = text.clone().into_bytes();
        damaged[60] = if damaged[60] == b'q' { b'p' } else { b'q' };
        assert_eq!(open(&KEY, &String::from_utf8(damaged).unwrap()), Err(ChannelError::Checksum));
        let bytes: Vec<u8> = CheckedHrpstring::new::<BackupBech32m>(&text).unwrap().byte_iter().collect();
        let again = |bytes: &[u8]| bech32::encode_lower::<BackupBech32m>(Hrp::parse(PREFIX).unwrap(), bytes).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let opened = open(&KEY, &again(&bad));
            match bit / 8 {
                0 => assert!(matches!(opened, Err(ChannelError::UnknownVersion { .. })), "{opened:?}"),
                _ => assert_eq!(opened, Ok(None), "bit {bit}"),
            }
        }
        for end in 0..bytes.len() {
            assert!(!matches!(open(&KEY, &again(&bytes[..end])), Ok(Some(_))), "cut at {end}");
        }
        assert_eq!(open(&KEY, "hello"), Err(ChannelError::NotOurText));
        assert_eq!(open(&KEY, &crate::channel::text::encode("vcu", &bytes).unwrap()), Err(ChannelError::NotOurText));
        let long = "q".repeat(MAX_TEXT + 1);
        assert_eq!(open(&KEY, &long), Err(ChannelError::TooLarge { size: MAX_TEXT + 1, limit: MAX_TEXT }));
    }
}
