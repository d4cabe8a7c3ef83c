//! `regtest`: everything of the test side in one process, for tests and demos in any language.
//!
//! Prints one line of JSON with its addresses when it is ready, and runs until SIGINT or SIGTERM, or with
//! `--with-parent` until its standard input ends.

use std::process::ExitCode;
use std::time::Duration;

use regtest::Regtest;
use regtest::operator::{Settings, Unit};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "regtest [--unit block|second] [--session SECONDS] [--name NAME] [--auto-mine] [--with-parent]

Starts bitcoind on regtest, Esplora over it and an Ark operator, on free ports of 127.0.0.1, and prints
their addresses as one line of JSON when all of it answers:
{\"operator\":\"http://…\",\"esplora\":\"http://…\",\"admin\":\"http://…\"}

Esplora also answers POST /faucet/{address}/{sats}, /mine/{n}?after=SECONDS and /cpfp. Admin answers these and
POST /reorg/{n}, /esplora/{answer|hang|fail} and /operator/{stop|start}.

Admin has the operator do wrong, too: POST /fault/{call}/{drop|hang|refuse|status|garbage|lose-answer}?times=N&code=NAME
(the next N calls of that gRPC name), /claim/{txid}/{vout}/{spent|swept|unrolled}, /fail-batch, and /clear to end all that;
/set/{checkpoint-delay|fee|clock-shift|other-checkpoint-key}/{number}.

  --unit UNIT         what the operator counts its delays in; block unless given
  --session SECONDS   how long a batch takes intents
  --name NAME         an operator with keys of its own; without a name they are the same in each run
  --auto-mine         a block is mined after each batch
  --with-parent       ends when standard input does, so that it cannot outlive whoever started it
  --help

BITCOIND names the bitcoind to run (29 or newer); scripts/bitcoind.sh finds or builds one.";

#[derive(Default)]
struct Arguments {
    settings: Settings,
    with_parent: bool,
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("regtest: {wrong}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("regtest: {e}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("regtest: {e}");
            ExitCode::FAILURE
        }
    }
}

/// `None`: only help is wanted.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Arguments>, String> {
    let mut wanted = Arguments::default();
    let (mut session, mut name, mut auto_mine) = (None, None, false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--unit" => {
                wanted.settings = Settings::for_unit(match arguments.next().as_deref() {
                    Some("block" | "blocks") => Unit::Blocks,
                    Some("second" | "seconds") => Unit::Seconds,
                    other => return Err(format!("--unit is block or second, not {}", other.unwrap_or("nothing"))),
                });
            }
            "--session" => {
                let seconds = arguments.next().and_then(|v| v.parse().ok()).ok_or("--session wants whole seconds")?;
                session = Some(Duration::from_secs(seconds));
            }
            "--name" => name = Some(arguments.next().ok_or("--name wants a name")?),
            "--auto-mine" => auto_mine = true,
            "--with-parent" => wanted.with_parent = true,
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    if let Some(name) = name {
        wanted.settings = wanted.settings.named(&name);
    }
    wanted.settings.auto_mine = auto_mine;
    wanted.settings.session = session.unwrap_or(wanted.settings.session);
    Ok(Some(wanted))
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    // Listened for from the start: an end that comes early must not leave a bitcoind behind either.
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let end = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = end_of_input(arguments.with_parent) => {}
        }
    };
    let serve = async {
        let regtest = Regtest::builder().settings(arguments.settings).start().await?;
        let (operator, esplora) = (regtest.operator_url(), regtest.esplora_url());
        println!("{}", json!({ "operator": operator, "esplora": esplora, "admin": regtest.admin_url() }));
        std::future::pending::<Result<(), Box<dyn std::error::Error>>>().await
    };
    tokio::select! {
        () = end => Ok(()),
        failed = serve => failed,
    }
}

/// Never, unless `listened` for.
async fn end_of_input(listened: bool) {
    if !listened {
        return std::future::pending().await;
    }
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        let _ = ended.send(());
    });
    let _ = end.await;
}
