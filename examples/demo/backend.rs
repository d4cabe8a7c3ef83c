//! Where the demo runs: an embedded regtest, or any arkd by its address.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bitcoin::Amount;
use regtest::Regtest;
use regtest::operator::Unit;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

pub struct Backend {
    embedded: Option<Regtest>,
    pub operator: String,
    pub esplora: String,
    faucet: Option<String>,
}

/// Runs a story, and says how it ended.
pub async fn tell(name: &str, story: impl Future<Output = Result<(), Failure>>) -> ExitCode {
    let started = Instant::now();
    match story.await {
        Ok(()) => {
            println!("\ntook {:.1} s", started.elapsed().as_secs_f64());
            println!("{name}: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\n{name}: failed after {:.1} s: {error}", started.elapsed().as_secs_f64());
            ExitCode::FAILURE
        }
    }
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name)
        .ok()
        .map(|value| value.trim().trim_end_matches('/').to_owned())
        .filter(|value| !value.is_empty())
}

impl Backend {
    pub async fn start() -> Result<Self, Failure> {
        // An OPERATOR that is set and empty is a mistake: nothing falls back to the embedded one.
        if std::env::var_os("OPERATOR").is_some() {
            let operator = setting("OPERATOR").ok_or("OPERATOR is set, but names no operator")?;
            virtual_channels::operator::Operator::connect(&operator).await?;
            let esplora =
                setting("ESPLORA").ok_or("OPERATOR needs ESPLORA beside it: the address of an Esplora API")?;
            return Ok(Self { embedded: None, operator, esplora, faucet: setting("FAUCET") });
        }
        let unit = match setting("UNIT").as_deref() {
            Some("block") => Unit::Blocks,
            Some("second") | None => Unit::Seconds,
            Some(other) => return Err(format!("UNIT is {other:?}, expected block or second").into()),
        };
        println!("starting bitcoind (regtest), Esplora and an Ark operator of our own …");
        let regtest =
            Regtest::builder().unit(unit).change(|settings| settings.session = Duration::from_secs(3)).start().await?;
        let (operator, esplora) = (regtest.operator_url().to_owned(), regtest.esplora_url().to_owned());
        Ok(Self { embedded: Some(regtest), operator, faucet: Some(esplora.clone()), esplora })
    }

    /// Looks until a condition holds: for a minute, or for a day where nobody moves the chain on.
    pub async fn wait_for(
        &self,
        what: &str,
        condition: impl AsyncFn() -> Result<bool, Failure>,
    ) -> Result<(), Failure> {
        let patience = Duration::from_secs(if self.has_faucet() { 60 } else { 24 * 3600 });
        let started = Instant::now();
        while started.elapsed() < patience {
            if condition().await? {
                return Ok(());
            }
            tokio::time::sleep(self.interval()).await;
        }
        Err(format!("waited {} s for {what}", patience.as_secs()).into())
    }

    pub fn has_faucet(&self) -> bool {
        self.faucet.is_some()
    }

    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    async fn post(&self, path: &str) -> Result<(), Failure> {
        let base = self.faucet.as_ref().ok_or("no FAUCET")?;
        let answer = bitreq::post(format!("{base}{path}")).with_timeout(60).send_async().await?;
        if answer.status_code != 200 {
            let text = answer.as_str().unwrap_or_default();
            return Err(format!("{path}: status {}: {text}", answer.status_code).into());
        }
        Ok(())
    }

    /// Pays `amount` to the address and mines it; without a faucet asks for it.
    pub async fn fund(&self, address: &str, amount: Amount) -> Result<(), Failure> {
        if self.faucet.is_none() {
            println!("\nplease pay exactly {} sats to\n\n    {address}\n\nwaiting …", amount.to_sat());
            return Ok(());
        }
        self.post(&format!("/faucet/{address}/{}", amount.to_sat())).await?;
        self.mine(1, 0).await
    }

    /// Mines blocks, moving the chain's clock on first; without a faucet the chain goes on by itself.
    pub async fn mine(&self, blocks: u64, after: u64) -> Result<(), Failure> {
        if self.faucet.is_none() {
            return Ok(());
        }
        let after = if after > 0 { format!("?after={after}") } else { String::new() };
        self.post(&format!("/mine/{blocks}{after}")).await
    }

    /// How often to look again.
    pub fn interval(&self) -> Duration {
        Duration::from_millis(if self.faucet.is_some() { 300 } else { 10_000 })
    }

    /// Takes the operator away, where it is ours.
    pub async fn stop_operator(&mut self) -> Result<(), Failure> {
        if let Some(regtest) = &mut self.embedded {
            regtest.stop_operator().await;
        }
        Ok(())
    }

    pub async fn start_operator(&mut self) -> Result<(), Failure> {
        if let Some(regtest) = &mut self.embedded {
            regtest.start_operator().await?;
        }
        Ok(())
    }
}
