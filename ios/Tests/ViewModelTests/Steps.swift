import RegtestProgram
import VirtualChannels
import VirtualChannelsModel
import XCTest

/// The steps of the story as people do them: what one screen shows, the other phone scans. Each answers what is on the screen then.
@MainActor
extension Phone {
    func showInvite(memo: String? = nil) async throws -> String {
        await receiver.invite(memo: memo)
        guard case .invite(let text) = receiver.state.screen else { throw unexpected(receiver) }
        return text
    }

    func showOffer(for invite: String, capacity: Sats, funding: FundingChoice) async throws -> (text: String, channel: String?) {
        await payer.scanned(invite)
        await payer.quote(capacity: capacity, funding: funding)
        guard case .invite(_, capacity, let quote?) = payer.state.screen else { throw unexpected(payer) }
        XCTAssertEqual(quote.amount, capacity)
        XCTAssertFalse(quote.trust.isEmpty)
        XCTAssertNotNil(payer.state.closeBy)
        await payer.propose(funding: funding)
        guard case .offer(let text, let channel) = payer.state.screen else { throw unexpected(payer) }
        return (text, channel)
    }

    func showAccept(of offer: String) async throws -> String {
        await receiver.scanned(offer)
        guard case .accept(let text, _) = receiver.state.screen else { throw unexpected(receiver) }
        return text
    }

    func open(accept: String) async throws -> String {
        await payer.scanned(accept)
        guard case .opened(let channel) = payer.state.screen else { throw unexpected(payer) }
        return channel
    }

    /// Pays and shows the payment; the next one is another one.
    func showPayment(_ channel: String, _ amount: Sats, memo: String? = nil) async throws -> String {
        await payer.pay(channel: channel, amount: amount, memo: memo)
        guard case .payment(channel, let text, _, _) = payer.state.screen else { throw unexpected(payer) }
        payer.next()
        return text
    }

    /// Scans a payment; answers what it brought.
    func take(_ payment: String) async throws -> Sats {
        await receiver.scanned(payment)
        guard case .received(_, let increase, _, _) = receiver.state.screen else { throw unexpected(receiver) }
        return increase
    }

    func showReceipt(_ channel: String) async throws -> String {
        await receiver.receipt(channel: channel)
        guard case .receipt(let text) = receiver.state.screen else { throw unexpected(receiver) }
        return text
    }

    private func unexpected<State: ScreenState>(_ model: Model<State>) -> Regtest.Failure {
        Regtest.Failure(description: model.state.problem ?? "the screen shows \(model.state)")
    }
}

extension ModelStory {
    /// A channel funded off chain: open at once.
    @MainActor
    func openedOffchain(_ payer: Phone, _ receiver: Phone, capacity: Sats = 50_000) async throws -> String {
        try await fund(payer, capacity * 2)
        let invite = try await receiver.showInvite()
        let offer = try await payer.showOffer(for: invite, capacity: capacity, funding: .offchain)
        await receiver.receiver.scanned(offer.text)
        let channel = try XCTUnwrap(offer.channel)
        XCTAssertEqual(receiver.receiver.state.screen, .opened(channel: channel))
        return channel
    }
}
