import Foundation
import VirtualChannels
import XCTest

/// A file that is lost, or old: what the other side knows brings the channel back.
final class RecoveryTests: Story {
    /// Words alone find the coins; with the backup the channel comes back, too, and goes on with the latest payment.
    func testAReceiverThatLostItsPhone() async throws {
        let words = try generateMnemonic()
        let (payer, lost) = (try await open("payer"), try await open("lost", mnemonic: words))
        try await fund(payer, 100_000)
        try await fund(lost, 30_000)
        try await regtest.pay(lost.onchainAddress(), 7_000)
        try await regtest.mine()
        let channel = try await inABatch(payer, lost, 50_000)
        let backup = try await lost.backup()
        try await pay(payer, lost, channel, 5_000, "one")
        try await lost.shutdown()

        let wordsOnly = try await restoreWallet(config: config("words only"), mnemonic: words)
        XCTAssertEqual(wordsOnly.report.warnings, [.noBackup])
        XCTAssertEqual(wordsOnly.report.vtxos.map(\.amount), [30_000])
        XCTAssertEqual(wordsOnly.report.onchain.confirmed, 7_000)
        let none = try await wordsOnly.wallet.channels()
        XCTAssertEqual(none, [])
        try await wordsOnly.wallet.shutdown()

        let restored = try await restoreWallet(config: config("found"), mnemonic: words, backup: backup)
        XCTAssertEqual(restored.report.channels, [channel])
        XCTAssertEqual(restored.report.warnings, [])
        let receiver = restored.wallet
        let before = try await receiver.channel(channelId: channel)
        XCTAssertEqual(before.amount, 0, "no payment is in a backup")
        XCTAssertTrue(before.awaitsUpdate)
        let latest = try await receiver.receive(payment: payer.latestUpdate(channelId: channel).text)
        XCTAssertEqual(latest.amount, 5_000)
        let after = try await receiver.channel(channelId: channel)
        XCTAssertFalse(after.awaitsUpdate)
        let next = try await pay(payer, receiver, channel, 1_000, "two")
        XCTAssertEqual(next, 6_000)
        _ = try await receiver.closeChannel(channelId: channel)
        try await eventually("what was paid") { try await receiver.balance().preconfirmed == 6_000 }
        try await receiver.shutdown()
        try await payer.shutdown()
    }

    /// Without a backup the other side describes the channel.
    func testAChannelThatTheOtherSideDescribes() async throws {
        let words = try generateMnemonic()
        let pair = try await pair(receiverMnemonic: words)
        try await pay(pair.payer, pair.receiver, pair.channel, 5_000, "one")
        try await pair.receiver.shutdown()
        let receiver = try await restoreWallet(config: config("found"), mnemonic: words).wallet
        let description = try await pair.payer.describeChannel(channelId: pair.channel)
        let channel = try await receiver.recoverChannel(description: description)
        XCTAssertEqual(channel, pair.channel)
        let latest = try await receiver.receive(payment: pair.payer.latestUpdate(channelId: channel).text)
        XCTAssertEqual(latest.amount, 5_000)
        let stranger = try await open("stranger")
        _ = try await refusal { try await stranger.recoverChannel(description: description) }
        for wallet in [receiver, stranger, pair.payer] { try await wallet.shutdown() }
    }

    /// It pays less than the receiver has: the receiver shows what it has.
    func testAPayerWithAnOldFileIsStale() async throws {
        try await aPayerWithAnOldFile { payer, receiver, channel in
            let payment = try await payer.pay(channelId: channel, amount: 2_000, paymentId: "again")
            let refused = try await refusal { try await receiver.receive(payment: payment.text) }
            guard case .Stale(7_000, 20_000, let stored) = refused else { throw refused }
            return stored
        }
    }

    /// It pays more than the receiver has, but on top of what it had long ago.
    func testAPayerWithAnOldFileForks() async throws {
        try await aPayerWithAnOldFile { payer, receiver, channel in
            let payment = try await payer.pay(channelId: channel, amount: 18_000, paymentId: "again")
            let refused = try await refusal { try await receiver.receive(payment: payment.text) }
            guard case .Forked(23_000, 5_000, 20_000, let stored) = refused else { throw refused }
            return stored
        }
    }

    /// 5 000 were paid when the copy was made, 20 000 when it came back; `refused` answers what the receiver shows.
    private func aPayerWithAnOldFile(_ refused: (Wallet, Wallet, String) async throws -> String) async throws {
        let words = try generateMnemonic()
        let pair = try await pair(mnemonic: words)
        let (receiver, channel) = (pair.receiver, pair.channel)
        try await pay(pair.payer, receiver, channel, 5_000, "one")
        try await pair.payer.shutdown()
        try FileManager.default.copyItem(atPath: config("payer").databasePath, toPath: config("copy").databasePath)
        let later = try await open("payer", mnemonic: words)
        try await pay(later, receiver, channel, 15_000, "two")
        try await later.shutdown()

        let old = try await open("copy", mnemonic: words)
        let stored = try await refused(old, receiver, channel)
        let base = try await old.catchUp(payment: stored)
        XCTAssertEqual(base, 20_000)
        let caughtUp = try await old.channel(channelId: channel)
        XCTAssertEqual(caughtUp.amount, 20_000)
        let next = try await pay(old, receiver, channel, 4_000, "three")
        XCTAssertEqual(next, 24_000)
        try await old.shutdown()
        try await receiver.shutdown()
    }

    @discardableResult
    private func pay(_ payer: Wallet, _ receiver: Wallet, _ channel: String, _ amount: Sats, _ name: String) async throws -> Sats {
        let payment = try await payer.pay(channelId: channel, amount: amount, paymentId: name)
        return try await receiver.receive(payment: payment.text).amount
    }
}
