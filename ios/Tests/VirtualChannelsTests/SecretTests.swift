import Foundation
import VirtualChannels
import XCTest

/// No description of any public value holds a secret.
final class SecretTests: Story {
    private var seen: [String] = []

    /// Both ways in which Swift prints a value.
    @discardableResult
    private func show<T>(_ value: T) -> T {
        var dumped = ""
        dump(value, to: &dumped)
        seen += [String(describing: value), String(reflecting: value), dumped]
        return value
    }

    func testNoSecretInAnyDescription() async throws {
        let receiver = try await show(open("receiver", mnemonic: Secrets.mnemonic))
        let payer = show(try await Wallet.open(config: show(config("payer")), mnemonic: Secrets.mnemonic))
        show(try await payer.boardingAddress())
        show(try await payer.arkAddress())
        try await fund(payer, 200_000)
        show(try await payer.balance())
        let invite = show(try await receiver.createInvite(request: show(InviteRequest(memo: "memo"))))
        let request = show(ProposeRequest(capacity: 100_000, funding: .offchain))
        show(try await payer.quoteOpen(invite: invite, request: request))
        let proposal = show(try await payer.propose(invite: invite, request: request))
        guard case .open(let channel) = show(try await receiver.accept(offer: proposal.offer)) else { return XCTFail("not open") }
        let payment = show(try await payer.pay(channelId: channel, amount: 1_000, paymentId: "1", memo: "memo"))
        show(try await receiver.receive(payment: payment.text))
        show(try await receiver.receiveMany(payments: [payment.text, "rubbish"]))
        let receipt = show(try await receiver.receipt(channelId: channel, memo: "memo"))
        for text in [invite, proposal.offer, payment.text, receipt] { show(try await payer.parse(text: text)) }
        show(try await payer.channels())
        show(try await receiver.channels())
        show(try await payer.watch(channelId: channel))
        show(try await receiver.closeChannel(channelId: channel))
        show(try await receiver.quoteSettle())
        show(try await receiver.settle())
        show(try await receiver.resume())
        for wallet in [payer, receiver] { show(try await wallet.pendingEvents(limit: 100)) }
        for error in WalletErrors.all { show(error) }

        // Errors of calls that have a secret in their hands.
        for words in [Secrets.mnemonic + " about", String(Secrets.mnemonic.dropLast(5)) + "abandon"] {
            show(try await refusal { try await Wallet.open(config: self.config("third"), mnemonic: words) })
        }
        show(try await refusal { try await Wallet.open(config: self.config("payer"), mnemonic: generateMnemonic()) })
        show(try await refusal { try await payer.parse(text: Secrets.mnemonic) })
        show(try await refusal { try await payer.pay(channelId: Secrets.mnemonic, amount: 1, paymentId: "2") })

        XCTAssertGreaterThan(seen.count, 250)
        let found = seen.flatMap { text in Secrets.found(in: text).map { "\($0) in \(text.prefix(200))" } }
        XCTAssertEqual(found, [])
        try await payer.shutdown()
        try await receiver.shutdown()
    }

    /// The test above can find something.
    func testASecretWouldBeFound() {
        XCTAssertEqual(Secrets.found(in: "mnemonic: \(Secrets.mnemonic)").sorted(), ["the mnemonic", "two words"])
    }
}
