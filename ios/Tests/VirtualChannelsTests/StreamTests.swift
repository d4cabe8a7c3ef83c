import Foundation
import VirtualChannels
import XCTest

/// Events and channel states as streams.
final class StreamTests: Story {
    func testAnEventComesAgainUntilTheNextOneIsAskedFor() async throws {
        let pair = try await pair()
        let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "1")
        _ = try await pair.receiver.receive(payment: payment.text)
        // Left in the middle: the first event was not dealt with.
        var left: [EventKind] = []
        for try await event in pair.receiver.events() where event.token != nil {
            left.append(event.kind)
            break
        }
        var seen: [EventKind] = []
        for try await event in pair.receiver.events() where event.token != nil {
            seen.append(event.kind)
            if case .paymentReceived = event.kind { break }
        }
        XCTAssertEqual(seen.first, left.first)
        XCTAssertEqual(seen.last, .paymentReceived(amount: 1_000, increase: 1_000))
        XCTAssertEqual(Set(seen).count, seen.count)
        // What came before the last one is acknowledged, the last one is not.
        let waiting = try await pair.receiver.pendingEvents(limit: 10)
        XCTAssertEqual(waiting.map(\.kind), [.paymentReceived(amount: 1_000, increase: 1_000)])
        try await pair.shutdown()
    }

    func testAnEventThatComesWhileTheLoopWaits() async throws {
        let pair = try await pair()
        let waiting = Task { () -> Sats in
            var sum: Sats = 0
            for try await event in pair.receiver.events() {
                if case .paymentReceived(_, let increase) = event.kind { sum += increase }
                if sum == 3_000 { return sum }
            }
            return sum
        }
        for number in 1...3 {
            let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "\(number)")
            _ = try await pair.receiver.receive(payment: payment.text)
        }
        let sum = try await waiting.value
        XCTAssertEqual(sum, 3_000)
        try await pair.shutdown()
    }

    func testOneChannel() async throws {
        let pair = try await pair()
        let amounts = Task { () -> [Sats] in
            var amounts: [Sats] = []
            for try await channel in pair.payer.channelState(channelId: pair.channel) {
                if amounts.last != channel.amount { amounts.append(channel.amount) }
                if channel.amount == 3_000 { break }
            }
            return amounts
        }
        for number in 1...3 {
            _ = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "\(number)")
        }
        let seen = try await amounts.value
        XCTAssertEqual(seen, seen.sorted())
        XCTAssertEqual(seen.last, 3_000)
        var none = pair.payer.channelState(channelId: String(repeating: "00", count: 32)).makeAsyncIterator()
        do {
            _ = try await none.next()
            XCTFail("a channel that does not exist")
        } catch WalletError.NotFound {}
        try await pair.shutdown()
    }

    func testStreamsEndWhenTheWalletIsClosed() async throws {
        let wallet = try await open("wallet")
        let events = Task { try await wallet.events().count() }
        let states = Task { try await wallet.channelStates().count() }
        try await eventually("the first state") { try await wallet.nextChange(seen: 0) >= 0 }
        try await wallet.shutdown()
        let counts = try await (events.value, states.value)
        XCTAssertEqual(counts.0, 0)
        XCTAssertLessThanOrEqual(counts.1, 1)
        // And one that begins later does at once.
        let late = try await wallet.events().count()
        XCTAssertEqual(late, 0)
    }

    func testACancelledLoopEndsAtOnceAndLeavesNothingBehind() async throws {
        var wallet: Wallet? = try await open("wallet")
        weak var weakly: Wallet?
        weakly = wallet
        for stream in 0..<40 {
            let entered = expectation(description: "the loop is entered")
            let task = Task { [wallet] in
                entered.fulfill()
                if stream % 2 == 0 {
                    for try await _ in wallet!.events() {}
                } else {
                    for try await _ in wallet!.channelStates() {}
                }
            }
            await fulfillment(of: [entered], timeout: 10)
            if stream % 4 < 2 { try await Task.sleep(nanoseconds: 2_000_000) }
            task.cancel()
            // Without cancellation this would wait for an event that never comes.
            try await task.value
        }
        try await wallet?.shutdown()
        wallet = nil
        XCTAssertNil(weakly, "a waiting call still holds the wallet")
    }

    func testChannelStatesFollowAChannel() async throws {
        let pair = try await pair()
        let watcher = Task { () -> [ChannelState] in
            var states: [ChannelState] = []
            for try await channels in pair.receiver.channelStates() {
                let state = try XCTUnwrap(channels.first).state
                if states.last != state { states.append(state) }
                if state == .closed { break }
            }
            return states
        }
        let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "1")
        _ = try await pair.receiver.receive(payment: payment.text)
        _ = try await pair.receiver.closeChannel(channelId: pair.channel)
        let states = try await watcher.value
        XCTAssertEqual(states.last, .closed)
        XCTAssertEqual(states.first, .open)
        try await pair.shutdown()
    }

    func testTheSameStateDoesNotComeTwice() async throws {
        let pair = try await pair()
        let watcher = Task { () -> [[ChannelInfo]] in
            var all: [[ChannelInfo]] = []
            for try await channels in pair.payer.channelStates() {
                all.append(channels)
                if channels.first?.amount == 5_000 { break }
            }
            return all
        }
        for number in 1...5 {
            _ = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "\(number)")
            // An address changes the database, and no channel.
            _ = try await pair.payer.newArkAddress()
        }
        let all = try await watcher.value
        XCTAssertEqual(all.last?.first?.amount, 5_000)
        for (one, next) in zip(all, all.dropFirst()) { XCTAssertNotEqual(one, next) }
        try await pair.shutdown()
    }
}

extension AsyncSequence {
    /// How many there are until it ends.
    fileprivate func count() async throws -> Int {
        var count = 0
        for try await _ in self { count += 1 }
        return count
    }
}
