import Foundation
import VirtualChannels
import XCTest

/// Many calls at once, and two wallets on one file.
final class TogetherTests: Story {
    func testSixtyFourPaymentsAtOnce() async throws {
        let pair = try await pair()
        _ = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "first")
        let payments = try await withThrowingTaskGroup(of: Payment.self) { group in
            for number in 1...64 {
                group.addTask {
                    try await pair.payer.pay(channelId: pair.channel, amount: Sats(UInt64(number)), paymentId: "\(number)")
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let sum: Sats = Sats(1_000 + 64 * 65 / 2)
        XCTAssertEqual(payments.map(\.amount).max(), sum)
        XCTAssertEqual(Set(payments.map(\.amount)).count, 64, "each is built on another one")
        let info = try await pair.payer.channel(channelId: pair.channel)
        XCTAssertEqual(info.amount, sum)
        XCTAssertEqual(info.remaining, Pair.capacity - sum)

        // The receiver takes them in one go, whatever their order.
        let texts = payments.sorted { $0.amount < $1.amount }.map(\.text)
        let results = try await pair.receiver.receiveMany(payments: texts)
        let taken = results.compactMap { result -> Sats? in
            if case .taken(let received) = result { received.increase } else { nil }
        }
        XCTAssertEqual(taken.count, 64)
        XCTAssertEqual(taken.reduce(.zero, +), sum)
        let received = try await pair.receiver.channel(channelId: pair.channel).amount
        XCTAssertEqual(received, sum)
        try await pair.shutdown()
    }

    func testReceivingAllAtOnce() async throws {
        let pair = try await pair()
        var texts: [String] = []
        for number in 0..<32 {
            let sats: Sats = number == 0 ? 1_000 : 10
            texts.append(try await pair.payer.pay(channelId: pair.channel, amount: sats, paymentId: "\(number)").text)
        }
        let increases = await withTaskGroup(of: Sats.self) { group in
            for text in texts {
                // One that comes after a later one is stale: its money came with the later one.
                group.addTask { (try? await pair.receiver.receive(payment: text).increase) ?? 0 }
            }
            return await group.reduce(.zero, +)
        }
        XCTAssertEqual(increases, 1_310)
        let received = try await pair.receiver.channel(channelId: pair.channel).amount
        XCTAssertEqual(received, 1_310)
        try await pair.shutdown()
    }

    func testTwoWalletsOnOneFile() async throws {
        let mnemonic = try generateMnemonic()
        let pair = try await pair(mnemonic: mnemonic)
        let other = try await open("payer", mnemonic: mnemonic)
        _ = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "first")
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (name, wallet) in [("one", pair.payer), ("other", other)] {
                for number in 1...32 {
                    group.addTask {
                        _ = try await wallet.pay(channelId: pair.channel, amount: 10, paymentId: "\(name) \(number)")
                    }
                }
            }
            try await group.waitForAll()
        }
        let amounts = try await (
            pair.payer.channel(channelId: pair.channel).amount, other.channel(channelId: pair.channel).amount
        )
        XCTAssertEqual(amounts.0, 1_640)
        XCTAssertEqual(amounts.1, 1_640)
        // The same payment in both is one payment.
        let again = try await other.pay(channelId: pair.channel, amount: 10, paymentId: "one 32")
        XCTAssertTrue(again.repeated)
        let received = try await pair.receiver.receive(payment: again.text)
        XCTAssertEqual(received.amount, 1_640)
        // The file stays with the one when the other lets go of it.
        try await other.shutdown()
        let more = try await pair.payer.pay(channelId: pair.channel, amount: 10, paymentId: "last")
        XCTAssertEqual(more.amount, 1_650)
        try await pair.shutdown()
    }
}
