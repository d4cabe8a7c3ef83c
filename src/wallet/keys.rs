//! Keys from the mnemonic: BIP39, then BIP32 along fixed paths.
//!
//! | path | for |
//! |---|---|
//! | `m/86'/coin'/0'/0/i` | on-chain addresses (BIP86): exits, withdrawals to oneself |
//! | `m/86'/coin'/1'/0/i` | the small on-chain wallet that pays for exits: addresses to be paid at |
//! | `m/86'/coin'/1'/1/i` | the same: what its transactions leave over |
//! | `m/1120'/coin'/0'/i'` | VTXOs of the wallet |
//! | `m/1120'/coin'/1'/i'` | boarding coins |
//! | `m/1120'/coin'/2'/i'` | channels as payer |
//! | `m/1120'/coin'/3'/i'` | channels as receiver |
//! | `m/1120'/coin'/4'/i'` | co-signing batch trees |
//! | `m/1120'/coin'/5'/0'` | encrypting static backups; no key of a coin or channel, and never a public one |
//!
//! `coin` is 0 on mainnet, 1 elsewhere. One counter serves all branches, so an index is used once; but boarding coins are
//! at index 0 always, and the on-chain wallet (account 1) has counters of its own, without gaps, so that a mnemonic alone
//! finds these coins.

use bip39::Mnemonic;
use bitcoin::bip32::{ChildNumber, Xpriv, Xpub};
use bitcoin::key::TapTweak;
use bitcoin::{Address, XOnlyPublicKey};
use secp256k1::{Keypair, SECP256K1};
use zeroize::Zeroizing;

use super::WalletError;
use crate::channel::terms::tagged_hash;
use crate::channel::{Network, Payout};

/// Purpose of the paths that are this library's own.
const PURPOSE: u32 = 1120;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUse {
    Vtxo,
    Boarding,
    Payer,
    Receiver,
    Cosigner,
    /// BIP86, on chain.
    Chain,
    /// BIP86, addresses of the on-chain wallet.
    Onchain,
    /// BIP86, change of the on-chain wallet.
    OnchainChange,
}

/// A key pair that is erased when dropped and never printed.
pub struct SecretKeypair(Keypair);

impl std::ops::Deref for SecretKeypair {
    type Target = Keypair;

    fn deref(&self) -> &Keypair {
        &self.0
    }
}

impl Drop for SecretKeypair {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl SecretKeypair {
    pub fn xonly(&self) -> XOnlyPublicKey {
        self.0.x_only_public_key().0
    }
}

/// The branch of a use under the library's own purpose; none for those of BIP86.
fn own_branch(key_use: KeyUse) -> Option<u32> {
    match key_use {
        KeyUse::Vtxo => Some(0),
        KeyUse::Boarding => Some(1),
        KeyUse::Payer => Some(2),
        KeyUse::Receiver => Some(3),
        KeyUse::Cosigner => Some(4),
        KeyUse::Chain | KeyUse::Onchain | KeyUse::OnchainChange => None,
    }
}

/// The wallet's seed.
pub struct Keys {
    seed: Zeroizing<[u8; 64]>,
    network: Network,
}

impl Keys {
    /// Reads a mnemonic of 12 to 24 English words.
    pub fn from_mnemonic(words: &str, network: Network) -> Result<Self, Box<WalletError>> {
        let mnemonic = Mnemonic::parse_normalized(words.trim()).map_err(|_| WalletError::InvalidMnemonic)?;
        Ok(Self { seed: Zeroizing::new(mnemonic.to_seed("")), network })
    }

    /// Twelve fresh words.
    pub fn generate_mnemonic() -> Result<String, Box<WalletError>> {
        Ok(Mnemonic::generate(12).map(|mnemonic| mnemonic.to_string()).map_err(|_| WalletError::InvalidMnemonic)?)
    }

    fn coin(&self) -> u32 {
        u32::from(self.network != Network::Bitcoin)
    }

    fn derive(&self, path: &[ChildNumber]) -> Result<SecretKeypair, Box<WalletError>> {
        let failed = |_| WalletError::KeyDerivation;
        let mut master = Xpriv::new_master(self.network.to_bitcoin(), self.seed.as_ref()).map_err(failed)?;
        let mut child = master.derive_priv(SECP256K1, &path).map_err(failed)?;
        let keypair = SecretKeypair(Keypair::from_secret_key(SECP256K1, &child.private_key));
        child.private_key.non_secure_erase();
        master.private_key.non_secure_erase();
        Ok(keypair)
    }

    /// The key pair for one use at one index.
    pub fn keypair(&self, key_use: KeyUse, index: u32) -> Result<SecretKeypair, Box<WalletError>> {
        let hardened = |index| ChildNumber::from_hardened_idx(index).map_err(|_| WalletError::KeyDerivation);
        match (own_branch(key_use), key_use) {
            (Some(branch), _) => {
                self.derive(&[hardened(PURPOSE)?, hardened(self.coin())?, hardened(branch)?, hardened(index)?])
            }
            (None, KeyUse::OnchainChange) => self.derive_bip86(1, 1, index),
            (None, KeyUse::Onchain) => self.derive_bip86(1, 0, index),
            (None, _) => self.derive_bip86(0, 0, index),
        }
    }

    /// The index below `end` of a key of this wallet.
    pub(super) fn index_of(
        &self,
        key_use: KeyUse,
        key: &XOnlyPublicKey,
        end: u32,
    ) -> Result<Option<u32>, Box<WalletError>> {
        let failed = |_| WalletError::KeyDerivation;
        let hardened = |index| ChildNumber::from_hardened_idx(index).map_err(|_| WalletError::KeyDerivation);
        let Some(branch) = own_branch(key_use) else { return Ok(None) };
        let path = [hardened(PURPOSE)?, hardened(self.coin())?, hardened(branch)?];
        let mut master = Xpriv::new_master(self.network.to_bitcoin(), self.seed.as_ref()).map_err(failed)?;
        let mut branch = master.derive_priv(SECP256K1, &path).map_err(failed)?;
        master.private_key.non_secure_erase();
        let mut found = None;
        for index in 0..end.min(1 << 31) {
            let mut child = branch.derive_priv(SECP256K1, &[hardened(index)?]).map_err(failed)?;
            let is_it = child.private_key.x_only_public_key(SECP256K1).0 == *key;
            child.private_key.non_secure_erase();
            if is_it {
                found = Some(index);
                break;
            }
        }
        branch.private_key.non_secure_erase();
        Ok(found)
    }

    fn derive_bip86(&self, account: u32, branch: u32, index: u32) -> Result<SecretKeypair, Box<WalletError>> {
        let normal = |index| ChildNumber::from_normal_idx(index).map_err(|_| WalletError::KeyDerivation);
        let [purpose, coin, account] = self.bip86_account(account)?;
        self.derive(&[purpose, coin, account, normal(branch)?, normal(index)?])
    }

    fn bip86_account(&self, account: u32) -> Result<[ChildNumber; 3], Box<WalletError>> {
        let hardened = |index| ChildNumber::from_hardened_idx(index).map_err(|_| WalletError::KeyDerivation);
        Ok([hardened(86)?, hardened(self.coin())?, hardened(account)?])
    }

    /// The public key of the on-chain wallet's account (`m/86'/coin'/1'`).
    pub(super) fn onchain_account(&self) -> Result<Xpub, Box<WalletError>> {
        let failed = |_| WalletError::KeyDerivation;
        let mut master = Xpriv::new_master(self.network.to_bitcoin(), self.seed.as_ref()).map_err(failed)?;
        let mut account = master.derive_priv(SECP256K1, &self.bip86_account(1)?).map_err(failed)?;
        let public = Xpub::from_priv(SECP256K1, &account);
        account.private_key.non_secure_erase();
        master.private_key.non_secure_erase();
        Ok(public)
    }

    /// The BIP86 output at an index.
    pub fn chain_payout(&self, index: u32) -> Result<Payout, Box<WalletError>> {
        let internal = self.keypair(KeyUse::Chain, index)?.xonly();
        let (output, _) = internal.tap_tweak(SECP256K1, None);
        Ok(Payout::new(output.to_x_only_public_key()))
    }

    /// The BIP86 address at an index.
    pub fn chain_address(&self, index: u32) -> Result<Address, Box<WalletError>> {
        let script = self.chain_payout(index)?.script();
        Ok(Address::from_script(&script, self.network.to_bitcoin()).map_err(|_| WalletError::KeyDerivation)?)
    }

    /// The key that backups are encrypted with.
    pub(super) fn backup_key(&self) -> Result<Zeroizing<[u8; 32]>, Box<WalletError>> {
        let hardened = |index| ChildNumber::from_hardened_idx(index).map_err(|_| WalletError::KeyDerivation);
        let path = [hardened(PURPOSE)?, hardened(self.coin())?, hardened(5)?, hardened(0)?];
        Ok(Zeroizing::new(self.derive(&path)?.secret_bytes()))
    }

    /// Tells wallets apart without telling anything about their keys.
    pub fn fingerprint(&self) -> Result<[u8; 32], Box<WalletError>> {
        let key = self.keypair(KeyUse::Vtxo, 0x7fff_ffff)?.xonly();
        Ok(tagged_hash(b"virtual-channels/wallet", &key.serialize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    #[test]
    fn bip86_test_vector() {
        let keys = Keys::from_mnemonic(WORDS, Network::Bitcoin).unwrap();
        let address = keys.chain_address(0).unwrap().to_string();
        assert_eq!(address, "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr");
    }

    #[test]
    fn every_use_and_index_has_a_key_of_its_own() {
        let keys = Keys::from_mnemonic(WORDS, Network::Regtest).unwrap();
        let uses = [
            KeyUse::Vtxo,
            KeyUse::Boarding,
            KeyUse::Payer,
            KeyUse::Receiver,
            KeyUse::Cosigner,
            KeyUse::Chain,
            KeyUse::Onchain,
            KeyUse::OnchainChange,
        ];
        let mut seen = std::collections::HashSet::new();
        for key_use in uses {
            for index in 0..5 {
                assert!(seen.insert(keys.keypair(key_use, index).unwrap().xonly()));
            }
        }
    }

    #[test]
    fn a_key_is_found_again() {
        let keys = Keys::from_mnemonic(WORDS, Network::Regtest).unwrap();
        for key_use in [KeyUse::Payer, KeyUse::Receiver, KeyUse::Vtxo] {
            let key = keys.keypair(key_use, 17).unwrap().xonly();
            assert_eq!(keys.index_of(key_use, &key, 18).unwrap(), Some(17));
            assert_eq!(keys.index_of(key_use, &key, 17).unwrap(), None);
            assert_eq!(keys.index_of(KeyUse::Cosigner, &key, 30).unwrap(), None);
        }
    }

    #[test]
    fn wrong_words_are_refused() {
        for words in ["", "abandon", &WORDS.replace("about", "abandon"), "zoo zoo"] {
            assert!(matches!(
                Keys::from_mnemonic(words, Network::Regtest).map_err(|error| *error),
                Err(WalletError::InvalidMnemonic)
            ));
        }
        let generated = Keys::generate_mnemonic().unwrap();
        assert_eq!(generated.split(' ').count(), 12);
        assert!(Keys::from_mnemonic(&generated, Network::Regtest).is_ok());
    }
}
