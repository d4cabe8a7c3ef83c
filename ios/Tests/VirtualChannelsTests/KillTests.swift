import Foundation
import VirtualChannels
import XCTest

/// A wallet whose process is killed in the middle of payments has, when opened again, every payment that it had reported, and no
/// other than the one that was under way.
final class KillTests: Story {
    private static let rounds = 12

    func testAPayerThatIsKilled() async throws {
        let mnemonic = try generateMnemonic()
        let pair = try await pair(mnemonic: mnemonic)
        let (receiver, channel) = (pair.receiver, pair.channel)
        var paid = try await pair.payer.pay(channelId: channel, amount: 1_000, paymentId: "first").amount
        try await pair.payer.shutdown()
        var random = Seeded(1)
        for round in 0..<Self.rounds {
            let child = try Child(config("payer"), mnemonic: mnemonic, "pay", channel)
            // Between the first payment and some dozens of them, also in the middle of one.
            for _ in 0...Int.random(in: 0...20, using: &random) { XCTAssertNotNil(child.line(), "it ended by itself") }
            try await Task.sleep(nanoseconds: .random(in: 0...3_000_000, using: &random))
            let id = child.id
            let last = try XCTUnwrap(child.kill().last ?? "\(0) \(paid)").split(separator: " ").compactMap { UInt64($0) }
            let payer = try await open("payer", mnemonic: mnemonic)
            let stored = try await payer.channel(channelId: channel).amount
            if last[0] > 0 {
                XCTAssertGreaterThanOrEqual(stored, Sats(last[1]), "round \(round): a payment that had been reported is forgotten")
                XCTAssertLessThanOrEqual(stored, Sats(last[1] + 1), "round \(round): a payment was invented")
                // The payment that was under way: the call that is made again shows whether it happened.
                let next = try await payer.pay(channelId: channel, amount: 1, paymentId: "\(id)-\(last[0] + 1)")
                XCTAssertEqual(next.repeated, stored == Sats(last[1] + 1))
                XCTAssertEqual(next.amount, Sats(last[1] + 1))
            }
            let update = try await payer.latestUpdate(channelId: channel)
            let received = try await receiver.receive(payment: update.text)
            XCTAssertEqual(received.amount, update.amount)
            XCTAssertGreaterThan(update.amount, paid)
            paid = update.amount
            try await payer.shutdown()
        }
        try await receiver.shutdown()
    }

    func testAReceiverThatIsKilled() async throws {
        let pair = try await pair(receiverMnemonic: Self.words)
        let (payer, channel) = (pair.payer, pair.channel)
        try await pair.receiver.shutdown()
        var amount: Sats = 0
        var random = Seeded(2)
        for round in 0..<Self.rounds {
            let child = try Child(config("receiver"), mnemonic: Self.words, "receive")
            // What the receiver had, and what the payer has signed for it since.
            var signed = [amount]
            var texts: [String] = []
            for number in 0..<20 {
                let sats: Sats = amount == 0 ? 1_000 : 10
                let payment = try await payer.pay(channelId: channel, amount: sats, paymentId: "\(round)-\(number)")
                amount = payment.amount
                signed.append(amount)
                texts.append(payment.text)
            }
            for text in texts { child.tell(text) }
            var lines: [String] = []
            for _ in 0..<Int.random(in: 1...19, using: &random) { lines.append(try XCTUnwrap(child.line(), "it ended by itself")) }
            try await Task.sleep(nanoseconds: .random(in: 0...3_000_000, using: &random))
            lines += child.kill()
            // Each payment is reported once, in the order in which they were signed.
            let confirmed = lines.compactMap { UInt64($0) }.map { Sats($0) }
            XCTAssertEqual(confirmed, Array(signed.dropFirst().prefix(lines.count)), "round \(round)")

            let receiver = try await open("receiver", mnemonic: Self.words)
            let stored = try await receiver.channel(channelId: channel).amount
            // The last one that was reported, or the one that was under way: nothing else.
            let possible = signed[confirmed.count...min(confirmed.count + 1, signed.count - 1)]
            XCTAssertTrue(possible.contains(stored), "round \(round): \(stored) after \(confirmed.last ?? 0) was reported")
            // And what it has is the payer's own signature, by which it can prove it.
            if stored > 0 {
                let held = try await receiver.latestUpdate(channelId: channel)
                XCTAssertEqual(held.amount, stored)
                let base = try await payer.catchUp(payment: held.text)
                XCTAssertEqual(base, amount, "the payer has signed all of it")
            }
            // What it did not take can be given to it again.
            let received = try await receiver.receive(payment: payer.latestUpdate(channelId: channel).text)
            XCTAssertEqual(received.amount, amount)
            XCTAssertEqual(received.increase, amount - stored)
            try await receiver.shutdown()
        }
        try await payer.shutdown()
    }

    private static let words = String(repeating: "abandon ", count: 11) + "about"
}
