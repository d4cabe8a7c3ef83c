import Foundation
import VirtualChannels
import XCTest

/// Whatever a scanner reads, it is refused with an error, at once, and nothing is changed by it.
final class GarbageTests: Story {
    private static let mutations: UInt64 = 1_000

    func testAThousandMutationsOfEachKindOfMessage() async throws {
        let pair = try await pair()
        let (payer, receiver, channel) = (pair.payer, pair.receiver, pair.channel)
        let request = ProposeRequest(capacity: 50_000, funding: .batch)
        let invite = try await receiver.createInvite(request: InviteRequest(memo: "memo"))
        let offer = try await payer.propose(invite: invite, request: request).offer
        guard case .accepted(let accept, _) = try await receiver.accept(offer: offer) else { return XCTFail("not accepted") }
        let payment = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "1").text
        // Not received yet: every signature of its authorisation is looked at.
        let unpaid = try await Self.state(payer)
        try await mutate(payment, payer) { _ = try await receiver.receive(payment: $0) }
        let unchanged = try await Self.state(payer)
        XCTAssertEqual(unpaid, unchanged)
        let first = try await receiver.channel(channelId: channel).amount
        XCTAssertTrue([0, 1_000].contains(first), "\(first)")
        _ = try await receiver.receive(payment: payment)
        let receipt = try await receiver.receipt(channelId: channel)
        // From then on a payment is nothing but what is signed.
        try await payer.acknowledge(receipt: receipt)
        let next = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "2").text
        let before = try await [Self.state(payer), Self.state(receiver)]

        // A quote reads the invite, and is refused for one sat: no damaged invite gets further.
        let tiny = ProposeRequest(capacity: 1, funding: .offchain)
        try await mutate(invite, payer) { _ = try await payer.quoteOpen(invite: $0, request: tiny) }
        try await mutate(offer, payer) { _ = try await receiver.accept(offer: $0) }
        try await mutate(accept, payer) { _ = try await payer.openChannel(accept: $0) }
        try await mutate(receipt, payer) { try await payer.acknowledge(receipt: $0) }
        let between = try await [Self.state(payer), Self.state(receiver)]
        XCTAssertEqual(before, between)
        try await mutate(next, payer) { _ = try await receiver.receive(payment: $0) }

        // The same payment in other bytes may have been taken: then it is that payment, and nothing else.
        let amount = try await receiver.channel(channelId: channel).amount
        XCTAssertTrue([1_000, 2_000].contains(amount), "\(amount)")
        let after = try await Self.state(payer)
        XCTAssertEqual(before[0], after)
        if amount == 1_000 {
            let same = try await Self.state(receiver)
            XCTAssertEqual(before[1], same)
        }
        // The channel goes on.
        let last = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "3").text
        let received = try await receiver.receive(payment: last)
        XCTAssertEqual(received.amount, 3_000)
        try await payer.acknowledge(receipt: receiver.receipt(channelId: channel))
        try await pair.shutdown()
    }

    /// A request that says the same may be granted, and such a grant be taken: so with a channel of its own.
    func testAThousandMutationsOfWhatEndsAChannel() async throws {
        let pair = try await pair()
        let (payer, receiver, channel) = (pair.payer, pair.receiver, pair.channel)
        let payment = try await payer.pay(channelId: channel, amount: 1_000, paymentId: "1").text
        _ = try await receiver.receive(payment: payment)
        let request = try await receiver.requestClose(channelId: channel)
        try await mutate(request, payer) { _ = try await payer.grantClose(request: $0) }
        let asked = try await payer.channel(channelId: channel).state
        XCTAssertTrue([.open, .closing].contains(asked), "\(asked)")
        let grant = try await payer.grantClose(request: request)
        try await mutate(grant, receiver) { _ = try await receiver.closeWith(grant: $0) }
        let granted = try await receiver.channel(channelId: channel).state
        XCTAssertTrue([.open, .closed].contains(granted), "\(granted)")
        // The real one is still good.
        let txid = try await receiver.closeWith(grant: grant)
        let closed = try await receiver.channel(channelId: channel)
        XCTAssertEqual(closed.resultTxid, txid)
        XCTAssertEqual(closed.state, .closed)
        XCTAssertEqual(closed.amount, 1_000)
        try await pair.shutdown()
    }

    /// A damaged backup makes no wallet and no file, and changes none that is there.
    func testAThousandMutationsOfABackup() async throws {
        let words = try generateMnemonic()
        let pair = try await pair(mnemonic: words)
        let backup = try await pair.payer.backup()
        let (fresh, there) = (config("fresh"), config("there"))
        try await restoreWallet(config: there, mnemonic: words, backup: backup).wallet.shutdown()
        let before = try Data(contentsOf: URL(fileURLWithPath: there.databasePath))
        let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        var number = 0
        try await mutate(backup, pair.payer) { mutation in
            number += 1
            let config = number % 4 == 0 ? there : fresh
            let restored = try await restoreWallet(config: config, mnemonic: words, backup: mutation)
            XCTFail("number \(number) made a wallet of \(restored.report.channels)")
            try await restored.wallet.shutdown()
        }
        let after = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        XCTAssertEqual(after, files, "something was written")
        let same = try Data(contentsOf: URL(fileURLWithPath: there.databasePath))
        XCTAssertEqual(same, before)
        // The real one is still good, in both places.
        for config in [fresh, there] {
            let restored = try await restoreWallet(config: config, mnemonic: words, backup: backup)
            XCTAssertEqual(restored.report.channels, [pair.channel])
            try await restored.wallet.shutdown()
        }
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
            ("requestClose", { _ = try await wallet.requestClose(channelId: text) }),
            ("grantClose", { _ = try await wallet.grantClose(request: text) }),
            ("closeWith", { _ = try await wallet.closeWith(grant: text) }),
            ("releaseChannel", { _ = try await wallet.releaseChannel(channelId: text) }),
            (
                "propose",
                {
                    let invite = try await wallet.createInvite(request: InviteRequest())
                    let request = ProposeRequest(capacity: 50_000, funding: .refund(channelId: text))
                    _ = try await wallet.propose(invite: invite, request: request)
                }
            ),
            ("refund", { _ = try await wallet.refund(channelId: text) }),
            ("watch", { _ = try await wallet.watch(channelId: text) }),
            ("channel", { _ = try await wallet.channel(channelId: text) }),
            ("acknowledgeEvent", { try await wallet.acknowledgeEvent(token: text) }),
        ]
    }

    /// All that a wallet shows of its channels, and what it told about them; news of progress is told once and has no token.
    private static func state(_ wallet: Wallet) async throws -> [String] {
        try await wallet.channels().map { "\($0)" } + wallet.pendingEvents(limit: 1_000).filter { $0.token != nil }.map { "\($0.kind)" }
    }

    /// Gives a thousand mutations of a message to the call that takes such a message, and to a scanner.
    private func mutate(_ message: String, _ scanner: Wallet, _ take: (String) async throws -> Void) async throws {
        let meaning = try await scanner.parse(text: message)
        let real = try XCTUnwrap(Bech32m.split(message))
        var refusals: [String: Int] = [:]
        var taken = 0
        for seed in 0..<Self.mutations {
            var random = Seeded(seed)
            var mutation = message
            while Self.isSame(mutation, real) {
                mutation = seed % 6 == 0 ? Self.raw(message, &random) : Self.repaired(real, seed, &random)
            }
            do {
                try await take(mutation)
                // Then it is the same in other bytes: a number with bits that nobody reads, or a part that is not signed.
                let parsed = try await scanner.parse(text: mutation)
                XCTAssertEqual(parsed, meaning, "\(real.prefix), seed \(seed): taken")
                taken += 1
            } catch let error as WalletError {
                refusals[Self.name(error), default: 0] += 1
            }
            do { _ = try await scanner.parse(text: mutation) } catch let error as WalletError { _ = Self.name(error) }
        }
        XCTAssertLessThan(taken, Int(Self.mutations) / 20, "\(real.prefix): \(refusals)")
        XCTAssertGreaterThanOrEqual(refusals.count, 2, "\(real.prefix): damage only ever came to \(refusals)")
    }

    /// Which error it is. None may be one of the library itself.
    private static func name(_ error: WalletError) -> String {
        if case .Internal = error { XCTFail("\(error)") }
        return String("\(error)".prefix { $0 != "(" })
    }

    /// White space around it, other case, and the last letter's unused bits make another text of the same message.
    private static func isSame(_ text: String, _ real: (prefix: String, groups: [UInt32])) -> Bool {
        guard let other = Bech32m.split(text.trimmingCharacters(in: .whitespaces).lowercased()) else { return false }
        return other.prefix == real.prefix && Bech32m.bytes(other.groups) == Bech32m.bytes(real.groups)
    }

    /// Damage behind a right checksum.
    private static func repaired(_ real: (prefix: String, groups: [UInt32]), _ seed: UInt64, _ random: inout Seeded) -> String {
        let (prefix, groups) = real
        let place = Int.random(in: groups.indices, using: &random)
        var other = groups
        other[place] = (other[place] + UInt32.random(in: 1...31, using: &random)) % 32
        switch seed % 6 {
        case 1:
            other = Array(groups.prefix(place))
        case 2:
            let more = (0..<Int.random(in: 1...40, using: &random)).map { _ in UInt32.random(in: 0...31, using: &random) }
            other = groups.prefix(place) + more + groups.suffix(from: place)
        case 3:
            let prefixes = ["vci", "vco", "vca", "vcu", "vcr", "vcq", "vcg", "vcb"].filter { $0 != prefix }
            return Bech32m.join(prefixes[Int.random(in: prefixes.indices, using: &random)], groups)
        case 4:
            for _ in 0..<Int.random(in: 0...7, using: &random) {
                other[Int.random(in: other.indices, using: &random)] = UInt32.random(in: 0...31, using: &random)
            }
        default:
            break
        }
        return Bech32m.join(prefix, other)
    }

    /// Damage of the text, which the checksum finds.
    private static func raw(_ message: String, _ random: inout Seeded) -> String {
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
