import Foundation
import VirtualChannels
import XCTest

/// One side asks, the other grants: closing with the payer online, and giving back what nothing was paid in.
final class EndingTogetherTests: Story {
    /// The payer keeps what closing needs until it is asked.
    func testAPayerThatAuthorisesOnCloseOnly() async throws {
        let (payer, receiver) = (try await open("payer"), try await open("receiver"))
        try await fund(payer, Pair.capacity * 2)
        let wish = ProposeRequest(capacity: Pair.capacity, funding: .offchain, onClose: true)
        let usual = try await receiver.createInvite(request: InviteRequest())
        let refused = try await refusal { try await payer.propose(invite: usual, request: wish) }
        guard case .InvalidTerms = refused else { throw refused }
        let invite = try await receiver.createInvite(request: InviteRequest(onClose: true))
        let offer = try await payer.propose(invite: invite, request: wish).offer
        guard case .open(let channel) = try await receiver.accept(offer: offer) else { return XCTFail("not open") }
        for wallet in [payer, receiver] {
            let info = try await wallet.channel(channelId: channel)
            XCTAssertTrue(info.onClose)
        }
        let payment = try await payer.pay(channelId: channel, amount: 5_000, paymentId: "one")
        _ = try await receiver.receive(payment: payment.text)

        let alone = try await refusal { try await receiver.closeChannel(channelId: channel) }
        XCTAssertEqual(alone, .MissingAuthorisation(channelId: channel))
        let request = try await receiver.requestClose(channelId: channel)
        let scanned = try await payer.parse(text: request)
        XCTAssertEqual(scanned, .closeRequest(channelId: channel))
        let before = try await receiver.channel(channelId: channel).state
        XCTAssertEqual(before, .open, "asking binds nobody")
        // On its way when the payer grants: the grant brings it.
        _ = try await payer.pay(channelId: channel, amount: 500, paymentId: "lost")
        let grant = try await payer.grantClose(request: request)
        let read = try await receiver.parse(text: grant.uppercased())
        XCTAssertEqual(read, .closeGrant(channelId: channel))
        let late = try await refusal { try await payer.pay(channelId: channel, amount: 1, paymentId: "too late") }
        guard case .WrongState(channel, .closing, _) = late else { throw late }

        let txid = try await receiver.closeWith(grant: grant)
        let closed = try await receiver.channel(channelId: channel)
        XCTAssertEqual(closed.state, .closed)
        XCTAssertEqual(closed.resultTxid, txid)
        let received = try await receiver.balance().preconfirmed
        XCTAssertEqual(received, 5_500)
        try await eventually("the payer to see it") { try await payer.watch(channelId: channel).state == .closed }
        let left = try await payer.balance().total
        XCTAssertEqual(left, Pair.capacity * 2 - 5_500)
        for wallet in [payer, receiver] { try await wallet.shutdown() }
    }

    /// Asked by the payer: everything comes back before the locktime.
    func testAChannelInWhichNothingWasPaid() async throws {
        try await givenBack { payer, receiver, channel in
            try await receiver.grantClose(request: payer.requestClose(channelId: channel))
        }
    }

    func testAChannelThatTheReceiverGivesBackUnasked() async throws {
        try await givenBack { _, receiver, channel in try await receiver.releaseChannel(channelId: channel) }
    }

    private func givenBack(_ grant: (Wallet, Wallet, String) async throws -> String) async throws {
        let pair = try await pair()
        let before = try await pair.payer.balance().total
        let granted = try await grant(pair.payer, pair.receiver, pair.channel)
        let given = try await pair.receiver.channel(channelId: pair.channel).state
        XCTAssertEqual(given, .closed)
        let txid = try await pair.payer.closeWith(grant: granted)
        let back = try await pair.payer.channel(channelId: pair.channel)
        XCTAssertEqual(back.state, .closed)
        XCTAssertEqual(back.resultTxid, txid)
        let balance = try await pair.payer.balance()
        XCTAssertEqual(balance.total, before)
        XCTAssertEqual(balance.inChannels, 0)
        try await pair.shutdown()
    }

    func testOneInWhichSomethingWasPaidIsNotGivenBack() async throws {
        let pair = try await pair()
        let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "one")
        _ = try await pair.receiver.receive(payment: payment.text)
        let released = try await refusal { try await pair.receiver.releaseChannel(channelId: pair.channel) }
        guard case .WrongState = released else { throw released }
        let request = try await pair.payer.requestClose(channelId: pair.channel)
        let granted = try await refusal { try await pair.receiver.grantClose(request: request) }
        guard case .WrongState = granted else { throw granted }
        let own = try await refusal { try await pair.payer.releaseChannel(channelId: pair.channel) }
        XCTAssertEqual(own, .WrongRole(channelId: pair.channel, role: .payer))
        let state = try await pair.receiver.channel(channelId: pair.channel).state
        XCTAssertEqual(state, .open)
        try await pair.shutdown()
    }

    func testARequestIsGoodForADay() async throws {
        let clock = ManualClock()
        let pair = try await pair(clock: clock)
        let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "one")
        _ = try await pair.receiver.receive(payment: payment.text)
        let request = try await pair.receiver.requestClose(channelId: pair.channel)
        clock.advance(by: 25 * 3_600)
        let old = try await refusal { try await pair.payer.grantClose(request: request) }
        guard case .CloseRequestExpired(let expiredAt, let now) = old else { throw old }
        XCTAssertGreaterThan(now, expiredAt)
        try await pair.shutdown()
    }

    /// A scanner that reads a backup says what it is, and refuses one of another wallet.
    func testABackupThatIsScanned() async throws {
        let pair = try await pair()
        let text = try await pair.payer.backup()
        guard case .backup(let madeAt, 1) = try await pair.payer.parse(text: " \(text.uppercased())\n") else {
            return XCTFail("no backup")
        }
        XCTAssertLessThan(madeAt, UInt64(Date().timeIntervalSince1970) + 60)
        let other = try await refusal { try await pair.receiver.parse(text: text) }
        XCTAssertEqual(other, .OtherBackup(what: "mnemonic"))
        try await pair.shutdown()
    }
}

/// The chain's time is moved on: a regtest of its own.
final class RefundIntoTests: Story {
    func testARefundStraightIntoANewChannel() async throws {
        let (payer, receiver) = (try await open("payer"), try await open("receiver"))
        let funding: Sats = 200_000
        try await fund(payer, funding)
        // Short enough that its VTXO lives for another one.
        let first = ProposeRequest(capacity: 100_000, funding: .offchain, lifetime: 30_000)
        let invite = try await receiver.createInvite(request: InviteRequest())
        let offer = try await payer.propose(invite: invite, request: first).offer
        guard case .open(let old) = try await receiver.accept(offer: offer) else { return XCTFail("not open") }

        let into = ProposeRequest(capacity: 40_000, funding: .refund(channelId: old))
        let another = try await receiver.createInvite(request: InviteRequest())
        let refused = try await refusal { try await payer.propose(invite: another, request: into) }
        guard case .LocktimeNotReached(old, let locktime, let now) = refused else { throw refused }
        // Eleven blocks carry the median.
        try await regtest.mine(11, afterSeconds: Int(locktime - now) + 600)
        let fee = try await payer.quoteOpen(invite: another, request: into).fee
        XCTAssertEqual(fee, 0)
        let proposal = try await payer.propose(invite: another, request: into)
        let refunded = try await payer.channel(channelId: old).state
        XCTAssertEqual(refunded, .refunded)
        guard case .open(let channel) = try await receiver.accept(offer: proposal.offer) else { return XCTFail("not open") }
        XCTAssertEqual(channel, proposal.channelId)
        let payment = try await payer.pay(channelId: channel, amount: 6_000, paymentId: "in the new one")
        _ = try await receiver.receive(payment: payment.text)
        _ = try await receiver.closeChannel(channelId: channel)
        let received = try await receiver.balance().preconfirmed
        XCTAssertEqual(received, 6_000)
        try await eventually("the payer to see it") { try await payer.watch(channelId: channel).state == .closed }
        let left = try await payer.balance().total
        XCTAssertEqual(left, funding - 6_000)
        for wallet in [payer, receiver] { try await wallet.shutdown() }
    }
}
