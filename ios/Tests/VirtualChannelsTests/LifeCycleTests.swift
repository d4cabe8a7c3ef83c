import Foundation
import VirtualChannels
import XCTest

/// What the demo does, as an app does it: a channel from its opening in a batch to money that is final.
final class LifeCycleTests: Story {
    private static let funding: Sats = 200_000
    private static let first: Sats = 1_000
    private static let each: Sats = 50
    private static let payments: Int = 100
    private static let paid = first + each * (payments - 1)

    func testAChannelFromOpeningToSettling() async throws {
        let payer = try await open("payer")
        let receiver = try await open("receiver")
        try await fund(payer, Self.funding)
        let channel = try await openChannel(payer, receiver)
        try await payAHundred(payer, receiver, channel)
        try await closeAndSettle(payer, receiver, channel)
        try await receiver.shutdown()
        let refused = try await refusal { try await receiver.channels() }
        XCTAssertEqual(refused, .Closed)
        try await payer.shutdown()
    }

    func testARefundAfterTheLocktime() async throws {
        let pair = try await pair()
        let quote = try await pair.payer.quoteRefund(channelId: pair.channel)
        let capacity = try await pair.payer.channel(channelId: pair.channel).capacity
        XCTAssertEqual([quote.fee, quote.amount], [.zero, capacity])
        let early = try await refusal { try await pair.payer.refund(channelId: pair.channel) }
        guard case .LocktimeNotReached(pair.channel, let locktime, let now) = early else { return XCTFail("\(early)") }
        XCTAssertGreaterThan(locktime, now)
        // The chain's clock is the median of eleven blocks.
        try await regtest.mine(11, afterSeconds: Int(locktime - now))
        let txid = try await pair.payer.refund(channelId: pair.channel)
        let info = try await pair.payer.channel(channelId: pair.channel)
        XCTAssertEqual(info.resultTxid, txid)
        XCTAssertEqual(info.state, .refunded)
        try await pair.shutdown()
    }

    private func openChannel(_ payer: Wallet, _ receiver: Wallet) async throws -> String {
        let invite = try await receiver.createInvite(request: InviteRequest(memo: "Coffee"))
        guard case .invite(let memo, _, _, _) = try await payer.parse(text: invite) else { throw Regtest.Failure(description: invite) }
        XCTAssertEqual(memo, "Coffee")
        let request = ProposeRequest(capacity: Pair.capacity, funding: .batch)
        let quote = try await payer.quoteOpen(invite: invite, request: request)
        XCTAssertEqual(quote.amount, Pair.capacity)
        XCTAssertNotNil(quote.closeBy)
        XCTAssertFalse(quote.trust.isEmpty)

        let proposal = try await payer.propose(invite: invite, request: request)
        guard case .accepted(let accept, _) = try await receiver.accept(offer: proposal.offer) else {
            throw Regtest.Failure(description: "a channel opened in a batch is not open at once")
        }
        let channel = try await payer.openChannel(accept: accept)
        let confirming = try await payer.channel(channelId: channel)
        XCTAssertEqual(confirming.state, .confirming)
        try await regtest.mine()
        try await eventually("the payer's channel") { try await payer.watch(channelId: channel).state == .open }
        try await eventually("the receiver's channel") {
            guard try await receiver.channels().contains(where: { $0.id == channel }) else { return false }
            return try await receiver.watch(channelId: channel).state == .open
        }
        let role = try await receiver.channel(channelId: channel).role
        XCTAssertEqual(role, .receiver)
        return channel
    }

    private func payAHundred(_ payer: Wallet, _ receiver: Wallet, _ channel: String) async throws {
        let first = try await payer.pay(channelId: channel, amount: Self.first, paymentId: "order 0", memo: "a memo")
        let taken = try await receiver.receive(payment: first.text)
        XCTAssertEqual(taken.increase, Self.first)
        XCTAssertEqual(taken.memo, "a memo")
        try await payer.acknowledge(receipt: receiver.receipt(channelId: channel, memo: "thanks"))
        for number in 1..<Self.payments {
            let payment = try await payer.pay(channelId: channel, amount: Self.each, paymentId: "order \(number)")
            XCTAssertLessThan(payment.text.count, 300)
            let taken = try await receiver.receive(payment: payment.text)
            XCTAssertEqual(taken.increase, Self.each)
        }
        let again = try await payer.pay(channelId: channel, amount: Self.each, paymentId: "order \(Self.payments - 1)")
        XCTAssertTrue(again.repeated)
        XCTAssertEqual(again.amount, Self.paid)
        let twice = try await receiver.receive(payment: again.text)
        XCTAssertEqual(twice.increase, 0)
        let refused = try await refusal { try await receiver.receive(payment: first.text) }
        guard case .Stale(Self.first, Self.paid, let stored) = refused else { return XCTFail("\(refused)") }
        let base = try await payer.catchUp(payment: stored)
        XCTAssertEqual(base, Self.paid)
    }

    private func closeAndSettle(_ payer: Wallet, _ receiver: Wallet, _ channel: String) async throws {
        let txid = try await receiver.closeChannel(channelId: channel)
        try await eventually("the payer to see it") { try await payer.watch(channelId: channel).state == .closed }
        let seen = try await closing(payer)
        XCTAssertEqual(seen, txid)

        let settled = try await receiver.settle()
        XCTAssertEqual(settled.amount, Self.paid)
        _ = try await payer.settle()
        try await regtest.mine()
        try await eventually("the receiver's money") { try await receiver.balance().settled == Self.paid }
        try await eventually("the payer's money") { try await payer.balance().settled == Self.funding - Self.paid }
        try await eventually("the channel to be settled") { try await receiver.watch(channelId: channel).state == .settled }
    }

    /// Events come in their order, and again until they are acknowledged.
    private func closing(_ wallet: Wallet) async throws -> String {
        while true {
            let event = try await wallet.nextEvent()
            if let token = event.token { try await wallet.acknowledgeEvent(token: token) }
            if case .channelClosed(let txid) = event.kind { return txid }
        }
    }
}
