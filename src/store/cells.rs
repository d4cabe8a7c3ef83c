//! Columns, checked one by one: what is in the file is not believed.

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, Sequence, Txid, XOnlyPublicKey};
use rusqlite::Row;
use rusqlite::types::ValueRef;

use super::StoreError;
use crate::channel::{ChannelId, Delay};

/// One row of an answer. Columns are counted from 0.
pub(super) struct Cells<'a>(pub &'a Row<'a>);

impl Cells<'_> {
    fn corrupt(&self, column: usize) -> StoreError {
        StoreError::corrupt(format!("column {}", self.0.as_ref().column_name(column).unwrap_or("?")))
    }

    fn value(&self, column: usize) -> Result<ValueRef<'_>, StoreError> {
        self.0.get_ref(column).map_err(|_| self.corrupt(column))
    }

    /// `None` for NULL, else what `read` makes of the column.
    pub fn option<T>(
        &self,
        column: usize,
        read: impl FnOnce(&Self, usize) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match self.value(column)? {
            ValueRef::Null => Ok(None),
            _ => read(self, column).map(Some),
        }
    }

    pub fn i64(&self, column: usize) -> Result<i64, StoreError> {
        self.value(column)?.as_i64().map_err(|_| self.corrupt(column))
    }

    pub fn u64(&self, column: usize) -> Result<u64, StoreError> {
        u64::try_from(self.i64(column)?).map_err(|_| self.corrupt(column))
    }

    pub fn u32(&self, column: usize) -> Result<u32, StoreError> {
        u32::try_from(self.i64(column)?).map_err(|_| self.corrupt(column))
    }

    pub fn bool(&self, column: usize) -> Result<bool, StoreError> {
        match self.i64(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.corrupt(column)),
        }
    }

    pub fn amount(&self, column: usize) -> Result<Amount, StoreError> {
        self.u64(column).map(Amount::from_sat)
    }

    pub fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        self.value(column)?.as_blob().map_err(|_| self.corrupt(column))
    }

    pub fn vec(&self, column: usize) -> Result<Vec<u8>, StoreError> {
        self.bytes(column).map(<[u8]>::to_vec)
    }

    pub fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        self.bytes(column)?.try_into().map_err(|_| self.corrupt(column))
    }

    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        self.value(column)?.as_str().map_err(|_| self.corrupt(column))
    }

    /// A word of one of the enums in [`super::words`].
    pub fn word<T>(&self, column: usize, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        parse(self.text(column)?).ok_or_else(|| self.corrupt(column))
    }

    pub fn channel_id(&self, column: usize) -> Result<ChannelId, StoreError> {
        self.array(column).map(ChannelId)
    }

    pub fn txid(&self, column: usize) -> Result<Txid, StoreError> {
        self.array(column).map(Txid::from_byte_array)
    }

    pub fn outpoint(&self, column: usize) -> Result<OutPoint, StoreError> {
        bitcoin::consensus::deserialize(self.bytes(column)?).map_err(|_| self.corrupt(column))
    }

    pub fn key(&self, column: usize) -> Result<XOnlyPublicKey, StoreError> {
        XOnlyPublicKey::from_slice(self.bytes(column)?).map_err(|_| self.corrupt(column))
    }

    pub fn signature(&self, column: usize) -> Result<bitcoin::secp256k1::schnorr::Signature, StoreError> {
        bitcoin::secp256k1::schnorr::Signature::from_slice(self.bytes(column)?).map_err(|_| self.corrupt(column))
    }

    /// A delay is stored as its BIP68 sequence, which says the unit.
    pub fn delay(&self, column: usize) -> Result<Delay, StoreError> {
        Delay::from_sequence(Sequence::from_consensus(self.u32(column)?)).map_err(|_| self.corrupt(column))
    }
}

/// A number for the file, which holds signed ones.
pub(super) fn number(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::Invalid { what: "number: above 2^63" })
}

pub(super) fn sats(amount: Amount) -> Result<i64, StoreError> {
    number(amount.to_sat())
}

/// 36 bytes: transaction id and index, as in a transaction.
pub(super) fn outpoint_bytes(outpoint: &OutPoint) -> Vec<u8> {
    bitcoin::consensus::serialize(outpoint)
}

pub(super) fn delay_number(delay: Delay) -> i64 {
    delay.sequence().to_consensus_u32().into()
}
