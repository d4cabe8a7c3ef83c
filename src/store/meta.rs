//! Whose wallet the file holds, and small facts.

use bitcoin::XOnlyPublicKey;
use rusqlite::params;

use super::cells::delay_number;
use super::{Db, StoreError};
use crate::channel::{Delay, Network};

/// What a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// A hash of the wallet's public root key.
    pub fingerprint: [u8; 32],
    pub network: Network,
    /// The operator's signer key.
    pub operator: XOnlyPublicKey,
}

impl Db<'_> {
    /// The first call says whose the file is; later ones must say the same.
    pub fn bind(&self, binding: &Binding) -> Result<(), StoreError> {
        match self.binding()? {
            None => self.set_binding(binding),
            Some(stored) if stored.fingerprint != binding.fingerprint => Err(StoreError::OtherWallet),
            Some(stored) if stored.network != binding.network => {
                Err(StoreError::OtherNetwork { stored: stored.network, got: binding.network })
            }
            Some(stored) if stored.operator != binding.operator => {
                Err(StoreError::OtherOperator { stored: stored.operator.into() })
            }
            Some(_) => Ok(()),
        }
    }

    /// What the file belongs to; `None` before the first [`Db::bind`].
    pub fn binding(&self) -> Result<Option<Binding>, StoreError> {
        self.one("SELECT fingerprint, network, operator FROM wallet WHERE fingerprint IS NOT NULL", [], |cells| {
            let network = Network::from_code(cells.u32(1)?).map_err(|_| StoreError::corrupt("network"))?;
            Ok(Binding { fingerprint: cells.array(0)?, network, operator: cells.key(2)? })
        })
    }

    /// Follows an operator that has changed its signer key.
    pub fn set_operator(&self, operator: XOnlyPublicKey) -> Result<(), StoreError> {
        let binding = self.binding()?.ok_or(StoreError::NotFound { what: "the wallet" })?;
        self.set_binding(&Binding { operator, ..binding })
    }

    fn set_binding(&self, binding: &Binding) -> Result<(), StoreError> {
        self.wallet_row(self.run(
            "UPDATE wallet SET fingerprint = ?1, network = ?2, operator = ?3",
            params![binding.fingerprint, binding.network.code(), binding.operator.serialize()],
        )?)
    }

    /// The batch expiry of the operator, as learned from its trees.
    pub fn batch_expiry(&self) -> Result<Option<Delay>, StoreError> {
        self.one("SELECT batch_expiry FROM wallet", [], |cells| cells.option(0, |cells, i| cells.delay(i)))?
            .ok_or_else(|| StoreError::corrupt("the wallet row is missing"))
    }

    pub fn set_batch_expiry(&self, expiry: Delay) -> Result<(), StoreError> {
        self.wallet_row(self.run("UPDATE wallet SET batch_expiry = ?1", [delay_number(expiry)])?)
    }

    /// A small fact by name.
    pub fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT value FROM meta WHERE key = ?1", [key], |cells| cells.vec(0))
    }

    pub fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.run("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)", params![key, value]).map(drop)
    }

    pub fn delete_meta(&self, key: &str) -> Result<(), StoreError> {
        self.run("DELETE FROM meta WHERE key = ?1", [key]).map(drop)
    }

    /// The wallet table has one row; fewer changed rows mean that somebody took it away.
    pub(super) fn wallet_row(&self, changed: usize) -> Result<(), StoreError> {
        if changed == 1 { Ok(()) } else { Err(StoreError::corrupt("the wallet row is missing")) }
    }
}
