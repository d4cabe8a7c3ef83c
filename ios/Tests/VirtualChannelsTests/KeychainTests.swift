import Foundation
import XCTest

@testable import VirtualChannels

/// What the Keychain keeps, over an item in memory: the device's own runs on Apple's systems only.
final class KeychainTests: XCTestCase {
    func testWordsAreMadeOnceAndNeverReplaced() throws {
        let item = MemoryItem()
        let keychain = MnemonicKeychain(items: item)
        XCTAssertNil(try keychain.read())
        let words = try keychain.create()
        XCTAssertEqual(words.split(separator: " ").count, 12)
        XCTAssertEqual(try keychain.read(), words)
        XCTAssertThrowsError(try keychain.create()) { XCTAssertEqual($0 as? MnemonicKeychain.Failure, .init(status: -25_299)) }
        XCTAssertThrowsError(try keychain.keep("other words"))
        XCTAssertEqual(try keychain.read(), words)
        try keychain.forget()
        try keychain.forget()
        XCTAssertNil(try keychain.read())
        try keychain.keep(words)
        XCTAssertEqual(try keychain.read(), words)
    }

    /// Before the first unlocking the Keychain says nothing: that is no reason to make other words.
    func testALockedPhoneIsNoEmptyOne() throws {
        let item = MemoryItem()
        let keychain = MnemonicKeychain(items: item)
        let words = try keychain.create()
        item.locked = true
        XCTAssertThrowsError(try keychain.read() ?? keychain.create()) { error in
            XCTAssertEqual(error as? MnemonicKeychain.Failure, .init(status: -25_308))
            XCTAssertFalse(error.localizedDescription.isEmpty)
            XCTAssertFalse("\(error)".contains(words))
        }
        item.locked = false
        XCTAssertEqual(try keychain.read(), words)
    }
}

/// As the Keychain's item behaves, with its codes.
private final class MemoryItem: KeychainItems, @unchecked Sendable {
    var locked = false
    private var data: Data?

    func find() throws -> Data? {
        // errSecInteractionNotAllowed
        if locked { throw MnemonicKeychain.Failure(status: -25_308) }
        return data
    }

    func add(_ data: Data) throws {
        // errSecDuplicateItem
        guard self.data == nil else { throw MnemonicKeychain.Failure(status: -25_299) }
        self.data = data
    }

    func remove() {
        data = nil
    }
}
