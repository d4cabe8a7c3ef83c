import VirtualChannels
import XCTest

/// A wallet behind a proxy: operator and chain server are reached through it, and nothing goes around it.
final class ProxyTests: Story {
    private static let `operator` = "operator.invalid:7070"
    private static let chain = "chain.invalid:80"

    func testEverythingGoesThroughIt() async throws {
        for socks in [true, false] {
            let proxy = try ProxyServer(socks: socks, names: names)
            let wallet = try await Wallet.open(config: behind(proxy.url, "wallet-\(socks)"), mnemonic: generateMnemonic())
            try await fund(wallet, 30_000)
            let shop = try await open("shop-\(socks)")
            let before = try await shop.balance().preconfirmed
            XCTAssertEqual(before, 0)
            _ = try await wallet.send(address: shop.arkAddress(), amount: 5_000)
            try await eventually("the payment") { try await shop.balance().preconfirmed == 5_000 }
            XCTAssertEqual(Set(proxy.asked), [Self.operator, Self.chain], "both by their names, which only it knows")
            for wallet in [wallet, shop] { try await wallet.shutdown() }
            proxy.close()
        }
    }

    func testNothingGoesAroundIt() async throws {
        for socks in [true, false] {
            // Both servers could be reached without it.
            let near = WalletConfig(
                databasePath: config("lonely-\(socks)").databasePath, network: .regtest, operatorUrl: regtest.operator,
                esploraUrl: regtest.esplora, proxy: "\(socks ? "socks5" : "http")://127.0.0.1:1")
            let nobody = try await refusal { try await Wallet.open(config: near, mnemonic: generateMnemonic()) }
            guard case .OperatorUnreachable = nobody else { return XCTFail("\(nobody)") }

            let proxy = try ProxyServer(socks: socks, names: names.filter { $0.key != Self.chain })
            let wallet = try await Wallet.open(config: behind(proxy.url, "half-\(socks)"), mnemonic: generateMnemonic())
            _ = try await wallet.boardingAddress()
            let refused = try await refusal { try await wallet.balance() }
            guard case .ChainUnreachable = refused else { return XCTFail("\(refused)") }
            XCTAssertTrue(proxy.asked.contains(Self.chain))
            try await wallet.shutdown()
            proxy.close()
        }
    }

    func testProxiesThatAreNone() async throws {
        for proxy in ["hello", "ftp://127.0.0.1:1", "socks5://", "socks5://user:secret@127.0.0.1:1"] {
            let error = try await refusal { try await Wallet.open(config: self.behind(proxy, "none"), mnemonic: generateMnemonic()) }
            guard case .InvalidUrl(_, let reason) = error, !reason.isEmpty else { return XCTFail("\(error)") }
            XCTAssertFalse("\(error)".contains("secret"), "\(error)")
        }
    }

    /// The servers under names that only the proxy can look up.
    private var names: [String: String] {
        let address = { (url: String) in url.components(separatedBy: "//")[1] }
        return [Self.operator: address(regtest.operator), Self.chain: address(regtest.esplora)]
    }

    private func behind(_ proxy: String, _ name: String) -> WalletConfig {
        WalletConfig(
            databasePath: config(name).databasePath, network: .regtest, operatorUrl: "http://\(Self.operator)",
            esploraUrl: "http://\(Self.chain)", proxy: proxy)
    }
}
