import Foundation
import VirtualChannels
import XCTest

/// Errors of an operator that says no, does wrong, changes its settings or goes away in the middle; and what then goes on.
final class FaultTests: Story {
    /// What is paid in a channel of `paid`.
    private static let amount: Sats = 5_000

    override func tearDown() async throws {
        try await regtest.fault("clear")
        for setting in ["fee/0", "clock-shift/0", "checkpoint-delay/512", "other-checkpoint-key/0"] {
            try await regtest.fault("set/\(setting)")
        }
        try await super.tearDown()
    }

    private func paid(receiverClock: (any Clock)? = nil) async throws -> Pair {
        let pair = try await pair(receiverClock: receiverClock)
        let payment = try await pair.payer.pay(channelId: pair.channel, amount: Self.amount, paymentId: "one")
        _ = try await pair.receiver.receive(payment: payment.text)
        return pair
    }

    func testACloseThatIsRefused() async throws {
        let pair = try await paid()
        let close = { try await pair.receiver.closeChannel(channelId: pair.channel) }
        try await regtest.fault("fault/SubmitTx/refuse?code=VTXO_BANNED")
        let banned = try await refusal(close)
        guard case .OperatorRefused("SubmitTx", 29, "VTXO_BANNED", let reason, let figures) = banned else { return XCTFail("\(banned)") }
        XCTAssertTrue(reason.contains("as the test wants it") && figures.isEmpty, "\(banned)")
        try await regtest.fault("fault/SubmitTx/refuse?code=VTXO_ALREADY_UNROLLED")
        let unrolled = try await refusal(close)
        XCTAssertEqual(unrolled, .Unrolled(channelId: pair.channel))
        try await regtest.fault("set/clock-shift/\(10 * 24 * 3_600)")
        let expired = try await refusal(close)
        XCTAssertEqual(expired, .Expired(channelId: pair.channel, amount: Self.amount))
        try await regtest.fault("set/clock-shift/0")
        let txid = try await close()
        XCTAssertEqual(txid.count, 64)
        try await pair.shutdown()
    }

    func testAnAnswerThatIsLost() async throws {
        let pair = try await paid()
        try await regtest.fault("fault/SubmitTx/lose-answer")
        try await regtest.fault("fault/GetPendingTx/drop")
        let unknown = try await refusal { try await pair.receiver.closeChannel(channelId: pair.channel) }
        guard case .OutcomeUnknown(let txid) = unknown else { return XCTFail("\(unknown)") }
        var closed: String?
        try await eventually("the close") {
            closed = try? await pair.receiver.closeChannel(channelId: pair.channel)
            return closed != nil
        }
        XCTAssertEqual(closed, txid, "the same transaction goes on")
        try await pair.shutdown()
    }

    func testAnOperatorThatDoesNotFinish() async throws {
        let clock = ManualClock()
        let pair = try await paid(receiverClock: clock)
        let close = { try await pair.receiver.closeChannel(channelId: pair.channel) }
        try await regtest.fault("fault/FinalizeTx/status?times=100")
        let first = try await refusal(close)
        guard case .OutcomeUnknown(let txid) = first else { return XCTFail("\(first)") }
        clock.advance(by: 61)
        let failed = try await refusal(close)
        guard case .FinalizeFailed(txid, let reason) = failed else { return XCTFail("\(failed)") }
        XCTAssertTrue(reason.contains("as the test wants it"), reason)
        try await regtest.fault("clear")
        let closed = try await close()
        XCTAssertEqual(closed, txid)
        try await pair.shutdown()
    }

    func testAnotherCheckpointScript() async throws {
        let pair = try await paid()
        try await regtest.fault("set/checkpoint-delay/1024")
        let again = try await pair.payer.reauthorise(channelId: pair.channel)
        XCTAssertTrue(again.repeated)
        let unknown = try await refusal { try await pair.receiver.receive(payment: again.text) }
        XCTAssertEqual(unknown, .UnknownCheckpointScript(channelId: pair.channel))
        let needed = try await refusal { try await pair.receiver.closeChannel(channelId: pair.channel) }
        XCTAssertEqual(needed, .ReauthorisationNeeded(channelId: pair.channel))
        let received = try await pair.receiver.receive(payment: again.text)
        XCTAssertEqual(received.amount, Self.amount)
        _ = try await pair.receiver.closeChannel(channelId: pair.channel)
        try await pair.shutdown()
    }

    /// A receiver whose file is older than its first payment gets one that leaves out what the receipt had confirmed.
    func testAPaymentThatLeavesTooMuchOut() async throws {
        let words = try generateMnemonic()
        let pair = try await pair(receiverMnemonic: words)
        try await pair.receiver.shutdown()
        let file = config("receiver").databasePath
        try FileManager.default.copyItem(atPath: file, toPath: file + ".old")
        let receiver = try await open("receiver", mnemonic: words)
        let first = try await pair.payer.pay(channelId: pair.channel, amount: Self.amount, paymentId: "one")
        _ = try await receiver.receive(payment: first.text)
        try await pair.payer.acknowledge(receipt: receiver.receipt(channelId: pair.channel))
        try await receiver.shutdown()
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.moveItem(atPath: file + ".old", toPath: file)
        let old = try await open("receiver", mnemonic: words)
        let short = try await pair.payer.pay(channelId: pair.channel, amount: Self.amount, paymentId: "two")
        let missing = try await refusal { try await old.receive(payment: short.text) }
        XCTAssertEqual(missing, .MissingAuthorisation(channelId: pair.channel))
        let whole = try await pair.payer.reauthorise(channelId: pair.channel)
        let received = try await old.receive(payment: whole.text)
        XCTAssertEqual(received.amount, Self.amount * 2)
        try await old.shutdown()
        try await pair.payer.shutdown()
    }

    func testFundingThatIsNotWhatItShouldBe() async throws {
        let payer = try await open("payer")
        let receiver = try await open("receiver")
        let usual = config("patient")
        let patient = try await Wallet.open(
            config: WalletConfig(
                databasePath: usual.databasePath, network: usual.network, operatorUrl: usual.operatorUrl, esploraUrl: usual.esploraUrl,
                confirmations: 100), mnemonic: generateMnemonic())
        func offer(_ to: Wallet) async throws -> Proposal {
            let request = ProposeRequest(capacity: 20_000, funding: .offchain)
            return try await payer.propose(invite: to.createInvite(request: InviteRequest()), request: request)
        }
        try await fund(payer, 100_000)
        let proposal = try await offer(receiver)
        let funding = try await payer.channel(channelId: XCTUnwrap(proposal.channelId)).funding.split(separator: ":")
        for (claim, reason) in [("spent", "is spent"), ("swept", "is swept"), ("unrolled", "is on chain")] {
            try await regtest.fault("claim/\(funding[0])/\(funding[1])/\(claim)")
            let refused = try await refusal { try await receiver.accept(offer: proposal.offer) }
            XCTAssertEqual(refused, .FundingNotUsable(reason: reason))
        }
        try await regtest.fault("clear")
        guard case .open = try await receiver.accept(offer: proposal.offer) else { return XCTFail("not open") }
        let rich = try await payer.settle()
        try await regtest.mine()
        try await eventually("the batch") { try await payer.balance().settled == rich.amount }
        let late = try await offer(patient)
        let early = try await refusal { try await patient.accept(offer: late.offer) }
        guard case .NotConfirmed(let txid, let confirmations, 100) = early else { return XCTFail("\(early)") }
        XCTAssertTrue(txid.count == 64 && (1..<100).contains(confirmations), "\(early)")
        for wallet in [payer, receiver, patient] { try await wallet.shutdown() }
    }

    func testABatchThatComesToNothing() async throws {
        let wallet = try await open("wallet")
        try await regtest.pay(wallet.boardingAddress(), 10_000)
        try await regtest.mine()
        try await eventually("the coins") { try await wallet.balance().boarding == 10_000 }
        try await regtest.fault("fail-batch")
        let nothing = try await refusal { try await wallet.settle() }
        guard case .BatchFailed(let reason) = nothing, !reason.isEmpty else { return XCTFail("\(nothing)") }
        try await regtest.fault("clear")
        _ = try await wallet.settle()
        try await wallet.shutdown()
    }

    func testAReceiverThatWentAway() async throws {
        let (payer, receiver) = (try await open("payer"), try await open("receiver"))
        try await fund(payer, 100_000)
        let invite = try await receiver.createInvite(request: InviteRequest())
        let proposal = try await payer.propose(invite: invite, request: ProposeRequest(capacity: 20_000, funding: .batch))
        guard case .accepted(let accept, _) = try await receiver.accept(offer: proposal.offer) else { return XCTFail("not accepted") }
        try await receiver.shutdown()
        let alone = try await refusal { try await payer.openChannel(accept: accept) }
        guard case .NotOpened(let reason) = alone, reason.contains("nonces") else { return XCTFail("\(alone)") }
        let balance = try await payer.balance()
        XCTAssertEqual(balance.settled, 100_000)
        try await payer.shutdown()
    }

    func testFees() async throws {
        let wallet = try await open("wallet")
        try await regtest.pay(wallet.boardingAddress(), 700)
        try await regtest.mine()
        try await eventually("the coins") { try await wallet.balance().boarding == 700 }
        try await regtest.fault("set/fee/200")
        let little = try await refusal { try await wallet.settle() }
        XCTAssertEqual(little, .FeesLeaveTooLittle(fee: 400, left: 300, minimum: 330))
        try await wallet.shutdown()
    }

    /// A payment that hangs has the coin; so an opening that was agreed on before cannot have it.
    func testACoinThatIsTaken() async throws {
        let (payer, receiver) = (try await open("payer"), try await open("receiver"))
        try await fund(payer, 50_000)
        let invite = try await receiver.createInvite(request: InviteRequest())
        let proposal = try await payer.propose(invite: invite, request: ProposeRequest(capacity: 20_000, funding: .batch))
        guard case .accepted(let accept, _) = try await receiver.accept(offer: proposal.offer) else { return XCTFail("not accepted") }
        try await regtest.fault("fault/SubmitTx/drop")
        try await regtest.fault("fault/GetPendingTx/drop")
        let address = try await receiver.arkAddress()
        let unknown = try await refusal { try await payer.send(address: address, amount: 1_000) }
        guard case .OutcomeUnknown = unknown else { return XCTFail("\(unknown)") }
        let locked = try await refusal { try await payer.openChannel(accept: accept) }
        guard case .CoinLocked(let outpoint) = locked, outpoint.split(separator: ":").first?.count == 64 else { return XCTFail("\(locked)") }
        _ = try await payer.resume()
        try await eventually("the payment") { try await receiver.balance().preconfirmed == 1_000 }
        try await payer.shutdown()
        try await receiver.shutdown()
    }

    func testAnOperatorThatTalksRubbish() async throws {
        try await regtest.fault("fault/GetInfo/garbage")
        let rubbish = try await refusal { try await self.open("rubbish") }
        guard case .OperatorAnswer(let reason) = rubbish, !reason.isEmpty else { return XCTFail("\(rubbish)") }
        try await regtest.fault("set/other-checkpoint-key/1")
        let unsafe = try await refusal { try await self.open("another key") }
        guard case .OperatorAnswer(let script) = unsafe, script.contains("checkpoint script") else { return XCTFail("\(unsafe)") }
    }

    /// It takes the call and never answers.
    func testAnOperatorThatIsSilent() async throws {
        try await regtest.fault("fault/GetInfo/hang?times=9")
        let silent = try await refusal { try await self.open("silent") }
        guard case .OperatorTimeout("GetInfo", let seconds) = silent, (1...60).contains(seconds) else { return XCTFail("\(silent)") }
    }

    /// Texts that were changed on their way, behind a right checksum.
    func testTextsThatWereChanged() async throws {
        let pair = try await paid()
        let invite = try await pair.receiver.createInvite(request: InviteRequest())
        var (prefix, bytes) = try Self.read(invite)
        bytes[1] = 7
        let newer = try await refusal { [prefix, bytes] in try await pair.payer.parse(text: Self.text(prefix, bytes)) }
        XCTAssertEqual(newer, .UnknownVersion(version: 7))
        let terms = try await pair.receiver.createInvite(request: InviteRequest(offchainFunding: false))
        let request = ProposeRequest(capacity: 20_000, funding: .offchain)
        let refused = try await refusal { try await pair.payer.propose(invite: terms, request: request) }
        guard case .InvalidTerms(let reason) = refused, !reason.isEmpty else { return XCTFail("\(refused)") }
        // An offer to somebody else.
        let offer = try await pair.payer.propose(invite: invite, request: ProposeRequest(capacity: 20_000, funding: .batch)).offer
        let stranger = try await open("stranger")
        let other = try await refusal { try await stranger.accept(offer: offer) }
        XCTAssertEqual(other, .OtherInvite)

        let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "two")
        (prefix, bytes) = try Self.read(payment.text)
        var wrong: [String] = []
        for place in bytes.indices {
            var changed = bytes
            changed[place] &+= 1
            do {
                _ = try await pair.receiver.receive(payment: Self.text(prefix, changed))
            } catch WalletError.InvalidSignature(let what) {
                wrong.append(what)
            } catch is WalletError {}
        }
        XCTAssertTrue(wrong.contains { $0.contains("signature") }, "\(wrong)")
        try await pair.shutdown()
        try await stranger.shutdown()
    }

    private static func read(_ text: String) throws -> (String, [UInt8]) {
        let (prefix, groups) = try XCTUnwrap(Bech32m.split(text))
        return (prefix, Bech32m.bytes(groups))
    }

    private static func text(_ prefix: String, _ bytes: [UInt8]) -> String {
        var groups: [UInt32] = []
        var (held, bits): (UInt32, UInt32) = (0, 0)
        for byte in bytes {
            held = (held << 8 | UInt32(byte)) & 0xfff
            bits += 8
            while bits >= 5 {
                bits -= 5
                groups.append(held >> bits & 31)
            }
        }
        if bits > 0 { groups.append(held << (5 - bits) & 31) }
        return Bech32m.join(prefix, groups)
    }
}
