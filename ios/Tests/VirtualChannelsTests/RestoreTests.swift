import VirtualChannels
import XCTest

/// A phone is lost: its wallet is made again from the words and the static backup.
final class RestoreTests: Story {
    func testAPayersPhone() async throws {
        let words = try generateMnemonic()
        let pair = try await pair(mnemonic: words)
        let (receiver, channel) = (pair.receiver, pair.channel)
        let paid = try await pair.payer.pay(channelId: channel, amount: 5_000, paymentId: "one")
        _ = try await receiver.receive(payment: paid.text)
        let backup = try await pair.payer.backup()
        try await pair.payer.shutdown()

        let other = try await refusal {
            try await restoreWallet(config: self.config("other"), mnemonic: generateMnemonic(), backup: backup)
        }
        guard case .OtherBackup(let what) = other, !what.isEmpty else { return XCTFail("\(other)") }

        let restored = try await restoreWallet(config: config("found"), mnemonic: words, backup: backup)
        XCTAssertEqual(restored.report.channels, [channel])
        XCTAssertEqual(restored.report.warnings, [])
        let payer = restored.wallet
        let needed = try await refusal { try await payer.pay(channelId: channel, amount: 1_000, paymentId: "two") }
        XCTAssertEqual(needed, .CatchUpNeeded(channelId: channel))
        let base = try await payer.catchUp(payment: receiver.latestUpdate(channelId: channel).text)
        XCTAssertEqual(base, 5_000)
        let next = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "two")
        let received = try await receiver.receive(payment: next.text)
        XCTAssertEqual(received.amount, 6_000)
        try await payer.shutdown()
        try await receiver.shutdown()
    }

    func testWithoutABackup() async throws {
        let words = try generateMnemonic()
        let lost = try await open("lost", mnemonic: words)
        try await fund(lost, 30_000)
        try await lost.shutdown()
        let restored = try await restoreWallet(config: config("found"), mnemonic: words)
        XCTAssertEqual(restored.report.warnings, [.noBackup])
        XCTAssertEqual(restored.report.vtxos.map(\.amount), [30_000])
        try await restored.wallet.shutdown()
    }
}
