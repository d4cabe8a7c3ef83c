import Foundation
import VirtualChannels
import XCTest

/// Several operators, and servers that fail.
final class OperatorTests: Story {
    func testTwoOperatorsSideBySide() async throws {
        let second = try Regtest(Self.arguments + ["--name", "second"])
        defer { second.stop() }
        let here = try await open("here")
        let config = WalletConfig(
            databasePath: folder.appendingPathComponent("there.db").path, network: .regtest, operatorUrl: second.operator,
            esploraUrl: second.esplora)
        let there = try await Wallet.open(config: config, mnemonic: generateMnemonic())
        // Each has its own money and its own channels; one process may hold wallets of both.
        try await fund(here, 50_000)
        let elsewhere = try await there.balance()
        XCTAssertEqual(elsewhere.total, 0)
        let invite = try await there.createInvite(request: InviteRequest())
        let foreign = try await refusal {
            try await here.propose(invite: invite, request: ProposeRequest(capacity: 20_000, funding: .batch))
        }
        guard case .WrongOperator(let expected, let got) = foreign else { return XCTFail("\(foreign)") }
        XCTAssertNotEqual(expected, got)
        try await there.shutdown()
        try await here.shutdown()
    }

    func testPayingWithoutOperatorAndChain() async throws {
        let payerWords = try generateMnemonic()
        let pair = try await pair(mnemonic: payerWords)
        try await pair.payer.shutdown()
        try await regtest.fault("operator/stop")
        try await regtest.fault("esplora/fail")
        // Also a wallet that is opened meanwhile pays and receives.
        let payer = try await open("payer", mnemonic: payerWords)
        let payment = try await payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "1")
        let received = try await pair.receiver.receive(payment: payment.text)
        XCTAssertEqual(received.amount, 1_000)
        let chain = try await refusal { try await payer.watch(channelId: pair.channel) }
        switch chain {
        case .ChainUnreachable(let url, let reason): XCTAssertTrue(url.contains(self.regtest.esplora) && !reason.isEmpty, "\(chain)")
        case .ChainAnswer(let reason): XCTAssertFalse(reason.isEmpty)
        default: XCTFail("\(chain)")
        }
        try await regtest.fault("esplora/answer")
        let closing = try await refusal { try await pair.receiver.closeChannel(channelId: pair.channel) }
        guard case .OperatorUnreachable(let url, let reason) = closing else { return XCTFail("\(closing)") }
        XCTAssertTrue(url.contains(regtest.operator) && !reason.isEmpty, "\(closing)")
        // A wallet that was never online has nothing to go by.
        let new = try await refusal { try await self.open("new") }
        guard case .OperatorUnreachable = new else { return XCTFail("\(new)") }

        try await regtest.fault("operator/start")
        try await eventually("the close to go through") { (try? await pair.receiver.closeChannel(channelId: pair.channel)) != nil }
        try await payer.shutdown()
        try await pair.receiver.shutdown()
    }

    func testAProxyThatIsNotThere() async throws {
        let usual = config("wallet")
        func through(_ proxy: String) -> WalletConfig {
            WalletConfig(
                databasePath: usual.databasePath, network: .regtest, operatorUrl: usual.operatorUrl, esploraUrl: usual.esploraUrl,
                proxy: proxy)
        }
        // Nobody listens there, and nothing goes around it.
        for scheme in ["socks5", "http"] {
            let config = through("\(scheme)://127.0.0.1:1")
            let error = try await refusal { try await Wallet.open(config: config, mnemonic: generateMnemonic()) }
            guard case .OperatorUnreachable = error else { return XCTFail("\(error)") }
        }
        for proxy in ["hello", "ftp://127.0.0.1:1", "socks5://", "socks5://user:secret@127.0.0.1:1"] {
            let error = try await refusal { try await Wallet.open(config: through(proxy), mnemonic: generateMnemonic()) }
            guard case .InvalidUrl(_, let reason) = error, !reason.isEmpty else { return XCTFail("\(error)") }
            XCTAssertFalse("\(error)".contains("secret"), "\(error)")
        }
    }
}
