//! The small on-chain wallet: it pays the fees of unilateral exits, and holds what they bring.
//!
//! [`State`] is what is stored: which addresses are in use, and the transactions that matter for its coins, without a
//! secret. [`Picture`] makes scripts of it, and bdk's graph, which tells what is spent, replaced or gone with a
//! reorganisation. A sync asks the chain, and stores the new state as a whole, so that it does not grow with
//! what is over. See `docs/adr/0009-onchain-wallet.md`.

mod child;
mod draft;
mod look;
mod picture;
mod send;
mod sign;
mod state;
mod sync;
mod take;

pub use child::OwnedOutput;
pub use send::OnchainQuote;

use bitcoin::{Address, Amount};

use super::coins::sum;
use super::error::Result;
use super::{Wallet, WalletError};
use crate::store::{Db, ScriptKind};
use picture::Picture;
use state::State;

/// What the on-chain wallet holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OnchainBalance {
    /// Confirmed: pays for exits, and can be sent.
    pub confirmed: Amount,
    /// On its way in, change of own transactions included.
    pub pending: Amount,
}

impl Wallet {
    /// Where coins for the fees of exits are to be paid to; the same until it was used. No network.
    pub fn onchain_address(&self) -> Result<String> {
        self.store.write(|db| {
            let mut picture = self.picture(db)?;
            let address = self.fee_address(&mut picture)?;
            picture.state.save(db)?;
            Ok(address)
        })
    }

    /// What the on-chain wallet holds, after a look at the chain; payouts of exits are among it.
    pub async fn onchain_balance(&self) -> Result<OnchainBalance> {
        self.sync_onchain().await?;
        let picture = self.store.read(|db| self.picture(db))?;
        let coins = picture.coins();
        let of = |confirmed| {
            let coins = coins.iter().filter(|coin| coin.spent_by.is_none() && coin.confirmed == confirmed);
            sum(coins.map(|coin| coin.output.value))
        };
        Ok(OnchainBalance { confirmed: of(true), pending: of(false) })
    }

    /// The on-chain wallet as it is stored.
    fn picture(&self, db: &Db<'_>) -> Result<Picture> {
        let payouts = db.scripts(ScriptKind::Chain)?;
        let payouts = payouts.into_iter().map(|own| (own.script, own.key_index)).collect();
        Picture::new(&self.keys, self.config.network, State::load(db)?, payouts)
    }

    /// The address that is shown; the caller stores the state.
    fn fee_address(&self, picture: &mut Picture) -> Result<String> {
        let key = picture.state.address();
        let address = Address::from_script(&picture.script(key)?, self.config.network.to_bitcoin());
        Ok(address.map_err(|_| WalletError::KeyDerivation)?.to_string())
    }
}
