//! VTXOs by script and by outpoint, a page after the other.

use bitcoin::{OutPoint, ScriptBuf};

use super::client::CALL_LIMIT;
use super::error::OperatorError;
use super::vtxo::Vtxo;
use super::{Operator, wire};

const CALL: &str = "GetVtxos";

/// arkd's largest page.
pub(super) const PAGE: i32 = 100;

/// Scripts or outpoints asked for in one request.
const CHUNK: usize = 100;

/// A script paid more often than this is not one of ours.
const MAX_VTXOS: usize = 20_000;

const MAX_PAGES: i32 = 400;

impl Operator {
    /// All VTXOs, spent ones too, that pay to any of `scripts`.
    pub async fn vtxos_by_scripts(&self, scripts: &[ScriptBuf]) -> Result<Vec<Vtxo>, OperatorError> {
        let mut found = Vec::new();
        for chunk in scripts.chunks(CHUNK) {
            let scripts: Vec<String> = chunk.iter().map(|script| script.to_hex_string()).collect();
            let request = wire::GetVtxosRequest { scripts, ..Default::default() };
            self.collect_vtxos(request, &mut found).await?;
        }
        found.retain(|vtxo| scripts.contains(&vtxo.script));
        Ok(found)
    }

    /// The VTXOs at `outpoints`, spent ones too; those the operator does not know are left out.
    pub async fn vtxos_by_outpoints(&self, outpoints: &[OutPoint]) -> Result<Vec<Vtxo>, OperatorError> {
        let mut found = Vec::new();
        for chunk in outpoints.chunks(CHUNK) {
            let outpoints: Vec<String> = chunk.iter().map(OutPoint::to_string).collect();
            let request = wire::GetVtxosRequest { outpoints, ..Default::default() };
            self.collect_vtxos(request, &mut found).await?;
        }
        found.retain(|vtxo| outpoints.contains(&vtxo.outpoint));
        Ok(found)
    }

    async fn collect_vtxos(
        &self,
        mut request: wire::GetVtxosRequest,
        found: &mut Vec<Vtxo>,
    ) -> Result<(), OperatorError> {
        let mut index = 1;
        loop {
            request.page = Some(wire::IndexerPageRequest { size: PAGE, index });
            let answer = self.ask(CALL_LIMIT, &request).await?;
            if found.len() + answer.vtxos.len() > MAX_VTXOS {
                return Err(OperatorError::bad(CALL, format!("more than {MAX_VTXOS} VTXOs")));
            }
            let count = answer.vtxos.len();
            for vtxo in answer.vtxos {
                let vtxo = Vtxo::decode(CALL, vtxo)?;
                if !found.iter().any(|known: &Vtxo| known.outpoint == vtxo.outpoint) {
                    found.push(vtxo);
                }
            }
            // The last page names itself or a smaller one as the next.
            match answer.page {
                Some(page) if page.next == index + 1 && index < MAX_PAGES && count > 0 => index = page.next,
                Some(page) if page.next > index && count > 0 => {
                    return Err(OperatorError::bad(CALL, format!("page {} after page {index}", page.next)));
                }
                _ => return Ok(()),
            }
        }
    }
}
