import Foundation
import VirtualChannels
import XCTest

/// Errors as an app gets them: provoked through the API, with their fields.
///
/// Others are provoked where their story is: LocktimeNotReached in LifeCycleTests, the database's in DatabaseTests and SuspensionTests, the
/// servers' in OperatorTests, those of time in ClockTests, those of an operator that does wrong in FaultTests. What no test can bring about
/// is listed in ErrorTextTests, which checks that the list is true.
final class ErrorTests: Story {
    private let noChannel = String(repeating: "00", count: 32)

    func testTexts() async throws {
        let wallet = try await open("wallet")
        let invite = try await wallet.createInvite(request: InviteRequest())
        let unreadable = try await refusal { try await wallet.parse(text: "hello") }
        guard case .InvalidText(let reason) = unreadable, !reason.isEmpty else { return XCTFail("\(unreadable)") }
        let wrong = try await refusal { try await wallet.accept(offer: invite) }
        guard case .WrongMessage(let expected, let got) = wrong else { return XCTFail("\(wrong)") }
        XCTAssertTrue(expected.contains("offer") && got.contains("invite"), "\(wrong)")
        let address = try await refusal { try await wallet.send(address: "bc1qnothing", amount: 1_000) }
        XCTAssertEqual(address, .InvalidAddress)
        let id = try await refusal { try await wallet.channel(channelId: self.noChannel) }
        XCTAssertEqual(id, .NotFound)
        try await wallet.shutdown()
    }

    func testMoney() async throws {
        let wallet = try await open("wallet")
        let address = try await open("other").arkAddress()
        let empty = try await refusal { try await wallet.settle() }
        XCTAssertEqual(empty, .NothingToSettle)
        let poor = try await refusal { try await wallet.send(address: address, amount: 5_000) }
        XCTAssertEqual(poor, .InsufficientFunds(needed: 5_000, available: 0))
        let small = try await refusal { try await wallet.send(address: address, amount: 1) }
        guard case .AmountTooSmall(1, let minimum) = small else { return XCTFail("\(small)") }
        XCTAssertGreaterThan(minimum, 1)
        try await wallet.shutdown()
    }

    func testOpening() async throws {
        let payer = try await open("payer")
        let receiver = try await open("receiver")
        try await fund(payer, 200_000)
        let bounded = try await receiver.createInvite(request: InviteRequest(minCapacity: 20_000, maxCapacity: 30_000))
        for capacity: Sats in [10_000, 40_000] {
            let outside = try await refusal {
                try await payer.propose(invite: bounded, request: ProposeRequest(capacity: capacity, funding: .batch))
            }
            XCTAssertEqual(outside, .CapacityOutOfBounds(capacity: capacity, minimum: 20_000, maximum: 30_000))
        }
        let impossible = try await refusal {
            try await receiver.createInvite(request: InviteRequest(minCapacity: 30_000, maxCapacity: 20_000))
        }
        XCTAssertEqual(impossible, .AmountTooLarge(amount: 30_000, maximum: 20_000))
        let long = try await receiver.createInvite(request: InviteRequest(minLifetime: 50_000))
        let short = ProposeRequest(capacity: 20_000, funding: .batch, lifetime: 30_000)
        let early = try await refusal { try await payer.propose(invite: long, request: short) }
        guard case .LocktimeOutOfBounds(let ahead, 50_000, let maximum) = early else { return XCTFail("\(early)") }
        XCTAssertTrue((29_000...30_000).contains(ahead) && maximum > 50_000, "\(early)")
        let none = ProposeRequest(capacity: 20_000, funding: .batch, lifetime: 1)
        let over = try await refusal { try await payer.propose(invite: bounded, request: none) }
        guard case .DeadlinesDoNotFit(let locktime, let expiry, let closeBy, let now) = over else { return XCTFail("\(over)") }
        XCTAssertTrue(closeBy < now && now < locktime && locktime < expiry, "\(over)")

        // The first offer uses the invite up.
        let invite = try await receiver.createInvite(request: InviteRequest())
        let request = ProposeRequest(capacity: 20_000, funding: .batch)
        let first = try await payer.propose(invite: invite, request: request)
        let second = try await payer.propose(invite: invite, request: ProposeRequest(capacity: 21_000, funding: .batch))
        _ = try await receiver.accept(offer: first.offer)
        let used = try await refusal { try await receiver.accept(offer: second.offer) }
        XCTAssertEqual(used, .InviteUsed)
        // A preconfirmed coin does not fund a channel off chain.
        let poor = try await open("poor")
        _ = try await payer.send(address: poor.arkAddress(), amount: 50_000)
        try await eventually("the coin") { try await poor.balance().preconfirmed == 50_000 }
        let another = try await receiver.createInvite(request: InviteRequest())
        let unsettled = try await refusal {
            try await poor.propose(invite: another, request: ProposeRequest(capacity: 20_000, funding: .offchain))
        }
        guard case .NeedsSettledVtxos(let limit) = unsettled, limit > 0 else { return XCTFail("\(unsettled)") }
        for wallet in [payer, receiver, poor] { try await wallet.shutdown() }
    }

    func testAPreconfirmedChannelThatIsTooLarge() async throws {
        let payer = try await open("payer")
        let usual = config("receiver")
        let config = WalletConfig(
            databasePath: usual.databasePath, network: usual.network, operatorUrl: usual.operatorUrl, esploraUrl: usual.esploraUrl,
            maxPreconfirmed: 10_000)
        let receiver = try await Wallet.open(config: config, mnemonic: generateMnemonic())
        try await fund(payer, 100_000)
        let invite = try await receiver.createInvite(request: InviteRequest())
        let proposal = try await payer.propose(invite: invite, request: ProposeRequest(capacity: 20_000, funding: .offchain))
        let large = try await refusal { try await receiver.accept(offer: proposal.offer) }
        XCTAssertEqual(large, .PreconfirmedTooLarge(capacity: 20_000, limit: 10_000))
        try await payer.shutdown()
        try await receiver.shutdown()
    }

    func testPaying() async throws {
        let pair = try await pair()
        let (payer, receiver, channel) = (pair.payer, pair.receiver, pair.channel)
        let nothing = try await refusal { try await payer.latestUpdate(channelId: channel) }
        XCTAssertEqual(nothing, .NothingPaid)
        let zero = try await refusal { try await payer.pay(channelId: channel, amount: 0, paymentId: "0") }
        XCTAssertEqual(zero, .ZeroPayment)
        let dust = try await refusal { try await payer.pay(channelId: channel, amount: 1, paymentId: "1") }
        guard case .ImpossibleAmount(1, Pair.capacity, nil, let above?) = dust else { return XCTFail("\(dust)") }
        XCTAssertGreaterThan(above, 1)
        let much = try await refusal { try await payer.pay(channelId: channel, amount: Pair.capacity + 1, paymentId: "2") }
        XCTAssertEqual(much, .OverCapacity(amount: Pair.capacity + 1, capacity: Pair.capacity))
        for id in ["", String(repeating: "x", count: 1_000)] {
            let bad = try await refusal { try await payer.pay(channelId: channel, amount: 1_000, paymentId: id) }
            guard case .InvalidPaymentId(let limit) = bad, limit > 0 else { return XCTFail("\(bad)") }
        }
        let role = try await refusal { try await receiver.pay(channelId: channel, amount: 1_000, paymentId: "3") }
        XCTAssertEqual(role, .WrongRole(channelId: channel, role: .receiver))
        let info = try await payer.channel(channelId: channel)
        XCTAssertEqual(info.amount, 0)
        try await pair.shutdown()
    }

    func testStaleAndForked() async throws {
        let mnemonic = try generateMnemonic()
        let pair = try await pair(mnemonic: mnemonic)
        let (receiver, channel) = (pair.receiver, pair.channel)
        let first = try await pair.payer.pay(channelId: channel, amount: 1_000, paymentId: "1")
        _ = try await receiver.receive(payment: first.text)
        // An old copy of the database comes back, as from a backup that should not have been made.
        try await pair.payer.shutdown()
        let path = config("payer").databasePath
        try FileManager.default.copyItem(atPath: path, toPath: path + ".copy")
        var payer = try await open("payer", mnemonic: mnemonic)
        let second = try await payer.pay(channelId: channel, amount: 500, paymentId: "2")
        _ = try await receiver.receive(payment: second.text)
        let stale = try await refusal { try await receiver.receive(payment: first.text) }
        guard case .Stale(1_000, 1_500, let stored) = stale else { return XCTFail("\(stale)") }
        try await payer.shutdown()
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.moveItem(atPath: path + ".copy", toPath: path)
        payer = try await open("payer", mnemonic: mnemonic)
        let fork = try await payer.pay(channelId: channel, amount: 700, paymentId: "3")
        let forked = try await refusal { try await receiver.receive(payment: fork.text) }
        guard case .Forked(1_700, 1_000, 1_500, stored) = forked else { return XCTFail("\(forked)") }
        // Both carry what the payer needs to catch up.
        let base = try await payer.catchUp(payment: stored)
        XCTAssertGreaterThanOrEqual(base, 1_500)
        let again = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "4")
        let received = try await receiver.receive(payment: again.text)
        XCTAssertEqual(received.amount, again.amount)
        try await payer.shutdown()
        try await receiver.shutdown()
    }

    func testStates() async throws {
        let pair = try await pair()
        let (payer, receiver, channel) = (pair.payer, pair.receiver, pair.channel)
        let payment = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "1")
        _ = try await receiver.receive(payment: payment.text)
        try await payer.acknowledge(receipt: receiver.receipt(channelId: channel))
        let late = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "2")
        let many = try await refusal { try await receiver.receiveMany(payments: Array(repeating: late.text, count: 10_001)) }
        XCTAssertEqual(many, .TooMany(limit: 10_000))
        let txid = try await receiver.closeChannel(channelId: channel)
        let receiving = try await refusal { try await receiver.receive(payment: late.text) }
        guard case .WrongState(channel, .closed, let what) = receiving, !what.isEmpty else { return XCTFail("\(receiving)") }
        // The payer learns of it when it wants its money back.
        let locktime = try await payer.channel(channelId: channel).locktime
        let now = UInt64(Date().timeIntervalSince1970)
        try await regtest.mine(11, afterSeconds: Int(locktime - now) + 3_600)
        let refund = try await refusal { try await payer.refund(channelId: channel) }
        XCTAssertEqual(refund, .AlreadySpent(channelId: channel, spentBy: txid))
        try await pair.shutdown()
    }

    func testOpeningAWallet() async throws {
        let usual = config("wallet")
        for url in ["", "hello", "ftp://127.0.0.1"] {
            let config = WalletConfig(
                databasePath: usual.databasePath, network: .regtest, operatorUrl: url, esploraUrl: usual.esploraUrl)
            let error = try await refusal { try await Wallet.open(config: config, mnemonic: generateMnemonic()) }
            guard case .InvalidUrl(url, let reason) = error, !reason.isEmpty else { return XCTFail("\(error)") }
        }
        let config = WalletConfig(
            databasePath: usual.databasePath, network: .bitcoin, operatorUrl: usual.operatorUrl, esploraUrl: usual.esploraUrl)
        let network = try await refusal { try await Wallet.open(config: config, mnemonic: generateMnemonic()) }
        guard case .WrongNetwork(let expected, let got) = network else { return XCTFail("\(network)") }
        XCTAssertTrue(expected.contains("bitcoin") && got.contains("regtest"), "\(network)")
        let wallet = try await open("wallet")
        try await wallet.shutdown()
        let closed = try await refusal { try await wallet.balance() }
        XCTAssertEqual(closed, .Closed)
    }
}
