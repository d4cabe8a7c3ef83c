import Foundation
import VirtualChannels
import XCTest

/// The app's own clock, and what depends on time.
final class ClockTests: Story {
    func testInvitesAndAcceptsGrowOld() async throws {
        let clock = ManualClock()
        let payer = try await open("payer", clock: clock)
        let receiver = try await open("receiver")
        try await fund(payer, 200_000)
        let invite = try await receiver.createInvite(request: InviteRequest(validSeconds: 600))
        let request = ProposeRequest(capacity: 50_000, funding: .batch)
        let proposal = try await payer.propose(invite: invite, request: request)
        guard case .accepted(let accept, let validUntil) = try await receiver.accept(offer: proposal.offer) else {
            return XCTFail("not accepted")
        }
        clock.advance(by: 7_200)
        let old = try await refusal { try await payer.propose(invite: invite, request: request) }
        guard case .InviteExpired(let expiredAt, let now) = old else { return XCTFail("\(old)") }
        XCTAssertTrue(now > expiredAt && now >= clock.unixSeconds(), "\(old)")
        let late = try await refusal { try await payer.openChannel(accept: accept) }
        guard case .AcceptExpired(validUntil, let later) = late else { return XCTFail("\(late)") }
        XCTAssertGreaterThan(later, validUntil)
        try await payer.shutdown()
        try await receiver.shutdown()
    }

    func testPaymentsEndInTime() async throws {
        let clock = ManualClock()
        let blind = ManualClock()
        let pair = try await pair(clock: clock, receiverClock: blind)
        let (payer, receiver, channel) = (pair.payer, pair.receiver, pair.channel)
        let payment = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "1")
        // A receiver that has not looked at the chain for so long takes no new money.
        blind.advance(by: 40_000)
        let unseen = try await refusal { try await receiver.receive(payment: payment.text) }
        guard case .Blind(channel, let seconds, let most) = unseen else { return XCTFail("\(unseen)") }
        XCTAssertTrue(seconds > most && seconds >= 39_000, "\(unseen)")
        _ = try await receiver.watch(channelId: channel)
        let received = try await receiver.receive(payment: payment.text)
        XCTAssertEqual(received.amount, 1_000)

        let closeBy = try await payer.channel(channelId: channel).closeBy
        clock.advance(by: closeBy - clock.unixSeconds() + 60)
        let over = try await refusal { try await payer.pay(channelId: channel, amount: 1_000, paymentId: "2") }
        guard case .PastCloseBy(channel, closeBy, let now) = over else { return XCTFail("\(over)") }
        XCTAssertGreaterThan(now, closeBy)
        try await pair.shutdown()
    }

    func testAClockThatThrowsIsNotAsked() async throws {
        let wallet = try await open("wallet", clock: Broken())
        let invite = try await wallet.createInvite(request: InviteRequest(validSeconds: 600))
        guard case .invite(_, _, _, let expiresAt) = try await wallet.parse(text: invite) else { return XCTFail("no invite") }
        let system = UInt64(Date().timeIntervalSince1970)
        XCTAssertTrue((system + 590...system + 610).contains(expiresAt), "the system's clock is taken: \(expiresAt), \(system)")
        try await wallet.shutdown()
    }

    func testAClockThatBlocksHoldsNobodyElseUp() async throws {
        let clock = Blocking()
        let wallet = try await open("wallet", clock: clock)
        clock.block()
        let held = (0..<8).map { _ in Task { try await wallet.arkAddress() } }
        // Two calls at most wait for a clock; with one of them only, the next call would be the second.
        try await eventually("the clock to be asked") { clock.asked == 2 }
        // Other calls of this wallet go on, and so do other wallets.
        try await eventually("a call that goes on") { (try? await wallet.channels()) != nil }
        try await open("other").shutdown()
        clock.release()
        for call in held { _ = try await call.value }
        try await wallet.shutdown()
    }

    func testAClockThatCallsTheWallet() async throws {
        let clock = Curious()
        let wallet = try await open("wallet", clock: clock)
        clock.wallet = wallet
        let address = try await wallet.arkAddress()
        XCTAssertFalse(address.isEmpty)
        XCTAssertGreaterThan(clock.answers, 0, "it has not called")
        clock.wallet = nil
        try await wallet.shutdown()
    }
}

/// Throws something that the library does not know.
private final class Broken: Clock {
    struct Failure: Error {}

    func unixSeconds() throws -> UInt64 { throw Failure() }
}

/// Answers no call while it is blocked.
private final class Blocking: Clock, @unchecked Sendable {
    private let condition = NSCondition()
    private var blocked = false
    private var count = 0

    var asked: Int { condition.withLock { count } }

    func block() { condition.withLock { blocked = true } }

    func release() {
        condition.withLock { blocked = false }
        condition.broadcast()
    }

    func unixSeconds() -> UInt64 {
        condition.withLock {
            if blocked { count += 1 }
            while blocked { condition.wait() }
        }
        return UInt64(Date().timeIntervalSince1970)
    }
}

/// Calls the wallet, and waits for its answer.
private final class Curious: Clock, @unchecked Sendable {
    private let lock = NSLock()
    private var held: Wallet?
    private var count = 0

    var wallet: Wallet? {
        get { lock.withLock { held } }
        set { lock.withLock { held = newValue } }
    }

    var answers: Int { lock.withLock { count } }

    func unixSeconds() -> UInt64 {
        if let wallet {
            let answered = DispatchSemaphore(value: 0)
            Task.detached {
                _ = try? await wallet.channels()
                answered.signal()
            }
            answered.wait()
            lock.withLock { count += 1 }
        }
        return UInt64(Date().timeIntervalSince1970)
    }
}
