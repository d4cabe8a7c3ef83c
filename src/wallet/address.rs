//! Own addresses. A script is known to the store before anybody is told of it.

use bitcoin::{Address, ScriptBuf, XOnlyPublicKey};

use super::error::Result;
use super::keys::KeyUse;
use super::{Wallet, WalletError};
use crate::channel::script::default_vtxo;
use crate::channel::{ArkAddress, Delay, OperatorInfo, Payout, TapTree};
use crate::store::{Db, OwnScript, ScriptKind, StoreError};

/// The script of the newest address that was shown.
const ADDRESS_KEY: &str = "ark-address";

/// The index of the boarding key. There is one address under each signer key of the operator: at a fixed index the words
/// alone make it again, whether it has been paid yet or not.
pub(super) const BOARDING_INDEX: u32 = 0;

impl Wallet {
    /// The Ark address to be paid at: the newest one of this wallet, made at the first call.
    pub fn ark_address(&self) -> Result<String> {
        let info = self.info()?;
        // Not just any script of ours: those of channels and change are for one use.
        let own = self.store.write::<_, Box<WalletError>>(|db| {
            if let Some(script) = db.meta(ADDRESS_KEY)?
                && let Some(own) = db.script(&ScriptBuf::from_bytes(script))?
                && own.operator == info.signer
            {
                return Ok(own);
            }
            self.fresh_address(db, &info)
        })?;
        let tree = self.tree_of(&own)?;
        Ok(ArkAddress::new(info.network, own.operator, tree.output_key()).to_string())
    }

    /// A new Ark address, for a payment that should not be linked to others.
    pub fn new_ark_address(&self) -> Result<String> {
        let info = self.info()?;
        let own = self.store.write(|db| self.fresh_address(db, &info))?;
        Ok(ArkAddress::new(info.network, own.operator, self.tree_of(&own)?.output_key()).to_string())
    }

    fn fresh_address(&self, db: &Db<'_>, info: &OperatorInfo) -> Result<OwnScript> {
        let own = self.fresh_vtxo(db, info)?;
        db.set_meta(ADDRESS_KEY, own.script.as_bytes())?;
        Ok(own)
    }

    /// The on-chain address from which coins are settled into Ark.
    pub fn boarding_address(&self) -> Result<String> {
        let info = self.info()?;
        let known = self.store.read(|db| db.scripts(ScriptKind::Boarding))?;
        let own = match known.into_iter().rfind(|own| own.operator == info.signer) {
            Some(own) => own,
            None => self.store.write(|db| {
                let key = self.keys.keypair(KeyUse::Boarding, BOARDING_INDEX)?.xonly();
                add_script(db, &info, ScriptKind::Boarding, BOARDING_INDEX, key, info.boarding_exit_delay)
            })?,
        };
        let address = Address::from_script(&own.script, info.network.to_bitcoin());
        Ok(address.map_err(|_| WalletError::InvalidAddress)?.to_string())
    }

    /// A script for a VTXO that nothing else pays to.
    pub(super) fn fresh_vtxo(&self, db: &Db<'_>, info: &OperatorInfo) -> Result<OwnScript> {
        let key_index = db.next_key_index()?;
        let key = self.keys.keypair(KeyUse::Vtxo, key_index)?.xonly();
        add_script(db, info, ScriptKind::Vtxo, key_index, key, info.unilateral_exit_delay)
    }

    /// An on-chain payout of our own at a fresh key.
    pub(super) fn fresh_chain_payout(&self, db: &Db<'_>, info: &OperatorInfo) -> Result<Payout> {
        let key_index = db.next_key_index()?;
        let payout = self.keys.chain_payout(key_index)?;
        let script = payout.script();
        db.add_script(&OwnScript { script, kind: ScriptKind::Chain, key_index, operator: info.signer, delay: None })?;
        Ok(payout)
    }

    /// What an own script is for.
    pub(super) fn key_use(own: &OwnScript) -> KeyUse {
        match own.kind {
            ScriptKind::Vtxo => KeyUse::Vtxo,
            ScriptKind::Boarding => KeyUse::Boarding,
            ScriptKind::Chain => KeyUse::Chain,
        }
    }

    /// The tree of an own VTXO or boarding script.
    pub(super) fn tree_of(&self, own: &OwnScript) -> Result<TapTree> {
        let delay = own.delay.ok_or(WalletError::CorruptFlow { what: "an own script" })?;
        let key = self.keys.keypair(Self::key_use(own), own.key_index)?.xonly();
        let tree = default_vtxo(key, own.operator, delay)?;
        if tree.script_pubkey() != own.script {
            return Err(StoreError::Corrupt { what: "an own script does not fit its key".into() }.into());
        }
        Ok(tree)
    }

    /// The own script an output pays to.
    pub(super) fn own_script(&self, script: &ScriptBuf) -> Result<OwnScript> {
        self.store.read(|db| db.script(script))?.ok_or(Box::new(WalletError::NotFound))
    }
}

/// A script that `key` and the operator share.
fn add_script(
    db: &Db<'_>,
    info: &OperatorInfo,
    kind: ScriptKind,
    key_index: u32,
    key: XOnlyPublicKey,
    delay: Delay,
) -> Result<OwnScript> {
    let script = default_vtxo(key, info.signer, delay)?.script_pubkey();
    let own = OwnScript { script, kind, key_index, operator: info.signer, delay: Some(delay) };
    db.add_script(&own)?;
    Ok(own)
}
