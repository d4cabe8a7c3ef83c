import Foundation
import VirtualChannels
import XCTest

/// The database is taken away, is not one, or is another's: a clear error, and nothing is written anywhere else.
final class DatabaseTests: Story {
    func testMovedAndMovedBack() async throws {
        let pair = try await pair()
        _ = try await pay(pair, 1)
        let path = config("payer").databasePath
        try move(path, to: path + ".away")
        try await isMoved { try await self.pay(pair, 2) }
        XCTAssertFalse(FileManager.default.fileExists(atPath: path), "nothing is made in its place")
        try move(path + ".away", to: path)
        let amount = try await pay(pair, 2)
        XCTAssertEqual(amount, 2_000)
        try await pair.shutdown()
    }

    func testDeleted() async throws {
        let pair = try await pair()
        _ = try await pay(pair, 1)
        let path = config("payer").databasePath
        try FileManager.default.removeItem(atPath: path)
        try await isMoved { try await self.pay(pair, 2) }
        XCTAssertFalse(FileManager.default.fileExists(atPath: path), "nothing is made in its place")
        // What had been paid can still be shown.
        let update = try await pair.payer.latestUpdate(channelId: pair.channel)
        XCTAssertEqual(update.amount, 1_000)
        try? await pair.shutdown()
    }

    func testReadOnly() async throws {
        let mnemonic = try generateMnemonic()
        let wallet = try await open("wallet", mnemonic: mnemonic)
        try await wallet.shutdown()
        let config = config("wallet")
        // The child is no root, who may write everything; it must still reach the folder.
        try mode(0o777, folder.path)
        try mode(0o444, config.databasePath)
        XCTAssertEqual(try Child(config, mnemonic: mnemonic, "open").rest(), [WalletError.DatabaseReadOnly.description])
        try mode(0o666, config.databasePath)
        try mode(0o555, folder.path)
        XCTAssertEqual(try Child(config, mnemonic: mnemonic, "open").rest(), [WalletError.DatabaseReadOnly.description])
        try mode(0o777, folder.path)
        XCTAssertEqual(try Child(config, mnemonic: mnemonic, "open").rest(), ["opened"])
    }

    func testFilesThatAreNoWallets() async throws {
        let rubbish = Data((0..<8192).map { UInt8(truncatingIfNeeded: $0 &* 31) })
        for (name, data) in [("rubbish", rubbish), ("text", Data("hello".utf8))] {
            let config = config(name)
            try data.write(to: URL(fileURLWithPath: config.databasePath))
            let error = try await refusal { try await Wallet.open(config: config, mnemonic: generateMnemonic()) }
            XCTAssertEqual(error, .NotADatabase, name)
            XCTAssertEqual(try Data(contentsOf: URL(fileURLWithPath: config.databasePath)), data, "\(name) was changed")
        }
        var nowhere = config("nowhere")
        nowhere = WalletConfig(
            databasePath: folder.appendingPathComponent("missing/wallet.db").path, network: .regtest,
            operatorUrl: nowhere.operatorUrl, esploraUrl: nowhere.esploraUrl)
        let error = try await refusal { try await Wallet.open(config: nowhere, mnemonic: generateMnemonic()) }
        guard case .DatabaseFailed = error else { return XCTFail("\(error)") }
    }

    func testADatabaseOfANewerVersion() async throws {
        let mnemonic = try generateMnemonic()
        try await open("wallet", mnemonic: mnemonic).shutdown()
        let url = URL(fileURLWithPath: config("wallet").databasePath)
        // SQLite keeps `user_version` at byte 60.
        var newer = try Data(contentsOf: url)
        newer.replaceSubrange(60..<64, with: [0, 0, 0, 99])
        try newer.write(to: url)
        let error = try await refusal { try await self.open("wallet", mnemonic: mnemonic) }
        guard case .DatabaseNewer(99, let known) = error, (1..<99).contains(known) else { return XCTFail("\(error)") }
    }

    func testInUseByAProcessThatDoesNotLetGo() async throws {
        let pair = try await pair()
        _ = try await pay(pair, 1)
        let child = try Child(config("payer"), mnemonic: "", "lock")
        XCTAssertEqual(child.line(), "locked")
        let busy = try await refusal { try await self.pay(pair, 2) }
        XCTAssertEqual(busy, .DatabaseBusy)
        _ = child.kill()
        let amount = try await pay(pair, 2)
        XCTAssertEqual(amount, 2_000)
        try await pair.shutdown()
    }

    func testACorruptDatabase() async throws {
        let mnemonic = try generateMnemonic()
        try await open("wallet", mnemonic: mnemonic).shutdown()
        let url = URL(fileURLWithPath: config("wallet").databasePath)
        let whole = try Data(contentsOf: url)
        var broken = whole
        for index in stride(from: 100, to: broken.count, by: 7) { broken[index] = 0xaa }
        try broken.write(to: url)
        let error = try await refusal { try await self.open("wallet", mnemonic: mnemonic) }
        guard case .DatabaseCorrupt = error else { return XCTFail("\(error)") }
        try whole.write(to: url)
        try await open("wallet", mnemonic: mnemonic).shutdown()
    }

    func testAnothersMnemonic() async throws {
        try await open("wallet").shutdown()
        let error = try await refusal { try await self.open("wallet") }
        guard case .OtherWallet(let reason) = error else { return XCTFail("\(error)") }
        XCTAssertFalse(reason.isEmpty)
        for words in ["", "abandon", Secrets.mnemonic + " about", Secrets.mnemonic.replacingOccurrences(of: "about", with: "abandon"), "ü🙂"] {
            let error = try await refusal { try await self.open("other", mnemonic: words) }
            XCTAssertEqual(error, .InvalidMnemonic)
        }
        XCTAssertFalse(FileManager.default.fileExists(atPath: config("other").databasePath))
    }

    private func pay(_ pair: Pair, _ number: Int) async throws -> Sats {
        try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "\(number)").amount
    }

    private func isMoved<T>(_ call: () async throws -> T) async throws {
        let error = try await refusal(call)
        guard case .DatabaseFailed(let reason) = error else { return XCTFail("\(error)") }
        XCTAssertTrue(reason.contains("moved, replaced or deleted"), reason)
    }

    /// With what SQLite has beside it.
    private func move(_ from: String, to: String) throws {
        for end in ["", "-wal", "-shm"] where FileManager.default.fileExists(atPath: from + end) {
            try FileManager.default.moveItem(atPath: from + end, toPath: to + end)
        }
    }

    private func mode(_ mode: Int, _ path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }
}
