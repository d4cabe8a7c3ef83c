import Foundation
import VirtualChannels
import XCTest

/// The database is let go of while the app sleeps.
final class SuspensionTests: Story {
    func testNothingIsHeldWhileTheAppSleeps() async throws {
        let pair = try await pair()
        let (payer, channel) = (pair.payer, pair.channel)
        _ = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "1")
        let lease = DatabaseLease(payer)
        try await lease.letGo().value
        XCTAssertEqual(openFiles("payer.db"), [])
        let refused = try await refusal { try await payer.pay(channelId: channel, amount: 1_000, paymentId: "2") }
        XCTAssertEqual(refused, .DatabaseReleased)
        // Again does nothing, and the other wallet does not notice.
        try await lease.letGo().value
        let other = try await pair.receiver.channels()
        XCTAssertEqual(other.count, 1)

        try await lease.pickUp().value
        try await lease.pickUp().value
        let payment = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "2")
        XCTAssertEqual(payment.amount, 2_000)
        XCTAssertFalse(payment.repeated)
        try await pair.shutdown()
    }

    func testInTheOrderOfTheCalls() async throws {
        let wallet = try await open("wallet")
        let lease = DatabaseLease(wallet)
        for round in 0..<50 {
            lease.letGo()
            lease.pickUp()
            if round % 2 == 0 { lease.letGo() }
            let last = round % 2 == 0 ? lease.letGo() : lease.pickUp()
            try await last.value
            if round % 2 == 0 {
                let refused = try await refusal { try await wallet.channels() }
                XCTAssertEqual(refused, .DatabaseReleased)
            } else {
                _ = try await wallet.channels()
            }
        }
        try await wallet.shutdown()
    }

    func testPaymentsWhileTheAppFallsAsleep() async throws {
        let pair = try await pair()
        let (payer, channel) = (pair.payer, pair.channel)
        var paid = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "first").amount
        let lease = DatabaseLease(payer)
        for round in 0..<10 {
            let payments = (0..<16).map { number in
                Task { try await payer.pay(channelId: channel, amount: 10, paymentId: "\(round)-\(number)").amount }
            }
            if round % 2 == 0 { await Task.yield() } else { try await Task.sleep(nanoseconds: 2_000_000) }
            try await lease.letGo().value
            var done = 0
            for payment in payments {
                do {
                    _ = try await payment.value
                    done += 1
                } catch WalletError.DatabaseReleased {}
            }
            try await lease.pickUp().value
            // What was answered is stored, what was refused is not.
            let stored = try await payer.channel(channelId: channel).amount
            XCTAssertEqual(stored, paid + Sats(10) * done, "round \(round), \(done) paid")
            paid = stored
        }
        let received = try await pair.receiver.receive(payment: payer.latestUpdate(channelId: channel).text)
        XCTAssertEqual(received.amount, paid)
        try await pair.shutdown()
    }

    func testStreamsWaitUntilTheAppIsBack() async throws {
        let pair = try await pair()
        let (receiver, channel) = (pair.receiver, pair.channel)
        let states = Task { () -> Sats in
            for try await channels in receiver.channelStates() {
                if let amount = channels.first?.amount, amount > 1_000 { return amount }
            }
            return 0
        }
        let events = Task { () -> Int in
            var seen = 0
            for try await event in receiver.events() {
                if case .paymentReceived = event.kind { seen += 1 }
                if seen == 2 { return seen }
            }
            return seen
        }
        let first = try await pair.payer.pay(channelId: channel, amount: 1_000, paymentId: "1")
        _ = try await receiver.receive(payment: first.text)
        let lease = DatabaseLease(receiver)
        for _ in 0..<5 {
            try await lease.letGo().value
            try await lease.pickUp().value
        }
        let second = try await pair.payer.pay(channelId: channel, amount: 1_000, paymentId: "2")
        _ = try await receiver.receive(payment: second.text)
        let amount = try await states.value
        XCTAssertEqual(amount, 2_000)
        let seen = try await events.value
        XCTAssertEqual(seen, 2)
        try await pair.shutdown()
    }

    func testTheGuardFollowsTheApp() async throws {
        let wallet = try await open("wallet")
        let (sleeping, waking) = (Notification.Name("sleeping"), Notification.Name("waking"))
        let center = NotificationCenter()
        let failure = expectation(description: "told")
        var guardian: SuspensionGuard? = SuspensionGuard(
            DatabaseLease(wallet), sleeping: sleeping, waking: waking, center: center, failed: { _ in failure.fulfill() })
        center.post(name: sleeping, object: nil)
        try await eventually("the database to be let go of") { self.openFiles("wallet.db").isEmpty }
        center.post(name: waking, object: nil)
        try await eventually("the database to be back") { (try? await wallet.channels()) != nil }

        // The file is gone when the app comes back: that is told.
        center.post(name: sleeping, object: nil)
        try await eventually("the database to be let go of") { self.openFiles("wallet.db").isEmpty }
        let path = config("wallet").databasePath
        try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        center.post(name: waking, object: nil)
        await fulfillment(of: [failure], timeout: 30)
        try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        try await wallet.reopenDatabase()
        // Without the guard nobody follows.
        XCTAssertNotNil(guardian)
        guardian = nil
        center.post(name: sleeping, object: nil)
        _ = try await wallet.channels()
        try await wallet.shutdown()
    }
}
