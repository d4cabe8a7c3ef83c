//! How a child process is heard: what it says are lines with a mark in front, each in one write. Everything else in its
//! output is the test harness's.

use std::io::{BufRead, BufReader, Write};
use std::process::ChildStdout;
use std::sync::mpsc::{Receiver, channel};

const MARK: &str = "> ";

/// In the child: says a line, in one write.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{MARK}{text}\n").as_bytes()).and_then(|()| out.flush()).expect("it is heard");
}

/// What a child says, until the end of its output. Half a line, cut off by a kill, was not said.
pub fn heard(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    let mut output = BufReader::new(output);
    std::thread::spawn(move || {
        let mut line = String::new();
        while output.read_line(&mut line).is_ok_and(|size| size > 0) && line.ends_with('\n') {
            if let Some(said) = line.strip_prefix(MARK) {
                let _ = sender.send(said.trim_end().to_owned());
            }
            line.clear();
        }
    });
    lines
}
