import Foundation
import VirtualChannels
import XCTest

/// The one call for work in the background.
final class MaintenanceTests: Story {
    func testAReceiverClosesAndSettlesInTime() async throws {
        let clock = ManualClock()
        let pair = try await pair(receiverClock: clock)
        let (receiver, channel) = (pair.receiver, pair.channel)
        let payment = try await pair.payer.pay(channelId: channel, amount: 10_000, paymentId: "1")
        _ = try await receiver.receive(payment: payment.text)
        let early = try await receiver.maintain()
        XCTAssertEqual(early.changed, [])
        let next = try XCTUnwrap(early.nextRun)
        let closeBy = try await receiver.channel(channelId: channel).closeBy
        XCTAssertTrue(next > clock.unixSeconds() && next <= closeBy, "\(next), close by \(closeBy)")

        clock.advance(by: closeBy - clock.unixSeconds() + 1)
        let due = try await receiver.maintain()
        XCTAssertEqual(due.errors.map { "\($0.error)" }, [])
        XCTAssertTrue(due.changed.contains { $0.channelId == channel && $0.before == .open }, "\(due)")
        try await regtest.mine()
        try await eventually("the money") {
            _ = try await receiver.maintain()
            return try await receiver.balance().settled == 10_000
        }
        try await pair.shutdown()
    }

    func testWithoutServersItSaysWhatFailedAndWhenToComeBack() async throws {
        let pair = try await pair()
        try await regtest.fault("operator/stop")
        try await regtest.fault("esplora/fail")
        let report = try await pair.payer.maintain()
        try await regtest.fault("esplora/answer")
        try await regtest.fault("operator/start")
        XCTAssertFalse(report.errors.isEmpty)
        XCTAssertNotNil(report.nextRun)
        try await eventually("a run without errors") { try await pair.payer.maintain().errors.isEmpty }
        try await pair.shutdown()
    }

    func testAReleasedDatabase() async throws {
        let wallet = try await open("wallet")
        try await wallet.releaseDatabase()
        let refused = try await refusal { try await wallet.maintain() }
        XCTAssertEqual(refused, .DatabaseReleased)
        try await wallet.reopenDatabase()
        let report = try await wallet.maintain()
        XCTAssertEqual(report.left, 0)
        try await wallet.shutdown()
    }
}
