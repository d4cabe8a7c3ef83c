//! What a proxy says while a connection is made through it, SOCKS5 and CONNECT; then what a server behind it says.

use std::time::Duration;

use bitcoin::consensus;
use tower_service::Service;
use virtual_channels::chain::Chain;
use virtual_channels::channel::Unit;
use virtual_channels::proxy::Proxy;

use super::Writer;
use super::http::{Reply, World};
use super::input::Input;
use crate::pair::Pair;

thread_local! {
    static WORLD: &'static World = Box::leak(Box::new(World::new()));
}

pub fn run(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    let how = input.byte();
    WORLD.with(|world| {
        let kind = if how & 1 == 0 { "socks5" } else { "http" };
        let proxy = Proxy::parse(&format!("{kind}://{}", world.at)).expect("a proxy");
        let server = ["http://a.example/", "https://a.example:7070/", "http://[::1]:50001/", "http://198.51.100.7/"];
        let server = server[usize::from(how >> 1) % server.len()];
        let mut replies = Vec::new();
        while !input.is_empty() && replies.len() < 4 {
            replies.push(reply(&mut input));
        }
        if how & 0x80 != 0 {
            return post(world, &proxy, replies);
        }
        let uri: http::Uri = server.parse().expect("an address");
        let connecting = async {
            tokio::time::timeout(Duration::from_secs(5), proxy.connector().call(uri)).await.is_ok_and(|way| way.is_ok())
        };
        world.run(replies, connecting).unwrap_or(false)
    })
}

/// The handshake's steps; the last byte of a kind closes.
fn reply(input: &mut Input<'_>) -> Reply {
    match input.byte() {
        0 => Reply::Raw(input.piece().to_vec()),
        1 => Reply::Http(200, input.piece().to_vec()),
        _ => Reply::Step(input.piece().to_vec()),
    }
}

/// A whole request through the proxy: one that is not sent again when its answer makes no sense.
fn post(world: &World, proxy: &Proxy, replies: Vec<Reply>) -> bool {
    let chain = Chain::through(Some(proxy), "http://198.51.100.7").expect("a client");
    let tx = Pair::new(70, Unit::Seconds, 100_000).channel.unilateral_refund();
    assert!(consensus::serialize(&tx).len() < 1_000);
    matches!(world.run(replies, chain.broadcast(&tx)), Some(Ok(_)))
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let socks =
        |writer: Writer| writer.bytes(&[2]).piece(&[5, 0]).bytes(&[2]).piece(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
    let connect = |writer: Writer| writer.bytes(&[2]).piece(b"HTTP/1.1 200 OK\r\n\r\n");
    let start = |how: u8| Writer::default().bytes(&[how]);
    let refusal = start(1).bytes(&[2]).piece(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    let seeds = [
        ("socks-name", socks(start(0))),
        ("socks-v6", socks(start(4))),
        ("socks-refused", start(0).bytes(&[2]).piece(&[5, 255])),
        ("socks-failed", start(0).bytes(&[2]).piece(&[5, 0]).bytes(&[2]).piece(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0])),
        ("connect", connect(start(1))),
        ("connect-tls", connect(start(3))),
        ("connect-refused", refusal),
        ("connect-post", connect(start(0x81)).bytes(&[1]).piece(b"done")),
        ("socks-post", socks(start(0x80)).bytes(&[1]).piece(b"done")),
        ("socks-post-raw", socks(start(0x80)).bytes(&[0]).piece(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")),
        ("socks-post-chunked", {
            let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
            socks(start(0x80)).bytes(&[0]).piece(answer)
        }),
    ];
    seeds.into_iter().map(|(name, seed)| (name.to_owned(), seed.0)).collect()
}
