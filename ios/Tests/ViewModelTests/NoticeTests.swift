import VirtualChannels
import XCTest

@testable import VirtualChannelsModel

/// What a person must act upon stays on the screen until it is dismissed, and everything else is shown by itself.
final class NoticeTests: ModelStory, @unchecked Sendable {
    func testNoticesStayUntilTheyAreDismissed() async throws {
        try await onMain { [self] in
            let (phone, friend) = (try await phone("phone"), try await phone("friend"))
            let channel = try await openedOffchain(phone, friend)
            let wallet = try XCTUnwrap(phone.wallet.wallet)
            var following = Task { [model = phone.wallet] in await model.follow(pollSeconds: 1) }
            // Leaving on chain without coins for its fees.
            let address = try await wallet.onchainAddress()
            let exit = try await wallet.exitChannel(channelId: channel)
            try await eventually("the notice") { !phone.wallet.state.notices.isEmpty }
            let fees = try XCTUnwrap(phone.wallet.state.notices.first)
            guard case .exitNeedsFees(exit.outpoint, let missing, address) = fees.kind else { return XCTFail("\(fees)") }
            XCTAssertEqual(fees.channelId, channel)
            XCTAssertEqual(fees.fees, Notice.Fees(missing: missing, address: address))
            XCTAssertTrue(fees.text.contains(address) && fees.text.contains("\(missing)"), fees.text)
            // Leaving with what it has besides is told although the first one waits.
            _ = try await wallet.exitCoins()
            try await eventually("the second notice") { phone.wallet.state.notices.count == 2 }
            guard case .exitNeedsFees(let coin, _, address) = phone.wallet.state.notices[1].kind, coin != exit.outpoint else {
                return XCTFail("\(phone.wallet.state.notices)")
            }

            // The app is ended: they come again, and only what was dismissed does not.
            let shown = phone.wallet.state.notices
            following.cancel()
            await following.value
            await phone.shutdown()
            try await phone.kill()
            XCTAssertEqual(phone.wallet.state.notices, [])
            following = Task { [model = phone.wallet] in await model.follow(pollSeconds: 1) }
            try await eventually("both notices") { phone.wallet.state.notices == shown }
            await phone.wallet.dismiss(fees)
            XCTAssertEqual(phone.wallet.state.notices, [shown[1]])
            // Twice does no harm.
            await phone.wallet.dismiss(fees)
            XCTAssertNil(phone.wallet.state.problem)
            await phone.shutdown()
            // A wallet that is shut down is the end, and no complaint.
            await following.value
            XCTAssertNil(phone.wallet.state.problem)
            try await phone.kill()
            let waiting = try await XCTUnwrap(phone.wallet.wallet).pendingEvents(limit: 100).compactMap(\.token)
            XCTAssertEqual(waiting, [shown[1].id], "nothing else waits: the rest was dealt with")
            await phone.shutdown()
            await friend.shutdown()
        }
    }

    func testAnotherPhoneWithTheSameWords() async throws {
        try await onMain { [self] in
            let words = try generateMnemonic()
            let (phone, friend) = (Phone(config("phone"), mnemonic: words), try await phone("friend"))
            try await phone.open()
            let other = try await Wallet.open(config: config("other"), mnemonic: words)
            // The model shows a boarding address first; keys are counted.
            _ = try await other.boardingAddress()
            let (address, back) = (try await other.arkAddress(), try await XCTUnwrap(friend.wallet.wallet).arkAddress())
            // Each watches the addresses that it has shown.
            let same = try await phone.wallet.wallet?.arkAddress()
            XCTAssertEqual(same, address)
            try await fund(friend, 60_000)
            _ = try await friend.wallet.wallet?.send(address: address, amount: 20_000)
            try await eventually("the coin") {
                await phone.wallet.refresh()
                let there = try await other.balance().preconfirmed
                return phone.wallet.state.balance?.preconfirmed == 20_000 && there == 20_000
            }
            let txid = try await other.send(address: back, amount: 5_000)
            let following = Task { [model = phone.wallet] in await model.follow() }
            try await eventually("the notice") {
                await phone.wallet.refresh()
                return !phone.wallet.state.notices.isEmpty
            }
            let notice = phone.wallet.state.notices[0]
            guard case .seedUsedElsewhere(_, txid) = notice.kind else { return XCTFail("\(notice)") }
            XCTAssertTrue(notice.text.contains("words"), notice.text)
            XCTAssertNil(notice.fees)
            await phone.wallet.dismiss(notice)
            XCTAssertEqual(phone.wallet.state.notices, [])
            for model in [phone.wallet, friend.wallet] { await model.shutdown() }
            await following.value
            try await other.shutdown()
        }
    }

    /// What cannot be had from a regtest in a moment.
    func testWhichEventsAreNotices() {
        func notice(_ kind: EventKind, token: String? = "e:1") -> Notice? {
            Notice(Event(token: token, channelId: "channel", kind: kind))
        }
        let lost = notice(.channelLost(amount: 7_000, spentBy: "txid"))
        XCTAssertEqual(lost?.kind, .channelLost(amount: 7_000, spentBy: "txid"))
        XCTAssertEqual(lost?.channelId, "channel")
        XCTAssertTrue(lost?.text.contains("\(Sats(7_000))") == true)
        XCTAssertNil(lost?.fees)
        XCTAssertNil(notice(.channelLost(amount: 7_000, spentBy: "txid"), token: nil))
        for passing: EventKind in [
            .channelFunded, .channelOpened, .channelUnrolled, .channelClosed(txid: "txid"), .channelRefunded(txid: "txid"),
            .paymentReceived(amount: 1, increase: 1), .paymentSent(amount: 1, increase: 1),
            .exitClaimed(outpoint: "txid:0", txid: "txid", amount: 1), .openingFailed(offerId: "offer", reason: "reason"),
        ] { XCTAssertNil(notice(passing), "\(passing)") }
    }

    func testItLooksAgainWhenSomethingHappens() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let channel = try await openedOffchain(payer, receiver)
            let following = Task { [model = payer.wallet] in await model.follow(pollSeconds: 1) }
            let list = Task { [list = payer.list] in await list.follow() }
            _ = try await receiver.take(try await payer.showPayment(channel, 1_000))
            // Nobody presses anything on the payer's phone from here on.
            try await eventually("the balance") { payer.wallet.state.balance?.inChannels == 49_000 }
            await payer.wallet.rest()
            await payer.wallet.wake()
            await receiver.receiver.close(channel: channel)
            XCTAssertNil(receiver.receiver.state.problem)
            try await eventually("the close") { payer.list.state.rows?.first?.actions.first == .settle }
            try await eventually("the money that is left") { payer.wallet.state.balance?.inChannels == 0 }
            XCTAssertEqual(payer.wallet.state.notices, [], "good news are no notices")
            // Cancelled it ends, and nothing is held back.
            following.cancel()
            await following.value
            await payer.shutdown()
            await list.value
            XCTAssertNil(payer.wallet.state.problem)
            await receiver.shutdown()
        }
    }
}
