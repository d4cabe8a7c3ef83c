import Foundation
import VirtualChannels
import XCTest

/// Where the database lies.
final class WalletFilesTests: XCTestCase {
    func testAFolderOfItsOwn() throws {
        let place = FileManager.default.temporaryDirectory.appendingPathComponent("files-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: place) }
        let files = try WalletFiles(folder: place.appendingPathComponent("deep/er"))
        XCTAssertEqual(files.database.deletingLastPathComponent().path, files.folder.path)
        var isFolder: ObjCBool = false
        XCTAssertTrue(FileManager.default.fileExists(atPath: files.folder.path, isDirectory: &isFolder) && isFolder.boolValue)
        XCTAssertFalse(FileManager.default.fileExists(atPath: files.database.path), "the wallet makes it")
        let mode = try FileManager.default.attributesOfItem(atPath: files.folder.path)[.posixPermissions] as? Int
        XCTAssertEqual(mode, 0o700)
        // Again does no harm to what is there.
        try Data("wallet".utf8).write(to: files.database)
        XCTAssertEqual(try WalletFiles(folder: files.folder), files)
        XCTAssertEqual(try Data(contentsOf: files.database), Data("wallet".utf8))
        #if canImport(Darwin)
        XCTAssertEqual(try files.folder.resourceValues(forKeys: [.isExcludedFromBackupKey]).isExcludedFromBackup, true)
        #endif
    }

    func testTheUsualPlace() throws {
        let (one, other) = (UUID().uuidString, UUID().uuidString)
        let files = try WalletFiles.standard(wallet: one)
        defer { try? FileManager.default.removeItem(at: files.folder) }
        let others = try WalletFiles.standard(wallet: other)
        defer { try? FileManager.default.removeItem(at: others.folder) }
        XCTAssertTrue(files.database.path.hasSuffix("VirtualChannels/\(one)/wallet.db"), files.database.path)
        XCTAssertNotEqual(files.database, others.database)
    }

    func testAPlaceThatCannotBe() {
        XCTAssertThrowsError(try WalletFiles(folder: URL(fileURLWithPath: "/proc/self/status/wallet")))
    }

    func testThePrivacyManifestIsThere() throws {
        let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let manifest = here.appendingPathComponent("../../Sources/VirtualChannels/PrivacyInfo.xcprivacy")
        let plist = try PropertyListSerialization.propertyList(from: Data(contentsOf: manifest), format: nil)
        let root = try XCTUnwrap(plist as? [String: Any])
        XCTAssertEqual(root["NSPrivacyTracking"] as? Bool, false)
        let accessed = try XCTUnwrap(root["NSPrivacyAccessedAPITypes"] as? [[String: Any]])
        XCTAssertEqual(accessed.first?["NSPrivacyAccessedAPITypeReasons"] as? [String], ["C617.1"])
    }
}
