import VirtualChannels
import XCTest

/// One mnemonic on two phones, each with a file of its own.
final class TwoPhonesTests: Story {
    func testWhatTheOtherPhoneSpent() async throws {
        let words = try generateMnemonic()
        let (first, second, friend) = (
            try await open("first", mnemonic: words), try await open("second", mnemonic: words), try await open("friend")
        )
        try await fund(friend, 60_000)
        let address = try await first.arkAddress()
        let same = try await second.arkAddress()
        XCTAssertEqual(address, same, "both count their keys from the start")
        _ = try await friend.send(address: address, amount: 20_000)
        for phone in [first, second] {
            try await eventually("the coin") { try await phone.balance().preconfirmed == 20_000 }
        }
        let txid = try await first.send(address: friend.arkAddress(), amount: 5_000)
        var noticed: [EventKind] = []
        try await eventually("the second phone to notice") {
            _ = try await second.balance()
            noticed += try await self.told(second)
            return !noticed.isEmpty
        }
        guard case .seedUsedElsewhere(let outpoint, txid)? = noticed.first, noticed.count == 1 else { return XCTFail("\(noticed)") }
        XCTAssertEqual(outpoint.split(separator: ":").first?.count, 64)
        // Once, and never by the phone that did it.
        for phone in [first, second, first, second] { _ = try await phone.balance() }
        let more = try await told(first) + told(second)
        XCTAssertEqual(more, [])
        for wallet in [first, second, friend] { try await wallet.shutdown() }
    }

    private func told(_ wallet: Wallet) async throws -> [EventKind] {
        let events = try await wallet.pendingEvents(limit: 100)
        for token in events.compactMap(\.token) { try await wallet.acknowledgeEvent(token: token) }
        return events.map(\.kind).filter { if case .seedUsedElsewhere = $0 { true } else { false } }
    }
}
