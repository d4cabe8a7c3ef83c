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

            // The same words on a phone without the database: what is no backup changes nothing.
            let found = WalletModel(config: config("found"), mnemonics: Words(words: words))
            await found.restore(backup: "tea")
            XCTAssertNotNil(found.state.problem)
            XCTAssertNil(found.wallet)
            XCTAssertFalse(FileManager.default.fileExists(atPath: config("found").databasePath))
            await found.restore(backup: "\n\(backup) ")
            XCTAssertNil(found.state.problem)
            XCTAssertEqual(found.state.restored?.channels, [channel])
            XCTAssertEqual(found.state.restored?.warnings, [])
            XCTAssertEqual(found.state.phase, .open)
            let list = ChannelListModel(wallet: try XCTUnwrap(found.wallet))
            await list.refresh()
            XCTAssertEqual(list.state.rows?.map(\.id), [channel])
            await found.restore(backup: backup)
            XCTAssertEqual(found.state.problem, "The wallet is open already.")
            await found.shutdown()
            await receiver.shutdown()
        }
    }
}
