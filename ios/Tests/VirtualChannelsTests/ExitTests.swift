import VirtualChannels
import XCTest

/// Out of Ark without the operator: what is owned becomes money on chain.
final class ExitTests: Story {
    private static let funding: Sats = 100_000
    private static let capacity: Sats = 50_000
    private static let paid: Sats = 12_000
    private static let fees: Sats = 20_000
    private static let rounds = 60

    override class var arguments: [String] { ["--unit", "block", "--session", "1"] }

    /// Nothing needs the operator any more once the channel is open and paid in.
    func testTheReceiverLeavesWithTheOperatorDead() async throws {
        let (payer, receiver, friend) = (try await open("payer"), try await open("receiver"), try await open("friend"))
        let channel = try await paidChannel(payer, receiver)
        try await regtest.fault("operator/stop")

        let quote = try await receiver.exitQuote(channelId: channel)
        XCTAssertEqual(quote.claimed, Self.paid)
        XCTAssertTrue(quote.has == 0 && quote.missing > 0 && quote.levels > 0 && quote.net < Self.paid, "\(quote)")
        let poor = try await receiver.exitChannel(channelId: channel)
        XCTAssertEqual(poor.channelId, channel)
        XCTAssertEqual(poor.reason, .asked)
        let address = try await receiver.onchainAddress()
        guard case .needsFees(_, address)? = poor.problem else { return XCTFail("\(poor)") }
        let leaving = try await receiver.channel(channelId: channel)
        XCTAssertEqual(leaving.state, .exiting)
        let needs = try await told(receiver).contains { if case .exitNeedsFees(_, _, address) = $0 { true } else { false } }
        XCTAssertTrue(needs)

        try await bringFees(receiver)
        let left = try await leave(receiver)
        let settled = try await receiver.channel(channelId: channel)
        XCTAssertEqual(settled.state, .settled)
        XCTAssertEqual(settled.resultTxid, left.claimTxid)
        let txid = try XCTUnwrap(left.claimTxid)
        let events = try await told(receiver)
        XCTAssertEqual(events.last, .exitClaimed(outpoint: left.outpoint, txid: txid, amount: left.amount))
        let none = try await receiver.exits()
        XCTAssertEqual(none, [])
        try await sendAll(receiver, to: friend, atLeast: Self.fees + quote.net - 500)
        try await regtest.fault("operator/start")
        for wallet in [payer, receiver, friend] { try await wallet.shutdown() }
    }

    /// The wallet's own coins, by the branches that it has stored.
    func testOwnCoins() async throws {
        let wallet = try await open("wallet")
        try await fund(wallet, Self.funding)
        try await bringFees(wallet)
        try await regtest.fault("operator/stop")
        let begun = try await wallet.exitCoins()
        XCTAssertEqual(begun.map(\.amount), [Self.funding])
        XCTAssertNil(begun.first?.channelId)
        let left = try await leave(wallet)
        XCTAssertTrue(left.amount > Self.funding - 1_000 && left.amount < Self.funding, "\(left)")
        let balance = try await wallet.onchainBalance()
        XCTAssertGreaterThan(balance.confirmed, Self.funding)
        try await regtest.fault("operator/start")
        try await wallet.shutdown()
    }

    /// The payer puts the channel on chain; the receiver's app does nothing but open the wallet for its background task.
    func testMaintenanceAlone() async throws {
        let words = try generateMnemonic()
        let (payer, first) = (try await open("payer"), try await open("receiver", mnemonic: words))
        let channel = try await paidChannel(payer, first)
        _ = try await told(first)
        try await first.shutdown()
        try await bringFees(payer)
        _ = try await payer.exitChannel(channelId: channel)
        while case .unrolling = try await payer.continueExits()[0].stage { try await regtest.mine() }

        var stages: [ExitStage] = []
        while stages.last != .done {
            guard stages.count < Self.rounds else { return XCTFail("\(Self.rounds) runs are not enough: \(stages)") }
            let receiver = try await open("receiver", mnemonic: words)
            let report = try await receiver.maintain()
            try await receiver.shutdown()
            XCTAssertEqual(report.errors.map { "\($0.error)" }, [])
            let exit = try XCTUnwrap(report.exits.first)
            XCTAssertEqual(exit.channelId, channel)
            XCTAssertEqual(exit.reason, .unrolled)
            XCTAssertTrue(exit.stage == .done || report.nextRun != nil, "it comes back while it is under way")
            stages.append(exit.stage)
            try await goOn(exit.stage)
        }
        let receiver = try await open("receiver", mnemonic: words)
        let settled = try await receiver.channel(channelId: channel)
        XCTAssertEqual(settled.state, .settled)
        let events = try await told(receiver)
        XCTAssertEqual(events.filter { $0 == .channelUnrolled }.count, 1, "\(events)")
        guard case .exitClaimed(_, _, let amount)? = events.last else { return XCTFail("\(events)") }
        // The claim paid for itself: there were no other coins.
        let balance = try await receiver.onchainBalance()
        XCTAssertEqual(balance.confirmed, amount)
        XCTAssertTrue(amount > Self.paid - 1_500 && amount < Self.paid, "\(amount)")
        try await receiver.shutdown()
        try await payer.shutdown()
    }

    /// A channel in a batch, open on both sides, in which something was paid.
    private func paidChannel(_ payer: Wallet, _ receiver: Wallet) async throws -> String {
        try await fund(payer, Self.funding)
        let channel = try await inABatch(payer, receiver, Self.capacity)
        let payment = try await payer.pay(channelId: channel, amount: Self.paid, paymentId: "one")
        _ = try await receiver.receive(payment: payment.text)
        return channel
    }

    /// One exit, as far as it goes now, and the chain a little further, until the money is there.
    private func leave(_ wallet: Wallet) async throws -> ExitInfo {
        for _ in 0..<Self.rounds {
            let exits = try await wallet.continueExits()
            let exit = try XCTUnwrap(exits.first)
            XCTAssertNil(exit.problem)
            if exit.stage == .done { return exit }
            try await goOn(exit.stage)
        }
        let exits = try await wallet.exits()
        throw Regtest.Failure(description: "\(Self.rounds) rounds are not enough: \(exits)")
    }

    private func goOn(_ stage: ExitStage) async throws {
        if case .waiting = stage { try await regtest.mine(5) } else { try await regtest.mine() }
    }

    private func bringFees(_ wallet: Wallet) async throws {
        try await regtest.pay(wallet.onchainAddress(), Self.fees)
        try await regtest.mine()
        try await eventually("the coins for fees") { try await wallet.onchainBalance().confirmed == Self.fees }
    }

    private func sendAll(_ wallet: Wallet, to friend: Wallet, atLeast: Sats) async throws {
        let address = try await friend.onchainAddress()
        let quote = try await wallet.quoteOnchain(address: address)
        XCTAssertGreaterThan(quote.amount, atLeast)
        let txid = try await wallet.sendOnchain(address: address)
        XCTAssertEqual(txid.count, 64)
        try await regtest.mine()
        try await eventually("what was sent") { try await friend.onchainBalance().confirmed == quote.amount }
        let nothing = try await wallet.onchainBalance()
        XCTAssertEqual(nothing, OnchainBalance(confirmed: 0, pending: 0))
    }

    /// What waits to be dealt with, and is dealt with.
    private func told(_ wallet: Wallet) async throws -> [EventKind] {
        let events = try await wallet.pendingEvents(limit: 100)
        for token in events.compactMap(\.token) { try await wallet.acknowledgeEvent(token: token) }
        return events.map(\.kind)
    }
}

extension Story {
    /// A channel opened in a batch from settled money; both sides know that it is open.
    func inABatch(_ payer: Wallet, _ receiver: Wallet, _ capacity: Sats) async throws -> String {
        let invite = try await receiver.createInvite(request: InviteRequest())
        let proposal = try await payer.propose(invite: invite, request: ProposeRequest(capacity: capacity, funding: .batch))
        guard case .accepted(let accept, _) = try await receiver.accept(offer: proposal.offer) else {
            throw Regtest.Failure(description: "a channel opened in a batch is not open at once")
        }
        let channel = try await payer.openChannel(accept: accept)
        try await regtest.mine()
        try await eventually("the payer's channel") { try await payer.watch(channelId: channel).state == .open }
        try await eventually("the receiver's channel") {
            guard try await receiver.channels().contains(where: { $0.id == channel }) else { return false }
            return try await receiver.watch(channelId: channel).state == .open
        }
        return channel
    }
}
