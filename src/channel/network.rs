//! The networks an operator can run on.

use super::ChannelError;

/// A Bitcoin network as arkd names it. Mutinynet is a signet with blocks every 30 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum Network {
    Bitcoin,
    Testnet,
    Signet,
    Mutinynet,
    Regtest,
}

impl Network {
    /// The network for the name in arkd's `GetInfo`.
    pub fn from_arkd(name: &str) -> Result<Self, ChannelError> {
        match name {
            "bitcoin" | "mainnet" => Ok(Self::Bitcoin),
            "testnet" | "testnet3" | "testnet4" => Ok(Self::Testnet),
            "signet" => Ok(Self::Signet),
            "mutinynet" => Ok(Self::Mutinynet),
            "regtest" => Ok(Self::Regtest),
            other => Err(ChannelError::UnknownNetwork { name: other.chars().take(32).collect() }),
        }
    }

    /// The name arkd uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bitcoin => "bitcoin",
            Self::Testnet => "testnet",
            Self::Signet => "signet",
            Self::Mutinynet => "mutinynet",
            Self::Regtest => "regtest",
        }
    }

    /// The number that stands for this network in canonical encodings and messages.
    pub fn code(self) -> u8 {
        match self {
            Self::Bitcoin => 0,
            Self::Testnet => 1,
            Self::Signet => 2,
            Self::Mutinynet => 3,
            Self::Regtest => 4,
        }
    }

    /// The network for a [`Network::code`].
    pub fn from_code(code: u32) -> Result<Self, ChannelError> {
        match code {
            0 => Ok(Self::Bitcoin),
            1 => Ok(Self::Testnet),
            2 => Ok(Self::Signet),
            3 => Ok(Self::Mutinynet),
            4 => Ok(Self::Regtest),
            other => Err(ChannelError::UnknownNetwork { name: other.to_string() }),
        }
    }

    /// The human-readable part of Ark addresses.
    pub fn ark_hrp(self) -> &'static str {
        match self {
            Self::Bitcoin => "ark",
            _ => "tark",
        }
    }

    /// What rust-bitcoin calls this network (for on-chain addresses and BIP32 versions).
    pub fn to_bitcoin(self) -> bitcoin::Network {
        match self {
            Self::Bitcoin => bitcoin::Network::Bitcoin,
            Self::Testnet => bitcoin::Network::Testnet,
            Self::Signet | Self::Mutinynet => bitcoin::Network::Signet,
            Self::Regtest => bitcoin::Network::Regtest,
        }
    }
}
