//! What a scanned text is.

use super::Wallet;
use super::error::Result;
use super::restore::read;
use crate::channel::backup;
use crate::channel::message::Message;
use crate::channel::{ArkAddress, ChannelError, Network};

/// A text that an app can do something with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A message of a channel.
    Message(Box<Message>),
    /// A static backup of this wallet, for [`Wallet::restore`].
    Backup {
        /// Unix seconds.
        made_at: u64,
        channels: usize,
    },
    /// Pay it with [`Wallet::send`].
    ArkAddress(String),
    /// Pay it with [`Wallet::withdraw`].
    ChainAddress(String),
}

impl Wallet {
    /// Tells a scanner what it has read. `bitcoin:` in front of an address is ignored; a backup of another mnemonic or
    /// network is an error.
    pub fn parse(&self, text: &str) -> Result<Parsed> {
        let text = text.trim();
        if text.get(..backup::PREFIX.len()).is_some_and(|head| head.eq_ignore_ascii_case(backup::PREFIX)) {
            let backup = read(&self.keys, self.config.network, text)?;
            return Ok(Parsed::Backup { made_at: backup.made_at, channels: backup.channels.len() });
        }
        let damaged = match Message::parse(text) {
            Ok(message) => return Ok(Parsed::Message(Box::new(message))),
            Err(ChannelError::NotOurText) => None,
            Err(error) => Some(error),
        };
        if let Ok(address) = ArkAddress::parse(text)
            && address.mainnet == (self.config.network == Network::Bitcoin)
        {
            return Ok(Parsed::ArkAddress(address.to_string()));
        }
        let bare = match text.get(..8) {
            Some(scheme) if scheme.eq_ignore_ascii_case("bitcoin:") => text.get(8..).unwrap_or_default(),
            _ => text,
        };
        let bare = bare.split('?').next().unwrap_or_default();
        if self.chain_script(bare).is_ok() {
            return Ok(Parsed::ChainAddress(bare.to_owned()));
        }
        Err(damaged.unwrap_or(ChannelError::NotOurText).into())
    }
}
