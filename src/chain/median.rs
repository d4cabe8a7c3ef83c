//! The time that relative locks in seconds are counted from.

use bitcoin::BlockHash;

use super::ChainError;
use super::esplora::Chain;
use super::http::bad;

/// The parts of a block's description that are used.
#[derive(serde::Deserialize)]
struct Block {
    id: BlockHash,
    previousblockhash: Option<BlockHash>,
    mediantime: u64,
}

impl Chain {
    /// The median time past before a block, unix seconds: an output that the block made is as old as the time since.
    pub async fn median_time_before(&self, block: BlockHash) -> Result<u64, ChainError> {
        const CALL: &str = "a block";
        let before = self.block(CALL, block).await?.previousblockhash;
        let before = before.ok_or_else(|| bad(CALL, format!("nothing is before {block}")))?;
        Ok(self.block(CALL, before).await?.mediantime)
    }

    async fn block(&self, call: &'static str, hash: BlockHash) -> Result<Block, ChainError> {
        let found: Option<Block> = self.http.json(call, &format!("/block/{hash}")).await?;
        found.filter(|block| block.id == hash).ok_or_else(|| bad(call, format!("block {hash} is not told")))
    }
}
