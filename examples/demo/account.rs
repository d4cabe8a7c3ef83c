//! Who holds what, as a table.

use bitcoin::Amount;
use virtual_channels::wallet::{Balance, Wallet};

use super::backend::Failure;

/// One moment: payer and receiver.
pub struct Moment {
    pub title: &'static str,
    pub payer: Balance,
    pub receiver: Balance,
}

impl Moment {
    pub async fn look(title: &'static str, payer: &Wallet, receiver: &Wallet) -> Result<Self, Failure> {
        Ok(Self { title, payer: payer.balance().await?, receiver: receiver.balance().await? })
    }

    /// What both hold together.
    pub fn total(&self) -> Amount {
        self.payer.total() + self.receiver.total()
    }
}

pub fn print(moments: &[Moment]) {
    println!("\nwho holds what (sats)");
    println!("{:<34} {:>10} {:>10} {:>10} {:>10} {:>12}", "", "boarding", "settled", "preconf.", "channels", "total");
    for moment in moments {
        println!("{}", moment.title);
        for (name, balance) in [("  payer", &moment.payer), ("  receiver", &moment.receiver)] {
            let channels = balance.in_channels + balance.receivable;
            println!(
                "{name:<34} {:>10} {:>10} {:>10} {:>10} {:>12}",
                (balance.boarding + balance.boarding_unconfirmed).to_sat(),
                balance.settled.to_sat(),
                balance.preconfirmed.to_sat(),
                channels.to_sat(),
                balance.total().to_sat(),
            );
        }
    }
}

/// Fails with both figures.
pub fn expect(what: &str, got: Amount, expected: Amount) -> Result<(), Failure> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: {} sats, expected {}", got.to_sat(), expected.to_sat()).into())
}
