import VirtualChannels
import XCTest

/// An app in the foreground: what happens is noticed with nobody asking.
final class LiveTests: Story {
    func testACloseIsNoticedAndTold() async throws {
        let pair = try await pair()
        let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "one")
        _ = try await pair.receiver.receive(payment: payment.text)
        let live = Task { try await pair.payer.follow(pollSeconds: 1) }
        let closed = Task { () -> EventKind? in
            for try await event in pair.payer.events() {
                if case .channelClosed = event.kind { return event.kind }
            }
            return nil
        }
        let txid = try await pair.receiver.closeChannel(channelId: pair.channel)
        let told = try await closed.value
        XCTAssertEqual(told, .channelClosed(txid: txid))
        let state = try await pair.payer.channel(channelId: pair.channel).state
        XCTAssertEqual(state, .closed)
        try await pair.shutdown()
        // A closed wallet is its end, and no error.
        try await live.value
    }

    func testCancelledItEndsAtOnceAndLeavesNothingBehind() async throws {
        var wallet: Wallet? = try await open("wallet")
        weak var weakly: Wallet?
        weakly = wallet
        for round in 0..<10 {
            let task = Task { [wallet] in try await wallet!.follow() }
            if round % 2 == 0 { try await Task.sleep(nanoseconds: 20_000_000) }
            task.cancel()
            // Without cancellation this would never end.
            try await task.value
        }
        let report = try await wallet?.maintain()
        XCTAssertEqual(report?.left, 0, "it takes calls")
        try await wallet?.shutdown()
        wallet = nil
        XCTAssertNil(weakly, "a waiting call still holds the wallet")
    }
}
