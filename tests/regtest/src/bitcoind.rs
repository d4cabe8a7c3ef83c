//! The process: finding bitcoind, starting it on free ports, and making sure that it never outlives us.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use corepc_node::client::client_sync::Error as RpcError;
use corepc_node::{Conf, P2P};
use serde_json::Value;

use crate::error::NodeError;

/// Zero-sat P2A outputs need the ephemeral dust policy, which came with this version.
const OLDEST_VERSION: u32 = 29;
/// The version that `scripts/bitcoind.sh` builds, and the name of its cache folder.
const CACHED: &str = "virtual-channels/bitcoind-31.99/bin/bitcoind";

const ARGUMENTS: [&str; 13] = [
    "-regtest",
    "-txindex=1",
    // The policy of mainnet is the one to be judged by.
    "-acceptnonstdtxn=0",
    // Nobody else is to be talked to.
    "-connect=0",
    "-dnsseed=0",
    "-fixedseeds=0",
    "-discover=0",
    "-persistmempool=0",
    // Tests move the clock by months; what waits in the mempool shall stay.
    "-mempoolexpiry=1000000",
    "-dbcache=16",
    "-rpcthreads=8",
    "-rpcworkqueue=512",
    "-nodebuglogfile",
];

/// A running bitcoind. Dropping it ends the process and removes its data folder.
pub struct Bitcoind {
    node: corepc_node::Node,
    watch: Child,
}

impl Bitcoind {
    /// Starts a new chain on a free port. Blocks until RPC answers, which takes less than a second.
    pub fn start() -> Result<Self, NodeError> {
        let program = find()?;
        let mut conf = Conf::default();
        conf.args = ARGUMENTS.to_vec();
        conf.p2p = P2P::No;
        conf.wallet = None;
        let node = corepc_node::Node::with_conf(&program, &conf)
            .map_err(|e| NodeError::Start(format!("{}: {e:#}", program.display())))?;
        let watch = watch(&node.workdir()).map_err(|e| NodeError::Start(format!("no watch over bitcoind: {e}")))?;
        Ok(Self { node, watch })
    }

    /// The data folder.
    pub fn folder(&self) -> PathBuf {
        self.node.workdir()
    }

    /// One RPC call. Blocks.
    pub fn call(&self, method: &str, arguments: &[Value]) -> Result<Value, NodeError> {
        self.node.client.call::<Value>(method, arguments).map_err(|error| match error {
            RpcError::JsonRpc(jsonrpc::Error::Rpc(e)) => {
                NodeError::Rpc { method: method.to_owned(), code: e.code, message: e.message }
            }
            other => NodeError::Transport { method: method.to_owned(), message: other.to_string() },
        })
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        // Otherwise it would shoot at a process id that may belong to somebody else by then.
        let _ = self.watch.kill();
        let _ = self.watch.wait();
    }
}

/// `kill -9` of our process runs no destructor, so a shell waits for the end of a pipe that only we hold open; it
/// then ends bitcoind and removes the data folder.
fn watch(folder: &Path) -> std::io::Result<Child> {
    let pid = std::fs::read_to_string(folder.join("regtest/bitcoind.pid"))?;
    let mut child = Command::new("sh")
        .args(["-c", r#"trap '' INT TERM HUP; read -r go; read -r end; kill -9 "$1"; sleep 1; rm -rf "$2""#, "watch"])
        .arg(pid.trim())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    // The shell is known to be there once it has taken the first line.
    if let Some(pipe) = child.stdin.as_mut() {
        pipe.write_all(b"go\n")?;
    }
    Ok(child)
}

/// `$BITCOIND` or `$BITCOIND_EXE`, else the one on the PATH if it is recent enough, else the one that
/// `scripts/bitcoind.sh` has built.
fn find() -> Result<PathBuf, NodeError> {
    for name in ["BITCOIND", "BITCOIND_EXE"] {
        if let Some(path) = std::env::var_os(name).filter(|v| !v.is_empty()) {
            return Ok(path.into());
        }
    }
    if version(Path::new("bitcoind")).is_some_and(|v| v >= OLDEST_VERSION) {
        return Ok("bitcoind".into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache"))).unwrap_or_default();
    let cached = cache.join(CACHED);
    if cached.exists() {
        return Ok(cached);
    }
    Err(NodeError::NotFound { looked: format!("$BITCOIND, $BITCOIND_EXE, PATH, {}", cached.display()) })
}

/// The major version: 31 of `Bitcoin Core daemon version v31.99.0-…`.
fn version(program: &Path) -> Option<u32> {
    let output = Command::new(program).arg("--version").stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, version) = text.lines().next()?.split_once(" version v")?;
    version.split('.').next()?.parse().ok()
}
