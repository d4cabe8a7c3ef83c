//! The two services a wallet talks to, connected when first needed, so that a wallet opens and pays without them.

use std::sync::{Arc, PoisonError};

use tokio::sync::OnceCell;

use super::config::WalletConfig;
use super::error::Result;
use super::{Wallet, WalletError};
use crate::chain::Chain;
use crate::channel::{Network, OperatorInfo};
use crate::operator::Operator;
use crate::proxy::Proxy;
use crate::store::{Db, Store};

const INFO_KEY: &str = "operator-info";

pub(super) struct Net {
    operator_url: String,
    proxy: Option<Proxy>,
    operator: OnceCell<Operator>,
    pub chain: Chain,
}

/// An address as an error shows it: short, and without the name and password that may be in it.
fn shown(url: &str) -> String {
    let hidden = url.rsplit_once('@').map(|(_, host)| format!("…@{host}"));
    hidden.as_deref().unwrap_or(url).chars().take(64).collect()
}

impl Net {
    pub fn new(config: &WalletConfig) -> Result<Self> {
        let invalid = |url: &str, why| WalletError::InvalidUrl { url: shown(url), why };
        let proxy = match &config.proxy {
            Some(url) => Some(Proxy::parse(url).map_err(|why| invalid(url, why))?),
            None => None,
        };
        // Tor encrypts what goes to one of its own.
        let tor = proxy.as_ref().is_some_and(Proxy::is_socks5);
        for url in [&config.operator_url, &config.esplora_url] {
            let plain = config.network == Network::Regtest && url.starts_with("http://")
                || is_loopback(url)
                || tor && is_onion(url);
            if url.len() > 512 || !(url.starts_with("https://") || plain) {
                return Err(Box::new(invalid(
                    url,
                    "it must begin with https:// (http:// only on regtest or to this machine)",
                )));
            }
        }
        Ok(Self {
            operator_url: config.operator_url.clone(),
            operator: OnceCell::new(),
            chain: Chain::through(proxy.as_ref(), &config.esplora_url)?,
            proxy,
        })
    }

    /// The operator; the first call connects, and fails within seconds when nothing answers.
    pub async fn operator(&self) -> Result<&Operator> {
        // Boxed: it is large, and every flow would carry it.
        let connect = || Box::pin(Operator::connect_through(self.proxy.as_ref(), &self.operator_url));
        let connecting = self.operator.get_or_try_init(connect);
        Ok(connecting.await?)
    }

    /// The last info of a connected operator.
    fn known_info(&self) -> Option<Arc<OperatorInfo>> {
        self.operator.get().map(Operator::info)
    }
}

impl Wallet {
    /// The operator's info as far as it is known without asking: what payments are checked against.
    pub(super) fn info(&self) -> Result<Arc<OperatorInfo>> {
        if let Some(info) = self.net.known_info() {
            return Ok(info);
        }
        if let Some(info) = self.cached_info() {
            return Ok(info);
        }
        let info = stored_info(&self.store)?.map(Arc::new);
        self.cached_info.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&info);
        info.ok_or(Box::new(WalletError::NotFound))
    }

    /// What the file said of the operator when this process last read or wrote it.
    fn cached_info(&self) -> Option<Arc<OperatorInfo>> {
        self.cached_info.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What another process has learned of the operator since this one asked; `None` where nothing has.
    pub(super) fn learned_elsewhere(&self, db: &Db<'_>) -> Result<Option<OperatorInfo>> {
        let cached = self.cached_info();
        Ok(stored(db)?.filter(|stored| cached.as_deref() != Some(stored)))
    }

    /// Asks the operator again, and keeps the answer for when it is away.
    pub(super) async fn fresh_info(&self) -> Result<Arc<OperatorInfo>> {
        let info = self.net.operator().await?.refresh_info().await?;
        check_network(self.config.network, &info)?;
        store_info(&self.store, &info)?;
        *self.cached_info.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.clone());
        Ok(info)
    }
}

/// Whether the operator is of the network that the wallet was opened for.
pub(super) fn check_network(expected: Network, info: &OperatorInfo) -> Result<()> {
    let got = info.network;
    if got == expected { Ok(()) } else { Err(crate::channel::ChannelError::WrongNetwork { expected, got }.into()) }
}

pub(super) fn store_info(store: &Store, info: &OperatorInfo) -> Result<()> {
    let json = info_json(info)?;
    if store.read::<_, Box<WalletError>>(|db| Ok(db.meta(INFO_KEY)?))?.as_ref() == Some(&json) {
        return Ok(());
    }
    store.write(|db| put_info(db, info))
}

pub(super) fn put_info(db: &Db<'_>, info: &OperatorInfo) -> Result<()> {
    Ok(db.set_meta(INFO_KEY, &info_json(info)?)?)
}

fn info_json(info: &OperatorInfo) -> Result<Vec<u8>> {
    Ok(serde_json::to_vec(info).map_err(|_| WalletError::CorruptFlow { what: "the operator's info" })?)
}

pub(super) fn stored_info(store: &Store) -> Result<Option<OperatorInfo>> {
    store.read(stored)
}

pub(super) fn stored(db: &Db<'_>) -> Result<Option<OperatorInfo>> {
    let json = db.meta(INFO_KEY)?;
    let info = json.map(|json| serde_json::from_slice(&json)).transpose();
    Ok(info.map_err(|_| WalletError::CorruptFlow { what: "the operator's info" })?)
}

/// Plain http that does not leave this machine.
fn is_loopback(url: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].contains(&http_host(url))
}

/// A service that only Tor reaches.
fn is_onion(url: &str) -> bool {
    http_host(url).ends_with(".onion")
}

/// The host of an address that begins with http://, without its port.
fn http_host(url: &str) -> &str {
    let host = url.strip_prefix("http://").and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn plain_http_only_on_regtest_or_to_this_machine() {
        let open = |network, url: &str| Net::new(&WalletConfig::new("x", network, url, "https://e.example")).is_ok();
        for url in ["https://a.example", "http://127.0.0.1:7070", "http://localhost", "http://[::1]:1/x"] {
            assert!(open(Network::Bitcoin, url), "{url}");
        }
        for url in ["http://a.example", "http://127.0.0.1.a.example", "http://127.0.0.1@a.example", "ftp://x", ""] {
            assert!(!open(Network::Bitcoin, url), "{url}");
        }
        assert!(open(Network::Regtest, "http://a.example"));
        // An onion's address only through what may be Tor.
        for (proxy, good) in
            [(None, false), (Some("http://127.0.0.1:8080"), false), (Some("socks5://127.0.0.1:9050"), true)]
        {
            let mut config = WalletConfig::new("x", Network::Bitcoin, "http://abc.onion:7070", "https://e.example");
            config.proxy = proxy.map(str::to_owned);
            assert_eq!(Net::new(&config).is_ok(), good, "{proxy:?}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        assert_eq!(shown("socks5://user:word@127.0.0.1:1"), "…@127.0.0.1:1");
        assert_eq!(shown("socks5://127.0.0.1:1"), "socks5://127.0.0.1:1");
        assert_eq!(shown(&"x".repeat(100)).len(), 64);
    }
}
