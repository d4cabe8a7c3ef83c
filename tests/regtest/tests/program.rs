//! The program `regtest`: what it prints, and that no bitcoind outlives it however it ends.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

struct Program {
    child: Child,
    addresses: Value,
    folder: PathBuf,
    bitcoind: String,
}

/// Data folders of bitcoind go to `folder`, where they can be seen to vanish.
fn start(name: &str, arguments: &[&str]) -> Program {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_regtest"))
        .args(arguments)
        .env("TEMPDIR_ROOT", &folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("regtest runs");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("a line");
    let addresses = serde_json::from_str(&line).expect("JSON");
    let data = std::fs::read_dir(&folder).expect("a folder").next().expect("a data folder").expect("readable").path();
    let bitcoind = std::fs::read_to_string(data.join("regtest/bitcoind.pid")).expect("a running bitcoind");
    Program { child, addresses, folder, bitcoind: bitcoind.trim().to_owned() }
}

impl Program {
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("kill runs").success());
    }

    /// Waits until the program, its bitcoind and the data folder are gone.
    fn gone(mut self) -> std::process::ExitStatus {
        let end = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(Instant::now() < end, "regtest still runs");
            std::thread::sleep(Duration::from_millis(50));
        };
        loop {
            let state =
                Command::new("ps").args(["-o", "stat=", "-p", &self.bitcoind]).output().expect("ps runs").stdout;
            let runs = state.first().is_some_and(|first| *first != b'Z');
            let left = std::fs::read_dir(&self.folder).expect("a folder").count();
            if !runs && left == 0 {
                std::fs::remove_dir(&self.folder).expect("empty");
                return status;
            }
            assert!(Instant::now() < end, "bitcoind runs: {runs}, data folders: {left}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[tokio::test]
async fn ends_with_its_standard_input() {
    let mut program = start("input", &["--with-parent", "--unit", "second", "--session", "1"]);
    let url = format!("{}/blocks/tip/height", program.addresses["esplora"].as_str().expect("an address"));
    let answer = bitreq::get(url).with_timeout(10).send_async().await.expect("an answer");
    assert!(answer.as_str().expect("text").parse::<u32>().expect("a height") >= 180);
    for name in ["operator", "admin"] {
        let address = program.addresses[name].as_str().and_then(|url| url.strip_prefix("http://")).expect("an address");
        std::net::TcpStream::connect(address).expect("it listens");
    }
    drop(program.child.stdin.take());
    assert!(program.gone().success());
}

#[test]
fn ends_at_a_signal() {
    let program = start("signal", &[]);
    program.signal("-TERM");
    assert!(program.gone().success());
}

#[test]
fn leaves_nothing_when_killed() {
    let program = start("killed", &[]);
    program.signal("-KILL");
    assert!(!program.gone().success());
}

#[test]
fn says_what_it_does_not_know() {
    for wrong in [&["--what"][..], &["--unit"], &["--unit", "metre"], &["--session", "x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_regtest")).args(wrong).output().expect("regtest runs");
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(wrong[0]));
    }
}
