import Foundation
import VirtualChannels
import XCTest

/// The Swift of docs/guide.md, which runs here. `guide:` begins a piece and `end` ends it; GuideTextTests looks whether the guide has it
/// as it is here.
final class GuideTests: ModelStory, @unchecked Sendable {
    private static let capacity: Sats = 50_000

    func testTheGuide() async throws {
        let payer = try await openWallet(folder: folder.appendingPathComponent("payer"))
        let receiver = try await openWallet(folder: folder.appendingPathComponent("receiver"))
        try await fundWallet(payer)

        let invite = try await createInvite(receiver)
        let offer = try await proposeChannel(payer, invite)
        let accept = try await acceptOffer(receiver, offer)
        let channel = try await openChannel(payer, accept)
        for wallet in [payer, receiver] {
            try await eventually("the channel") { try await wallet.watch(channelId: channel).state == .open }
        }
        let text = try await pay(payer, channel)
        try await receive(receiver, text)
        try await receipts(payer, receiver, channel)
        try await refused(payer, channel)
        try await backgroundWork(payer)
        try await close(receiver, channel)
        let state = try await receiver.channel(channelId: channel).state
        XCTAssertTrue([.closed, .settled].contains(state))
        try await payer.shutdown()
        try await receiver.shutdown()
    }

    private func openWallet(folder: URL) async throws -> Wallet {
        let (operatorUrl, esploraUrl) = (regtest.operator, regtest.esplora)
        // guide: open
        let files = try WalletFiles(folder: folder)     // kept out of backups; WalletFiles.standard() is the usual place
        let mnemonic = try generateMnemonic()           // the first time; then from the Keychain
        let config = WalletConfig(
            databasePath: files.database.path, network: .regtest, operatorUrl: operatorUrl, esploraUrl: esploraUrl)
        let wallet = try await Wallet.open(config: config, mnemonic: mnemonic)
        _ = try await wallet.resume()                   // goes on with whatever was interrupted
        // end
        return wallet
    }

    private func fundWallet(_ wallet: Wallet) async throws {
        let pay = regtest.pay
        // guide: fund
        let address = try await wallet.boardingAddress()
        try await pay(address, 100_000)
        // end
        try await regtest.mine()
        try await eventually("the coins") { try await wallet.balance().boarding == 100_000 }
        // guide: settle
        let settlement = try await wallet.settle()      // as long as the operator's next batch takes
        print("\(settlement.amount) in the batch \(settlement.commitmentTxid), fee \(settlement.fee)")
        // end
        try await regtest.mine()
        try await eventually("the batch") { try await wallet.balance().settled == settlement.amount }
    }

    private func createInvite(_ receiver: Wallet) async throws -> String {
        // guide: invite
        let invite = try await receiver.createInvite(request: InviteRequest(memo: "Coffee"))
        // end
        return invite
    }

    private func proposeChannel(_ payer: Wallet, _ invite: String) async throws -> String {
        // guide: propose
        guard case .invite(let memo, let minimum, let maximum, _) = try await payer.parse(text: invite) else { return "" }
        let request = ProposeRequest(capacity: 50_000, funding: .batch)
        let quote = try await payer.quoteOpen(invite: invite, request: request)
        print("\(memo ?? ""): from \(minimum) to \(maximum); fee \(quote.fee)", quote.trust)
        let proposal = try await payer.propose(invite: invite, request: request)
        // end
        XCTAssertEqual(memo, "Coffee")
        return proposal.offer
    }

    private func acceptOffer(_ receiver: Wallet, _ offer: String) async throws -> String {
        // guide: accept
        switch try await receiver.accept(offer: offer) {
        case .accepted(let accept, let validUntil):     // a batch: hand it to the payer at once, and stay online
            print("good until \(validUntil)")
            return accept
        case .open(let channel):                        // funded off chain: it takes payments already
            return channel
        }
        // end
    }

    private func openChannel(_ payer: Wallet, _ accept: String) async throws -> String {
        // guide: openChannel
        let channel = try await payer.openChannel(accept: accept)
        // end
        try await regtest.mine()
        return channel
    }

    private func pay(_ payer: Wallet, _ channel: String) async throws -> String {
        let order = "order 17"
        // guide: pay
        let payment = try await payer.pay(channelId: channel, amount: 1_000, paymentId: order, memo: "a croissant")
        let qr = payment.text.uppercased()              // upper case makes the smaller QR code
        // end
        let again = try await payer.pay(channelId: channel, amount: 1_000, paymentId: order, memo: "a croissant")
        XCTAssertTrue(again.repeated)
        return qr
    }

    private func receive(_ receiver: Wallet, _ text: String) async throws {
        // guide: receive
        let received = try await receiver.receive(payment: text)
        print("\(received.increase) came in, \(received.amount) so far: \(received.memo ?? "")")
        // end
        XCTAssertEqual(received.increase, 1_000)
    }

    private func receipts(_ payer: Wallet, _ receiver: Wallet, _ channel: String) async throws {
        // guide: receipt
        let receipt = try await receiver.receipt(channelId: channel)
        try await payer.acknowledge(receipt: receipt)
        // end
    }

    private func refused(_ payer: Wallet, _ channel: String) async throws {
        var shown: [String] = []
        func show(_ text: String) { shown.append(text) }
        // guide: errors
        do {
            _ = try await payer.refund(channelId: channel)
        } catch WalletError.LocktimeNotReached(_, let locktime, let now) {
            show("not before \(locktime), it is \(now)")
        } catch let error as WalletError {
            show(error.localizedDescription)            // a sentence with all figures
        }
        // end
        XCTAssertEqual(shown.count, 1)
        XCTAssertTrue(shown.first?.hasPrefix("not before") == true, "\(shown)")
    }

    private func backgroundWork(_ wallet: Wallet) async throws {
        var (shown, scheduled): ([String], [Date]) = ([], [])
        func show(_ text: String) { shown.append(text) }
        func schedule(_ date: Date) { scheduled.append(date) }
        // guide: maintain
        let report = try await wallet.maintain()
        for failed in report.errors { show(failed.error.localizedDescription) }
        if let next = report.nextRun { schedule(Date(timeIntervalSince1970: TimeInterval(next))) }
        // end
        XCTAssertEqual(shown, [])
        // An open channel has a locktime ahead.
        XCTAssertEqual(scheduled.count, 1)
        // guide: lease
        try await wallet.releaseDatabase()              // the app goes to the background: no lock, no open file
        try await wallet.reopenDatabase()               // it comes back
        _ = try await wallet.resume()
        // end
    }

    private func close(_ receiver: Wallet, _ channel: String) async throws {
        // guide: close
        let txid = try await receiver.closeChannel(channelId: channel)
        let settlement = try await receiver.settle()    // from the batch's confirmation on the money is final
        // end
        XCTAssertEqual(txid.count, 64)
        XCTAssertEqual(settlement.amount, 1_000)
    }
}
