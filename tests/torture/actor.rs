//! A wallet in a process of its own, which can be killed at any moment, and comes back when it is needed.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::spoken::heard;

/// Tells the child what it is.
pub const ROLE: &str = "TORTURE_WALLET";

/// Longer than any call takes: maintenance ends after about five minutes, whoever does not answer.
const PATIENCE: Duration = Duration::from_secs(330);

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Done(Vec<String>),
    Refused(String),
    /// The process was killed before it answered.
    Killed,
}

impl Answer {
    pub fn done(self) -> Option<Vec<String>> {
        match self {
            Self::Done(fields) => Some(fields),
            _ => None,
        }
    }

    /// The only field, or the first.
    pub fn first(self) -> Option<String> {
        self.done().and_then(|fields| fields.into_iter().next())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Done(fields) => format!("ok {}", fields.join(" ")),
            Self::Refused(why) => format!("refused: {why}"),
            Self::Killed => "killed".into(),
        };
        f.write_str(&text.chars().take(700).collect::<String>())
    }
}

/// Where a wallet lives.
#[derive(Debug, Clone)]
pub struct Home {
    pub name: String,
    pub database: PathBuf,
    pub operator: String,
    pub esplora: String,
}

struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// One side.
pub struct Actor {
    pub home: Home,
    process: Option<Process>,
}

impl Actor {
    pub fn new(home: Home) -> Self {
        Self { home, process: None }
    }

    /// Asks; the wallet's clock is `ahead` seconds ahead of the system's. With `kill` the process ends by SIGKILL so long
    /// after the request has left, unless it has answered.
    pub fn ask(&mut self, ahead: i64, verb: &str, arguments: &[&str], kill: Option<Duration>) -> Answer {
        if self.process.is_none() {
            self.start();
        }
        let request = std::iter::once(verb).chain(arguments.iter().copied()).collect::<Vec<_>>().join("\t");
        self.talk(&format!("{ahead}\t{request}\n"), kill)
    }

    fn talk(&mut self, request: &str, kill: Option<Duration>) -> Answer {
        let Some(process) = &mut self.process else { return Answer::Killed };
        let sent = process.input.write_all(request.as_bytes()).and_then(|()| process.input.flush());
        let heard = match (sent, kill) {
            (Err(_), _) => Err(RecvTimeoutError::Disconnected),
            (Ok(()), Some(after)) => process.lines.recv_timeout(after),
            (Ok(()), None) => process.lines.recv_timeout(PATIENCE),
        };
        match heard {
            Ok(line) => {
                let mut fields = line.split('\t').map(str::to_owned);
                match fields.next().as_deref() {
                    Some("ok") => Answer::Done(fields.collect()),
                    _ => Answer::Refused(fields.collect::<Vec<_>>().join(" ")),
                }
            }
            Err(RecvTimeoutError::Timeout) if kill.is_none() => panic!("{} hangs at {request:?}", self.home.name),
            Err(_) => {
                let expected = kill.is_some();
                self.kill();
                assert!(expected, "{} died by itself at {request:?}", self.home.name);
                Answer::Killed
            }
        }
    }

    /// SIGKILL, whatever it is doing.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.child.kill().expect("it can be killed");
            process.child.wait().expect("it ends");
        }
    }

    fn start(&mut self) {
        let home = &self.home;
        let place = [&home.name, home.database.to_str().expect("a path"), &home.operator, &home.esplora].join("\n");
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["--exact", "servant::the_servant", "--nocapture", "--test-threads=1"]).env(ROLE, place);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().expect("it starts");
        let lines = heard(child.stdout.take().expect("its output"));
        let input = child.stdin.take().expect("its input");
        self.process = Some(Process { child, input, lines });
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.kill();
    }
}
