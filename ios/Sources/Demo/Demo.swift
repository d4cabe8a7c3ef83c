import Foundation
import VirtualChannels
import VirtualChannelsModel

/// What happens, step by step.
@MainActor
struct Demo {
    private static let funding: Sats = 200_000
    private static let capacity: Sats = 100_000
    private static let first: Sats = 1_000
    private static let each: Sats = 50
    private static let payments = 100

    private let backend: Backend
    private let clock: Stopwatch

    init(_ backend: Backend, _ clock: Stopwatch) {
        self.backend = backend
        self.clock = clock
    }

    func run() async throws {
        say("operator \(backend.operator)\nesplora  \(backend.esplora)")
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("swift-demo-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let payer = try await Party("payer", folder, backend)
        let receiver = try await Party("receiver", folder, backend)

        let funds = try await fund(payer)
        let (payerScreen, receiverScreen) = (PayerModel(wallet: payer.wallet), ReceiverModel(wallet: receiver.wallet))
        let channel = try await open(payer, receiver, payerScreen, receiverScreen)
        let paid = try await pay(payerScreen, receiverScreen, channel)
        try await close(payer, receiver, receiverScreen, channel, funds: funds, paid: paid)

        try await summarise(payer, receiver)
        await payer.model.shutdown()
        await receiver.model.shutdown()
    }

    private func fund(_ payer: Party) async throws -> Sats {
        step(1, "the payer boards: coins on chain become a settled VTXO", clock)
        guard let address = payer.model.state.boardingAddress else { throw Failure("there is no boarding address") }
        try await backend.fund(address, Self.funding)
        try await backend.eventually("the coins") { try await payer.balance().boarding == Self.funding }
        try await payer.settle()
        try await backend.mine()
        let funds = payer.model.state.settled?.amount ?? .zero
        try await backend.eventually("the batch") { try await payer.balance().settled == funds }
        return funds
    }

    private func open(_ payer: Party, _ receiver: Party, _ payerScreen: PayerModel, _ receiverScreen: ReceiverModel) async throws -> String {
        step(2, "both open a channel in a batch", clock)
        await receiverScreen.invite(memo: "Coffee")
        guard case .invite(let invite) = receiverScreen.state.screen else { throw unexpected(receiverScreen) }
        show("the receiver's invite", invite)
        await payerScreen.scanned(invite)
        await payerScreen.quote(capacity: Self.capacity)
        guard case .invite(let scanned, _, let quote?) = payerScreen.state.screen else { throw unexpected(payerScreen) }
        say("   the payer reads \"\(scanned.memo ?? "")\"; quote: fee \(quote.fee), takes payments until \(payerScreen.state.closeBy ?? "ever")")
        for line in quote.trust { say("   trust: \(line)") }
        await payerScreen.propose()
        guard case .offer(let offer, nil) = payerScreen.state.screen else { throw unexpected(payerScreen) }
        show("the payer's offer", offer)
        await receiverScreen.scanned(offer)
        guard case .accept(let accept, _) = receiverScreen.state.screen else { throw unexpected(receiverScreen) }
        show("the receiver's accept", accept)
        await payerScreen.scanned(accept)
        guard case .opened(let channel) = payerScreen.state.screen else { throw unexpected(payerScreen) }
        say("   channel \(channel)")
        try await backend.mine()
        for party in [payer, receiver] {
            try await backend.eventually("the \(party.name)'s channel") { try await party.row(channel)?.isOpen == true }
        }
        return channel
    }

    private func pay(_ payerScreen: PayerModel, _ receiverScreen: ReceiverModel, _ channel: String) async throws -> Sats {
        step(3, "\(Self.payments) payments, offline", clock)
        if try await backend.setOperator(running: false) { say("   the operator is stopped") }
        let took = Stopwatch()
        var total = Sats.zero
        for number in 0..<Self.payments {
            let amount = number == 0 ? Self.first : Self.each
            await payerScreen.pay(channel: channel, amount: amount, memo: number == 1 ? "a croissant" : nil)
            guard case .payment(channel, let text, _, _) = payerScreen.state.screen else { throw unexpected(payerScreen) }
            if number == 1 { show("one payment", text) }
            await receiverScreen.scanned(text)
            total = total + amount
            guard case .received(channel, amount, total, _) = receiverScreen.state.screen else { throw unexpected(receiverScreen) }
            payerScreen.next()
            // From the receipt on payments travel without the authorisation.
            if number == 0 { try await receipt(payerScreen, receiverScreen, channel) }
        }
        say("   \(Self.payments) payments, \(total), in \(took): both sides durable each time")
        try await receipt(payerScreen, receiverScreen, channel)
        say("   \(payerScreen.state.notice ?? "")")
        _ = try await backend.setOperator(running: true)
        return total
    }

    private func receipt(_ payerScreen: PayerModel, _ receiverScreen: ReceiverModel, _ channel: String) async throws {
        await receiverScreen.receipt(channel: channel)
        guard case .receipt(let receipt) = receiverScreen.state.screen else { throw unexpected(receiverScreen) }
        await payerScreen.scanned(receipt)
        try check(payerScreen.state.problem)
    }

    private func close(
        _ payer: Party, _ receiver: Party, _ receiverScreen: ReceiverModel, _ channel: String, funds: Sats, paid: Sats
    ) async throws {
        step(4, "the receiver closes", clock)
        await receiverScreen.close(channel: channel)
        guard case .closed(channel, let txid) = receiverScreen.state.screen else { throw unexpected(receiverScreen) }
        say("   ark transaction \(txid)")
        try await backend.eventually("the payer to see it") { try await payer.row(channel)?.actions.first == .settle }

        step(5, "both settle in a batch", clock)
        async let first: Void = payer.settle()
        async let second: Void = receiver.settle()
        _ = try await (first, second)
        try await backend.mine()
        try await backend.eventually("the receiver's money") {
            let balance = try await receiver.balance()
            return balance.settled == balance.total && balance.total > .zero
        }
        try await backend.eventually("the payer's money") {
            let balance = try await payer.balance()
            return balance.settled == balance.total
        }
        // Whoever takes no fee leaves all of it.
        let (left, earned) = (try await payer.balance().total, try await receiver.balance().total)
        let fees = (payer.model.state.settled?.fee ?? .zero) + (receiver.model.state.settled?.fee ?? .zero)
        guard left + earned + fees <= funds, fees > .zero || (left == funds - paid && earned == paid) else {
            throw Failure("of \(funds) the payer has \(left) and the receiver \(earned), fees were \(fees)")
        }
    }

    private func summarise(_ payer: Party, _ receiver: Party) async throws {
        say("")
        for party in [payer, receiver] {
            let balance = try await party.balance()
            await party.channels.refresh()
            let rows = party.channels.state.rows ?? []
            say("\(party.name): \(balance.settled) settled")
            for row in rows { say("   channel \(row.shortId): \(row.state), \(row.paid) of \(row.capacity) paid") }
        }
    }

    private func unexpected<State: ScreenState>(_ model: Model<State>) -> Failure {
        Failure(model.state.problem ?? "the screen shows \(model.state)")
    }
}
