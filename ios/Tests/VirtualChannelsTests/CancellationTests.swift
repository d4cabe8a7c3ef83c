import Foundation
import VirtualChannels
import XCTest

/// A cancelled payment happened wholly or not at all, and the same call again shows which.
final class CancellationTests: Story {
    private static let seeds: UInt64 = 500

    func testAPaymentThatIsCancelledAtAnyPoint() async throws {
        let mnemonic = try generateMnemonic()
        let pair = try await pair(mnemonic: mnemonic)
        var payer = pair.payer
        var paid = try await payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "first").amount
        var happened = 0
        for seed in 1...Self.seeds {
            var random = Seeded(seed)
            let amount = Sats(UInt64.random(in: 1...100, using: &random))
            let wait = UInt64.random(in: 0...1_500_000, using: &random)
            let task = Task { [payer] in
                // What an app does whose view may be gone by now.
                try Task.checkCancellation()
                return try await payer.pay(channelId: pair.channel, amount: amount, paymentId: "seed \(seed)")
            }
            if wait % 3 > 0 { try await Task.sleep(nanoseconds: wait) }
            task.cancel()
            // Now and then nobody waits for it: the wallet is closed under it and opened again.
            if seed % 25 == 0 {
                try await payer.shutdown()
                payer = try await open("payer", mnemonic: mnemonic)
            }
            let answer = await task.result
            let stored = try await payer.channel(channelId: pair.channel).amount
            let again = try await payer.pay(channelId: pair.channel, amount: amount, paymentId: "seed \(seed)")
            XCTAssertTrue(stored == paid || stored == paid + amount, "seed \(seed): \(paid) became \(stored) with a payment of \(amount)")
            XCTAssertEqual(again.repeated, stored == paid + amount, "seed \(seed): the next call does not show what happened")
            XCTAssertEqual(again.amount, paid + amount, "seed \(seed)")
            if case .success(let payment) = answer {
                XCTAssertEqual(payment.amount, stored, "seed \(seed): it was answered, and is not stored")
                happened += 1
            } else {
                XCTAssertEqual(stored, paid, "seed \(seed): it was refused, and is stored")
            }
            paid += amount
        }
        XCTAssertGreaterThan(happened, 20, "none was in time: the waits are too short")
        XCTAssertLessThan(happened, Int(Self.seeds), "all were in time: the waits are too long")
        let received = try await pair.receiver.receive(payment: payer.latestUpdate(channelId: pair.channel).text)
        XCTAssertEqual(received.amount, paid)
        try await payer.shutdown()
        try await pair.receiver.shutdown()
    }

    /// Other calls that change something, abandoned in a group: the first that ends has the others cancelled.
    func testAGroupWhoseRestIsCancelled() async throws {
        let pair = try await pair()
        for round in 0..<20 {
            let before = try await pair.payer.channel(channelId: pair.channel).amount
            let sats: Sats = before == 0 ? 1_000 : 10
            try await withThrowingTaskGroup(of: Void.self) { group in
                for part in 0..<4 {
                    group.addTask {
                        _ = try await pair.payer.pay(channelId: pair.channel, amount: sats, paymentId: "\(round)-\(part)")
                    }
                }
                try await group.next()
                group.cancelAll()
            }
            // A group waits for its tasks, and the library finishes what it began: all four happened.
            let after = try await pair.payer.channel(channelId: pair.channel).amount
            XCTAssertEqual(after, before + sats * 4)
        }
        try await pair.shutdown()
    }
}
