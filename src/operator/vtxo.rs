//! A VTXO as the indexer tells it.

use bitcoin::{Amount, OutPoint, ScriptBuf, Txid};

use super::error::OperatorError;
use super::{decode, wire};

/// What the operator's books say of a VTXO. Times are unix seconds; with an operator that counts in blocks,
/// `expires_at` counts a second a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vtxo {
    pub outpoint: OutPoint,
    pub amount: Amount,
    pub script: ScriptBuf,
    pub created_at: u64,
    pub expires_at: u64,
    /// Made off chain and not in a batch yet.
    pub preconfirmed: bool,
    /// The operator swept its batch: it can only be recovered in a new one.
    pub swept: bool,
    /// It is on chain.
    pub unrolled: bool,
    pub spent: bool,
    /// The checkpoint (off chain) or forfeit transaction that spends it.
    pub spent_by: Option<Txid>,
    /// The commitment transaction of the batch it went into.
    pub settled_by: Option<Txid>,
    /// The ark transaction that spends it off chain.
    pub ark_txid: Option<Txid>,
    /// The commitment transactions it hangs on.
    pub commitment_txids: Vec<Txid>,
    /// Ark transactions between it and those.
    pub depth: u32,
    /// It carries assets, which this library would lose.
    pub has_assets: bool,
}

impl Vtxo {
    /// Whether it can be spent off chain, as far as the books say (`now`: unix seconds).
    pub fn is_spendable(&self, now: u64) -> bool {
        !self.spent && !self.swept && !self.unrolled && now < self.expires_at
    }

    /// Whether its owner can take it back in a batch without a forfeit.
    pub fn is_recoverable(&self, now: u64) -> bool {
        !self.spent && !self.unrolled && (self.swept || now >= self.expires_at)
    }

    pub(super) fn decode(call: &'static str, vtxo: wire::IndexerVtxo) -> Result<Self, OperatorError> {
        if vtxo.commitment_txids.len() > 1000 {
            return Err(OperatorError::bad(call, format!("{} commitment transactions", vtxo.commitment_txids.len())));
        }
        Ok(Self {
            outpoint: outpoint(call, vtxo.outpoint)?,
            amount: decode::amount(call, vtxo.amount)?,
            script: decode::script(call, &vtxo.script)?,
            created_at: u64::try_from(vtxo.created_at).unwrap_or(0),
            expires_at: u64::try_from(vtxo.expires_at).unwrap_or(0),
            preconfirmed: vtxo.is_preconfirmed,
            swept: vtxo.is_swept,
            unrolled: vtxo.is_unrolled,
            spent: vtxo.is_spent,
            spent_by: decode::optional_txid(call, &vtxo.spent_by)?,
            settled_by: decode::optional_txid(call, &vtxo.settled_by)?,
            ark_txid: decode::optional_txid(call, &vtxo.ark_txid)?,
            commitment_txids: vtxo
                .commitment_txids
                .iter()
                .map(|txid| decode::txid(call, txid))
                .collect::<Result<Vec<_>, _>>()?,
            depth: vtxo.depth,
            has_assets: !vtxo.assets.is_empty(),
        })
    }
}

pub(super) fn outpoint(call: &'static str, found: Option<wire::IndexerOutpoint>) -> Result<OutPoint, OperatorError> {
    let found = found.ok_or_else(|| OperatorError::bad(call, "a VTXO without outpoint"))?;
    Ok(OutPoint::new(decode::txid(call, &found.txid)?, found.vout))
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::super::recorded::{UNITS, base64, load};
    use super::*;

    fn recorded() -> Vec<wire::IndexerVtxo> {
        let mut vtxos = Vec::new();
        for unit in UNITS {
            for call in load(&format!("wire-{unit}")).as_array().unwrap() {
                if call["method"] == "IndexerService/GetVtxos" && call["response"].is_string() {
                    let answer = wire::GetVtxosResponse::decode(&*base64(&call["response"])).unwrap();
                    vtxos.extend(answer.vtxos);
                }
            }
        }
        vtxos
    }

    #[test]
    fn recorded_vtxos_decode() {
        let vtxos = recorded();
        assert!(!vtxos.is_empty());
        for vtxo in vtxos {
            let decoded = Vtxo::decode("", vtxo.clone()).unwrap();
            assert_eq!(decoded.amount.to_sat(), vtxo.amount);
            assert!(decoded.expires_at > decoded.created_at);
            assert!(decoded.script.is_p2tr());
            assert!(!decoded.commitment_txids.is_empty());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        type Spoil = fn(&mut wire::IndexerVtxo);
        let spoils: [Spoil; 6] = [
            |vtxo| vtxo.outpoint = None,
            |vtxo| vtxo.outpoint = Some(wire::IndexerOutpoint { txid: "zz".into(), vout: 0 }),
            |vtxo| vtxo.amount = u64::MAX,
            |vtxo| vtxo.script = "5".into(),
            |vtxo| vtxo.spent_by = "x".into(),
            |vtxo| vtxo.commitment_txids = vec![String::new(); 2000],
        ];
        for spoil in spoils {
            let mut vtxo = recorded().remove(0);
            spoil(&mut vtxo);
            assert!(Vtxo::decode("", vtxo).is_err());
        }
    }

    #[test]
    fn expiry_decides_who_can_take_it() {
        let mut vtxo = Vtxo::decode("", recorded().remove(0)).unwrap();
        (vtxo.spent, vtxo.swept, vtxo.unrolled, vtxo.expires_at) = (false, false, false, 100);
        assert!(vtxo.is_spendable(99) && !vtxo.is_recoverable(99));
        assert!(!vtxo.is_spendable(100) && vtxo.is_recoverable(100));
        vtxo.swept = true;
        assert!(!vtxo.is_spendable(99) && vtxo.is_recoverable(99));
        vtxo.unrolled = true;
        assert!(!vtxo.is_recoverable(99));
    }
}
