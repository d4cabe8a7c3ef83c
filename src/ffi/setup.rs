//! What opening and restoring a wallet begin with.

use std::sync::Arc;

use super::clock::{AskedClock, Clock};
use super::runtime::Runtime;
use super::{WalletConfig, WalletError};
use crate::wallet;

/// The parts of a wallet before there is one.
pub(super) struct Setup {
    pub config: wallet::WalletConfig,
    /// Where the app brought one; it has been asked once.
    pub clock: Option<Arc<AskedClock>>,
    pub runtime: Runtime,
}

impl Setup {
    pub async fn new(config: WalletConfig, clock: Option<Arc<dyn Clock>>) -> Result<Self, WalletError> {
        let runtime = Runtime::new()?;
        let mut config = wallet::WalletConfig::from(config);
        let clock = clock.map(|clock| Arc::new(AskedClock::new(clock)));
        if let Some(clock) = clock.clone() {
            config.clock = clock.clone();
            let ask = move || {
                clock.ask();
                Ok(())
            };
            runtime.run_blocking(Box::new(ask)).await?;
        }
        Ok(Self { config, clock, runtime })
    }
}
