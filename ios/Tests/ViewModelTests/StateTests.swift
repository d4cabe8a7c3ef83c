import VirtualChannels
import XCTest

@testable import VirtualChannelsModel

/// How a screen hears of changes, and what a row says.
final class StateTests: ModelStory, @unchecked Sendable {
    func testAListenerGetsTheStateNowAndAfterEachChange() async throws {
        try await onMain { [self] in
            let phone = try await phone("payer")
            var states = phone.payer.states.makeAsyncIterator()
            let first = await states.next()
            XCTAssertEqual(first, phone.payer.state)
            await phone.payer.scanned("nonsense")
            // Only the latest one is kept for who did not listen.
            let second = await states.next()
            XCTAssertEqual(second, phone.payer.state)
            XCTAssertNotNil(second?.problem)
            await phone.shutdown()
        }
    }

    func testStatesEndWithTheModel() async throws {
        try await onMain { [self] in
            let phone = try await phone("payer")
            var model: PayerModel? = PayerModel(wallet: try XCTUnwrap(phone.wallet.wallet))
            var states = try XCTUnwrap(model?.states).makeAsyncIterator()
            _ = await states.next()
            model = nil
            let end = await states.next()
            XCTAssertNil(end)
            await phone.shutdown()
        }
    }

    func testTheListFollowsTheWallet() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let list = payer.list
            let following = Task { await list.follow() }
            try await eventually("an empty list") { list.state.rows == [] }
            let channel = try await openedOffchain(payer, receiver)
            try await eventually("the channel") { list.state.rows?.first?.id == channel }
            _ = try await payer.showPayment(channel, 1_000)
            // Nobody asked the list to look again.
            try await eventually("the payment") { list.state.rows?.first?.paid == 1_000 }
            XCTAssertEqual(list.state.rows?.first?.remaining, 49_000)
            await payer.shutdown()
            // The list ends with the wallet, and without a complaint.
            await following.value
            XCTAssertNil(list.state.problem)
            await receiver.shutdown()
        }
    }

    func testALookThatFailsHidesNoOtherChannel() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let older = try await openedOffchain(payer, receiver)
            // What the first one left becomes settled again: only such coins open another one.
            await payer.wallet.settle()
            try await regtest.mine()
            try await eventually("the rest") {
                await payer.wallet.refresh()
                return payer.wallet.state.balance?.settled == 50_000
            }
            let offer = try await payer.showOffer(for: receiver.showInvite(), capacity: 20_000, funding: .offchain)
            await receiver.receiver.scanned(offer.text)
            let younger = try XCTUnwrap(offer.channel)
            for channel in [older, younger] {
                _ = try await receiver.take(payer.showPayment(channel, 1_000))
                await receiver.receiver.close(channel: channel)
                XCTAssertNil(receiver.receiver.state.problem)
            }
            let wallet = try XCTUnwrap(payer.wallet.wallet)
            let away = WalletError.ChainUnreachable(url: regtest.esplora, reason: "it is away")
            let list = ChannelListModel(wallet: wallet) { channel in
                if channel == older { throw away }
                try await eventually("the close of the younger one") { try await wallet.watch(channelId: channel).state == .closed }
            }
            await list.refresh()
            XCTAssertEqual(list.state.problem, sentence(away))
            XCTAssertEqual(list.state.rows?.first { $0.id == younger }?.actions.first, .settle, "what was seen is shown at once")
            XCTAssertEqual(list.state.rows?.first { $0.id == older }?.isOpen, true, "nobody could look at it")
            let row = try await payer.row(older)
            XCTAssertEqual(row.actions.first, .settle)
            await payer.shutdown()
            await receiver.shutdown()
        }
    }

    func testMaintenanceOpensAChannelAndSaysWhenToComeBack() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            try await fund(payer, 100_000)
            let offer = try await payer.showOffer(for: receiver.showInvite(), capacity: 50_000, funding: .batch)
            let channel = try await payer.open(accept: receiver.showAccept(of: offer.text))
            try await regtest.mine()
            for phone in [payer, receiver] {
                try await eventually("the channel") {
                    await phone.wallet.maintain()
                    XCTAssertNil(phone.wallet.state.problem)
                    let state = try await phone.wallet.wallet?.channels().first { $0.id == channel }?.state
                    return state == .open
                }
            }
            for phone in [payer, receiver] { XCTAssertNotNil(phone.wallet.state.nextRun) }
            try await regtest.fault("operator/stop")
            await payer.wallet.maintain()
            XCTAssertNotNil(payer.wallet.state.problem)
            XCTAssertNotNil(payer.wallet.state.nextRun)
            try await regtest.fault("operator/start")
            await payer.shutdown()
            await receiver.shutdown()
        }
    }

    /// An app that goes to the background and comes back, with all its screens as they were.
    func testAnAppRestsAndWakes() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let channel = try await openedOffchain(payer, receiver)
            let list = payer.list
            let following = Task { await list.follow() }
            try await eventually("the channel") { list.state.rows?.first?.id == channel }
            _ = try await payer.showPayment(channel, 1_000)
            await payer.wallet.rest()
            await payer.wallet.rest()
            XCTAssertEqual(payer.wallet.state.phase, .resting)
            await payer.payer.pay(channel: channel, amount: 500)
            let problem = try XCTUnwrap(payer.payer.state.problem)
            XCTAssertTrue(problem.contains("database"), problem)
            await payer.wallet.wake()
            XCTAssertNil(payer.wallet.state.problem)
            XCTAssertEqual(payer.wallet.state.phase, .open)
            _ = try await payer.showPayment(channel, 500)
            // Away and back so quickly that the two overlap: the last one counts.
            // (Tasks of the main actor begin in their order; `async let` promises none.)
            let away = Task { @MainActor in await payer.wallet.rest() }
            let back = Task { @MainActor in await payer.wallet.wake() }
            await away.value
            await back.value
            XCTAssertEqual(payer.wallet.state.phase, .open)
            // The list that was followed all the time shows it.
            try await eventually("the payment") { list.state.rows?.first?.paid == 1_500 }
            XCTAssertNil(list.state.problem)
            await payer.shutdown()
            await following.value
            // Who is shut down neither rests nor wakes.
            await payer.wallet.rest()
            await payer.wallet.wake()
            XCTAssertEqual(payer.wallet.state.phase, .closed)
            await receiver.shutdown()
        }
    }

    func testEveryStateHasWordsADeadlineAndAdvice() {
        let states: [ChannelState] = [.confirming, .open, .closing, .closed, .settled, .refunding, .refunded, .exiting, .lost]
        for role in [Role.payer, .receiver] {
            for state in states {
                let row = ChannelRow(channel(role, state))
                XCTAssertFalse(row.state.isEmpty || row.next.isEmpty)
                XCTAssertEqual(row.shortId, "01234567")
                XCTAssertEqual(row.deadline == nil, [.settled, .refunded, .lost].contains(state), "\(state)")
                XCTAssertEqual(row.actions.isEmpty, [.settled, .lost].contains(state), "\(state)")
                // Only the receiver closes, and only the payer takes back.
                XCTAssertFalse(row.actions.contains(role == .payer ? .close : .refund) && state == .open)
            }
        }
        XCTAssertEqual(
            ChannelRow(channel(.payer, .open)).deadline,
            "pays until 2023-11-14 22:13 UTC, can be taken back from 2023-11-14 23:13 UTC")
        XCTAssertEqual(ChannelRow(channel(.receiver, .open, unit: .blocks)).deadline, "close before block 1700000000")
        XCTAssertEqual(Set(ChannelRow.Action.allCases.map(\.title)).count, ChannelRow.Action.allCases.count)
    }

    func testAChannelOutOfABackup() {
        let payer = ChannelRow(channel(.payer, .open, awaitsUpdate: true))
        XCTAssertEqual(payer.next, "Scan the latest payment that the receiver shows, then pay")
        XCTAssertEqual(payer.actions, [.look, .refund])
        let receiver = ChannelRow(channel(.receiver, .open, awaitsUpdate: true))
        XCTAssertEqual(receiver.next, "Scan the payer's latest payment: until then nothing in it is yours")
        XCTAssertEqual(receiver.actions, [.look])
    }

    private func channel(
        _ role: Role, _ state: ChannelState, unit: TimeUnit = .seconds, awaitsUpdate: Bool = false
    ) -> ChannelInfo {
        ChannelInfo(
            id: String(repeating: "0123456789abcdef", count: 4), role: role, state: state, fundingKind: .batch,
            funding: "\(String(repeating: "0", count: 64)):0", unit: unit, capacity: 1_000, amount: 100, highest: 100, remaining: 900,
            locktime: 1_700_003_600, expiry: 1_700_007_200, closeBy: 1_700_000_000, exitBy: 1_700_005_000, payerExitBy: 1_700_006_000,
            receiverDelay: 86_016, payerDelay: 172_032, takesMoneyUntil: nil, levels: 1, exitVbytes: 100, exitTime: 1, watchBy: nil,
            awaitsUpdate: awaitsUpdate, onClose: false, acknowledged: true, resultTxid: nil, createdAt: 1_699_999_999)
    }
}
