import Foundation
import RegtestProgram
import VirtualChannels
import XCTest

/// The Swift of the guide's part on what goes wrong; as GuideTests.
final class GuideTroubleTests: ModelStory, @unchecked Sendable {
    func testWhatGoesWrongWithFiles() async throws {
        let words = try generateMnemonic()
        let receiver = try await Wallet.open(config: config("receiver"), mnemonic: generateMnemonic())
        let first = try await Wallet.open(config: config("payer"), mnemonic: words)
        let channel = try await channel(first, receiver)
        try await paid(first, receiver, channel, 1_000, "one")
        let backup = try await first.backup()
        try await first.shutdown()
        try FileManager.default.copyItem(atPath: config("payer").databasePath, toPath: config("old").databasePath)
        let later = try await Wallet.open(config: config("payer"), mnemonic: words)
        try await paid(later, receiver, channel, 500, "two")
        try await later.shutdown()

        let old = try await Wallet.open(config: config("old"), mnemonic: words)
        try await catchUp(old, receiver, channel)
        let received = try await receiver.channel(channelId: channel).amount
        XCTAssertEqual(received, 1_700)
        try await old.shutdown()
        try await restore(config("found"), words, backup, receiver, channel)
        try await exit(receiver, channel)
        try await receiver.shutdown()
    }

    func testEndingTogether() async throws {
        let payer = try await Wallet.open(config: config("payer"), mnemonic: generateMnemonic())
        let receiver = try await Wallet.open(config: config("receiver"), mnemonic: generateMnemonic())
        try await inTheForeground(receiver)
        let used = try await channel(payer, receiver)
        try await paid(payer, receiver, used, 1_000, "one")
        let txid = try await together(payer, receiver, used)
        let result = try await receiver.channel(channelId: used).resultTxid
        XCTAssertEqual(result, txid)
        let unused = try await channel(payer, receiver)
        try await givenBack(payer, receiver, unused)
        for wallet in [payer, receiver] {
            let state = try await wallet.channel(channelId: unused).state
            XCTAssertEqual(state, .closed)
            try await wallet.shutdown()
        }
    }

    /// Open at once, with coins that are brought for it.
    private func channel(_ payer: Wallet, _ receiver: Wallet) async throws -> String {
        try await regtest.pay(payer.boardingAddress(), 100_000)
        try await regtest.mine()
        try await eventually("the coins") { try await payer.balance().boarding == 100_000 }
        let before = try await payer.balance().settled
        _ = try await payer.settle()
        try await regtest.mine()
        try await eventually("the batch") { try await payer.balance().settled > before }
        let invite = try await receiver.createInvite(request: InviteRequest())
        let request = ProposeRequest(capacity: 50_000, funding: .offchain)
        let offer = try await payer.propose(invite: invite, request: request).offer
        guard case .open(let channel) = try await receiver.accept(offer: offer) else {
            throw Regtest.Failure(description: "a channel funded off chain is open at once")
        }
        return channel
    }

    private func paid(_ payer: Wallet, _ receiver: Wallet, _ channel: String, _ amount: Sats, _ name: String) async throws {
        let payment = try await payer.pay(channelId: channel, amount: amount, paymentId: name)
        _ = try await receiver.receive(payment: payment.text)
    }

    private func inTheForeground(_ wallet: Wallet) async throws {
        // guide: live
        let live = Task { try await wallet.follow() }   // as long as the app is in the foreground
        // end
        live.cancel()
        try await live.value
    }

    // guide: sentences
    func sentence(_ kind: EventKind) -> String? {
        switch kind {
        case .channelUnrolled: "A channel was put on chain. Your money follows by itself: open the app now and then"
        case .exitNeedsFees(_, let missing, let address): "Pay \(missing) to \(address): leaving on chain costs fees"
        case .exitClaimed(_, _, let amount): "\(amount) are yours on chain"
        case .channelLost(let amount, _): "\(amount) can not be claimed any more"
        case .seedUsedElsewhere: "Somebody else uses your words. If it was not you, move your money to new ones"
        default: nil                                // good news, and what passes by itself
        }
    }
    // end

    private func catchUp(_ payer: Wallet, _ receiver: Wallet, _ channel: String) async throws {
        let payment = try await payer.pay(channelId: channel, amount: 200, paymentId: "tea")
        // guide: old file
        do {
            _ = try await receiver.receive(payment: payment.text)
        } catch WalletError.Stale(_, _, let stored) {   // Forked carries the same
            let base = try await payer.catchUp(payment: stored) // the receiver shows it, the payer scans it
            guard base != payment.amount else { return }
            let again = try await payer.pay(channelId: channel, amount: 200, paymentId: "tea, again")
            _ = try await receiver.receive(payment: again.text)
        }
        // end
    }

    private func restore(
        _ config: WalletConfig, _ mnemonic: String, _ backup: String, _ receiver: Wallet, _ channel: String
    ) async throws {
        var shown: [String] = []
        func show(_ text: String) { shown.append(text) }
        // guide: restore
        let restored = try await restoreWallet(config: config, mnemonic: mnemonic, backup: backup)
        for warning in restored.report.warnings { show("\(warning)") }
        let base = try await restored.wallet.catchUp(payment: receiver.latestUpdate(channelId: channel).text)
        // end
        XCTAssertEqual(base, 1_700)
        XCTAssertEqual(shown, [])
        try await restored.wallet.shutdown()
    }

    private func exit(_ receiver: Wallet, _ channel: String) async throws {
        var shown: [String] = []
        func show(_ text: String) { shown.append(text) }
        // guide: quote
        let quote = try await receiver.exitQuote(channelId: channel)
        show("brings \(quote.net) in about \(quote.seconds / 3_600) h")
        if quote.missing > 0 { show("needs \(quote.missing) for fees at \(quote.address)") }
        // end
        // guide: exit
        let exit = try await receiver.exitChannel(channelId: channel)   // there is no way back; maintain() goes on with it
        if case .needsFees(let missing, let address)? = exit.problem { show("pay \(missing) to \(address)") }
        // end
        XCTAssertEqual(shown.map { $0.split(separator: " ").first }, ["brings", "needs", "pay"])
        let state = try await receiver.channel(channelId: channel).state
        XCTAssertEqual(state, .exiting)
        let sentences = try await receiver.pendingEvents(limit: 100).compactMap { sentence($0.kind) }
        XCTAssertTrue(sentences.contains { $0.hasPrefix("Pay ") }, "\(sentences)")
    }

    private func together(_ payer: Wallet, _ receiver: Wallet, _ channel: String) async throws -> String {
        // guide: together
        let request = try await receiver.requestClose(channelId: channel)  // good for a day; binds nobody
        let grant = try await payer.grantClose(request: request)    // its user has agreed: it pays nothing more in this channel
        let txid = try await receiver.closeWith(grant: grant)
        // end
        return txid
    }

    private func givenBack(_ payer: Wallet, _ receiver: Wallet, _ channel: String) async throws {
        // guide: given back
        let release = try await receiver.releaseChannel(channelId: channel)    // or granted, where the payer asks with requestClose
        _ = try await payer.closeWith(grant: release)
        // end
    }
}
