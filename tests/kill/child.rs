//! The child process: how it is started, heard and killed.

use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::spoken::heard;
pub use crate::spoken::say;

const TASK: &str = "KILL_CHILD_TASK";
const ARGUMENTS: &str = "KILL_CHILD_ARGUMENTS";

/// Longer than anything a child does takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running child. Killed when dropped.
pub struct Victim {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// How to start this program again for a task.
pub fn command(program: &Path, task: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(["--exact", "child::the_child", "--nocapture", "--test-threads=1"]);
    command.env(TASK, task).env(ARGUMENTS, arguments.join("\n"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

impl Victim {
    pub fn start(task: &str, arguments: &[&str]) -> Self {
        let mut child = command(&std::env::current_exe().unwrap(), task, arguments).spawn().unwrap();
        let lines = heard(child.stdout.take().unwrap());
        let input = child.stdin.take();
        Self { child, input, lines }
    }

    /// The next thing the child says.
    pub fn hear(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the child says something")
    }

    /// The next thing it says, if it says anything within `time`.
    pub fn hear_within(&self, time: Duration) -> Option<String> {
        match self.lines.recv_timeout(time) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                std::thread::sleep(time);
                None
            }
        }
    }

    pub fn tell(&mut self, text: &str) {
        let input = self.input.as_mut().unwrap();
        // A child that has ended by itself is found out by what it left.
        let _ = input.write_all(format!("{text}\n").as_bytes()).and_then(|()| input.flush());
    }

    /// SIGKILL; answers everything that had been said and not been heard yet.
    pub fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        // Ends when the reader has come to the end of the pipe.
        self.lines.iter().collect()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many kills: `KILLS`, or a few.
pub fn points(few: u32) -> u32 {
    match std::env::var("KILLS") {
        Ok(text) if !text.is_empty() => text.parse().unwrap_or_else(|_| panic!("KILLS={text} is no number")),
        _ => few,
    }
}

/// Waits exactly: the scheduler's sleep is too coarse for moments inside a payment.
pub fn wait_exactly(time: Duration) {
    let end = Instant::now() + time;
    if let Some(most) = time.checked_sub(Duration::from_millis(2)) {
        std::thread::sleep(most);
    }
    while Instant::now() < end {
        std::hint::spin_loop();
    }
}

/// In the child: the next line it is told; `None` at the end.
pub fn listen() -> Option<String> {
    let mut line = String::new();
    let size = std::io::stdin().lock().read_line(&mut line).unwrap();
    (size > 0).then(|| line.trim_end().to_owned())
}

/// Not a test of its own: what a child process does. Does nothing in an ordinary run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let arguments = std::env::var(ARGUMENTS).unwrap();
    let arguments: Vec<&str> = arguments.split('\n').collect();
    // The test harness has begun a line of its own.
    println!();
    match task.as_str() {
        "pay" => crate::pay::child(&arguments).await,
        "close" => crate::close::receiver(&arguments).await,
        "exit" => crate::exit::child(&arguments).await,
        "settle" => crate::flows::settle(&arguments).await,
        "send" => crate::flows::send(&arguments).await,
        "fund" => crate::flows::fund(&arguments).await,
        "refund" => crate::flows::refund(&arguments).await,
        "open: payer" => crate::open::payer(&arguments).await,
        "open: receiver" => crate::open::receiver(&arguments).await,
        "receive" => crate::receive::child(&arguments).await,
        other => panic!("{other}"),
    }
}
