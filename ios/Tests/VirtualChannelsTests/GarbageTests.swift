import Foundation
import VirtualChannels
import XCTest

/// Whatever a scanner reads, it is refused with an error, at once, and nothing is changed by it.
final class GarbageTests: Story {
    private static let mutations: UInt64 = 1_000

    func testAThousandMutationsOfEachKindOfMessage() async throws {
        let pair = try await pair()
        let (payer, receiver, channel) = (pair.payer, pair.receiver, pair.channel)
        let invite = try await receiver.createInvite(request: InviteRequest(memo: "memo"))
        let proposal = try await payer.propose(invite: invite, request: ProposeRequest(capacity: 50_000, funding: .batch))
        let other = try await receiver.createInvite(request: InviteRequest())
        guard case .accepted(let accept, _) = try await receiver.accept(offer: proposal.offer) else { return XCTFail("not accepted") }
        let payment = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "1", memo: "memo").text
        _ = try await receiver.receive(payment: payment)
        let short = try await payer.pay(channelId: channel, amount: 10, paymentId: "2").text
        let receipt = try await receiver.receipt(channelId: channel)
        let before = try await [payer.channel(channelId: channel), receiver.channel(channelId: channel)]

        let request = ProposeRequest(capacity: 50_000, funding: .batch)
        try await mutate(other, payer) { _ = try await payer.propose(invite: $0, request: request) }
        try await mutate(proposal.offer, receiver) { _ = try await receiver.accept(offer: $0) }
        try await mutate(accept, payer) { _ = try await payer.openChannel(accept: $0) }
        try await mutate(payment, receiver) { _ = try await receiver.receive(payment: $0) }
        try await mutate(short, receiver) { _ = try await receiver.receive(payment: $0) }
        try await mutate(receipt, payer) { try await payer.acknowledge(receipt: $0) }

        let after = try await [payer.channel(channelId: channel), receiver.channel(channelId: channel)]
        XCTAssertEqual(before, after)
        let received = try await receiver.receive(payment: short)
        XCTAssertEqual(received.amount, 1_010)
        try await payer.acknowledge(receipt: receiver.receipt(channelId: channel))
        try await pair.shutdown()
    }

    func testRubbishInEveryText() async throws {
        let wallet = try await open("wallet")
        let rubbish = ["", " ", "\u{0}", "🙂", "ü", "-1", "null", "../../etc/passwd", "'; DROP TABLE channels; --", "%s%n%x"]
            + [String(repeating: "0", count: 63), String(repeating: "g", count: 64), String(repeating: "a", count: 1_000_000)]
        for text in rubbish {
            for call in Self.calls(wallet, text) {
                do {
                    try await call.1()
                    XCTFail("\(call.0) took \(text.prefix(30))")
                } catch is WalletError {}
            }
        }
        try await wallet.shutdown()
    }

    private static func calls(_ wallet: Wallet, _ text: String) -> [(String, () async throws -> Void)] {
        [
            ("parse", { _ = try await wallet.parse(text: text) }),
            ("send", { _ = try await wallet.send(address: text, amount: 1_000) }),
            ("withdraw", { _ = try await wallet.withdraw(address: text, amount: 1_000) }),
            ("offer", { _ = try await wallet.offer(channelId: text) }),
            ("cancelProposal", { try await wallet.cancelProposal(offerId: text) }),
            ("pay", { _ = try await wallet.pay(channelId: text, amount: 1_000, paymentId: "1") }),
            ("latestUpdate", { _ = try await wallet.latestUpdate(channelId: text) }),
            ("reauthorise", { _ = try await wallet.reauthorise(channelId: text) }),
            ("catchUp", { _ = try await wallet.catchUp(payment: text) }),
            ("receipt", { _ = try await wallet.receipt(channelId: text) }),
            ("closeChannel", { _ = try await wallet.closeChannel(channelId: text) }),
            ("refund", { _ = try await wallet.refund(channelId: text) }),
            ("watch", { _ = try await wallet.watch(channelId: text) }),
            ("channel", { _ = try await wallet.channel(channelId: text) }),
            ("acknowledgeEvent", { try await wallet.acknowledgeEvent(token: text) }),
        ]
    }

    /// Gives a thousand mutations of a message to the scanner, and to the call that takes such a message.
    private func mutate(_ message: String, _ scanner: Wallet, _ take: (String) async throws -> Void) async throws {
        let meaning = try await scanner.parse(text: message)
        var refused = 0
        for seed in 0..<Self.mutations {
            let mutation = Self.mutation(of: message, seed)
            do {
                let parsed = try await scanner.parse(text: mutation)
                // White space around it or other case: the same message.
                XCTAssertEqual(parsed, meaning, "seed \(seed)")
                continue
            } catch is WalletError {}
            do {
                try await take(mutation)
                XCTFail("seed \(seed): taken, though the scanner refused it")
            } catch is WalletError {
                refused += 1
            }
        }
        XCTAssertGreaterThan(refused, Int(Self.mutations) * 9 / 10, "hardly anything was mutated")
    }

    private static func mutation(of message: String, _ seed: UInt64) -> String {
        var random = Seeded(seed)
        var characters = Array(message)
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let place = Int.random(in: 0..<max(characters.count, 1), using: &random)
            let alphabet = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7lbio1BQ-_ \u{0}ü🙂")
            let letter = alphabet[Int.random(in: 0..<alphabet.count, using: &random)]
            switch Int.random(in: 0..<7, using: &random) {
            case 0 where !characters.isEmpty: characters[place] = letter
            case 1: characters.insert(letter, at: min(place, characters.count))
            case 2 where !characters.isEmpty: characters.remove(at: place)
            case 3: characters = Array(characters.prefix(place))
            case 4: characters += characters.suffix(place)
            case 5 where characters.count > 1: characters.swapAt(place, Int.random(in: 0..<characters.count, using: &random))
            default: characters = Array(characters.suffix(place))
            }
        }
        return String(characters)
    }
}
