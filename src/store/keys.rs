//! Which keys have been used, and the scripts they are in. No secret is stored: keys come from the seed by index.

use bitcoin::{Script, ScriptBuf, XOnlyPublicKey};
use rusqlite::params;

use super::cells::{Cells, delay_number};
use super::{Db, ScriptKind, StoreError};
use crate::channel::Delay;

/// A script whose coins are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnScript {
    pub script: ScriptBuf,
    pub kind: ScriptKind,
    /// The index of its key under the wallet's path.
    pub key_index: u32,
    /// The operator's signer key (in the script itself for VTXO and boarding scripts).
    pub operator: XOnlyPublicKey,
    /// The unilateral exit delay in the script; none on chain.
    pub delay: Option<Delay>,
}

const COLUMNS: &str = "script, kind, key_index, operator, delay";

impl Db<'_> {
    /// An index that has never been given out before, also not by another process.
    pub fn next_key_index(&self) -> Result<u32, StoreError> {
        let sql = "UPDATE wallet SET next_key_index = next_key_index + 1 WHERE next_key_index < 2147483648";
        let changed = self.run(sql, [])?;
        let next = self
            .one("SELECT next_key_index FROM wallet", [], |cells| cells.u32(0))?
            .ok_or_else(|| StoreError::corrupt("the wallet row is missing"))?;
        match (changed, next.checked_sub(1)) {
            (1, Some(index)) => Ok(index),
            _ => Err(StoreError::KeysExhausted),
        }
    }

    /// Remembers a script. The same again does nothing.
    pub fn add_script(&self, own: &OwnScript) -> Result<(), StoreError> {
        if (own.kind == ScriptKind::Chain) != own.delay.is_none() {
            return Err(StoreError::Invalid { what: "script: a delay, and none on chain" });
        }
        let added = self.run(
            "INSERT INTO scripts (script, kind, key_index, operator, delay) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (script) DO NOTHING",
            params![
                own.script.as_bytes(),
                own.kind.as_str(),
                own.key_index,
                own.operator.serialize(),
                own.delay.map(delay_number)
            ],
        )?;
        if added == 0 && self.script(&own.script)?.as_ref() != Some(own) {
            return Err(StoreError::AlreadyExists { what: "the script" });
        }
        Ok(())
    }

    /// The script, if it is ours.
    pub fn script(&self, script: &Script) -> Result<Option<OwnScript>, StoreError> {
        self.one(&format!("SELECT {COLUMNS} FROM scripts WHERE script = ?1"), [script.as_bytes()], own_script)
    }

    /// All scripts of a kind, oldest key first.
    pub fn scripts(&self, kind: ScriptKind) -> Result<Vec<OwnScript>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM scripts WHERE kind = ?1 ORDER BY key_index, script");
        self.all(&sql, [kind.as_str()], own_script)
    }
}

fn own_script(cells: &Cells<'_>) -> Result<OwnScript, StoreError> {
    Ok(OwnScript {
        script: ScriptBuf::from_bytes(cells.vec(0)?),
        kind: cells.word(1, ScriptKind::from_word)?,
        key_index: cells.u32(2)?,
        operator: cells.key(3)?,
        delay: cells.option(4, |cells, i| cells.delay(i))?,
    })
}
