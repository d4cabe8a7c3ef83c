import VirtualChannels
import VirtualChannelsModel
import XCTest

/// The whole life of a channel through the screens of two phones, once undisturbed, and once with both apps killed before each step.
final class LifeCycleModelTests: ModelStory, @unchecked Sendable {
    private static let funding: Sats = 200_000
    private static let capacity: Sats = 100_000

    func testAChannelFromInviteToSettling() async throws {
        try await onMain { [self] in
            try await story(killing: false)
        }
    }

    func testBothAppsAreKilledBetweenAnyTwoSteps() async throws {
        try await onMain { [self] in
            try await story(killing: true)
        }
    }

    @MainActor
    private func story(killing: Bool) async throws {
        let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
        func between() async throws {
            guard killing else { return }
            try await payer.kill()
            try await receiver.kill()
        }
        try await fund(payer, Self.funding, between: between)
        try await between()
        let invite = try await receiver.showInvite(memo: "Coffee")
        try await between()
        if killing {
            // An offer that nobody has seen: the payer scans the invite again, and nothing is held by the first one.
            _ = try await payer.showOffer(for: invite, capacity: Self.funding, funding: .batch)
            try await between()
        }
        let offer = try await payer.showOffer(for: invite, capacity: Self.capacity, funding: .batch)
        XCTAssertNil(offer.channel)
        try await between()
        let accept = try await receiver.showAccept(of: offer.text)
        try await between()
        let channel = try await payer.open(accept: accept)
        try await between()
        try await regtest.mine()
        for phone in [payer, receiver] {
            try await eventually("the channel to be open") { try await phone.row(channel).isOpen }
        }

        var paid: Sats = 0
        for amount: Sats in [1_000, 50, 70] {
            try await between()
            let payment = try await payer.showPayment(channel, amount, memo: "a memo")
            try await between()
            let taken = try await receiver.take(payment)
            XCTAssertEqual(taken, amount)
            paid = paid + amount
            XCTAssertEqual(receiver.receiver.state.screen, .received(channel: channel, increase: amount, total: paid, memo: "a memo"))
            try await between()
            await payer.payer.scanned(try await receiver.showReceipt(channel))
            XCTAssertEqual(payer.payer.state.notice, "The receiver confirms \(paid)")
        }
        // What was on the payer's screen can be had again, and brings nothing twice.
        try await between()
        await payer.payer.showLatest(channel: channel)
        guard case .payment(_, let latest, paid, Self.capacity - paid) = payer.payer.state.screen else {
            return XCTFail("\(payer.payer.state)")
        }
        let again = try await receiver.take(latest)
        XCTAssertEqual(again, 0)

        try await between()
        await receiver.receiver.close(channel: channel)
        XCTAssertNil(receiver.receiver.state.problem)
        try await between()
        for phone in [payer, receiver] {
            let row = try await phone.row(channel)
            XCTAssertEqual(row.actions.first, .settle)
            await phone.list.act(.settle, on: channel)
            XCTAssertNil(phone.list.state.problem)
            try await between()
        }
        try await regtest.mine()
        for (phone, amount) in [(receiver, paid), (payer, Self.funding - paid)] {
            try await eventually("final money") {
                await phone.wallet.refresh()
                return phone.wallet.state.balance?.settled == amount
            }
            try await eventually("the channel's end") { try await phone.row(channel).state == "settled" }
        }
        await payer.shutdown()
        await receiver.shutdown()
    }
}
