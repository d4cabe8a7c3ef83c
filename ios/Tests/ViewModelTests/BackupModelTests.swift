import VirtualChannels
import VirtualChannelsModel
import XCTest

/// The backup that the screen shows makes the channels again.
final class BackupModelTests: ModelStory, @unchecked Sendable {
    func testWhatIsShownRestoresTheWallet() async throws {
        try await onMain { [self] in
            let words = try generateMnemonic()
            let early = WalletModel(config: config("early"), mnemonics: Words(words: words))
            await early.backUp()
            XCTAssertEqual(early.state.problem, "The wallet is not open.")
            XCTAssertNil(early.state.backup)

            let (payer, receiver) = (Phone(config("payer"), mnemonic: words), try await phone("receiver"))
            try await payer.open()
            let channel = try await openedOffchain(payer, receiver)
            XCTAssertNil(payer.wallet.state.backup, "only when it is asked for")
            await payer.wallet.backUp()
            XCTAssertNil(payer.wallet.state.problem)
            let backup = try XCTUnwrap(payer.wallet.state.backup)
            for word in Set(words.split(separator: " ")) where word.count > 4 { XCTAssertFalse(backup.contains(word)) }
            payer.wallet.hideBackup()
            XCTAssertNil(payer.wallet.state.backup)
            await payer.shutdown()

            let restored = try await restoreWallet(config: config("found"), mnemonic: words, backup: backup)
            XCTAssertEqual(restored.report.channels, [channel])
            XCTAssertEqual(restored.report.warnings, [])
            try await restored.wallet.shutdown()
            await receiver.shutdown()
        }
    }
}
