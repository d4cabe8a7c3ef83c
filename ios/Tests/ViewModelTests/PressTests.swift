import Foundation
import VirtualChannels
import XCTest

@testable import VirtualChannelsModel

/// Buttons that are pressed twice, too early, or without a network.
final class PressTests: ModelStory, @unchecked Sendable {
    func testPayingIsPressedTwice() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let channel = try await openedOffchain(payer, receiver)
            let model = payer.payer
            // At once, and again when the payment is on the screen.
            async let first: Void = model.pay(channel: channel, amount: 1_000)
            async let second: Void = model.pay(channel: channel, amount: 1_000)
            _ = await (first, second)
            let shown = model.state.screen
            await model.pay(channel: channel, amount: 1_000)
            XCTAssertEqual(model.state.screen, shown)
            guard case .payment(channel, _, 1_000, _) = shown else { return XCTFail("\(model.state)") }
            // Another model with the same id, as of an app that has kept it and was killed before it saw the answer.
            let id = model.state.paymentId
            try await payer.kill()
            await payer.payer.pay(channel: channel, amount: 1_000, paymentId: id)
            XCTAssertEqual(payer.payer.state.screen, shown)
            payer.payer.next()
            await payer.payer.pay(channel: channel, amount: 1_000)
            guard case .payment(_, _, 2_000, _) = payer.payer.state.screen else { return XCTFail("\(payer.payer.state)") }
            await payer.shutdown()
            await receiver.shutdown()
        }
    }

    func testOpeningAndClosingArePressedTwice() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            try await fund(payer, 200_000)
            let invite = try await receiver.showInvite()
            let same = try await receiver.showInvite()
            XCTAssertEqual(invite, same)
            await payer.payer.scanned(invite)
            await payer.payer.quote(capacity: 50_000, funding: .offchain)
            let model = payer.payer
            async let first: Void = model.propose(funding: .offchain)
            async let second: Void = model.propose(funding: .offchain)
            _ = await (first, second)
            let offer = model.state.screen
            await model.propose(funding: .offchain)
            XCTAssertEqual(model.state.screen, offer)
            await payer.list.refresh()
            XCTAssertEqual(payer.list.state.rows?.count, 1)
            guard case .offer(let text, let channel?) = offer else { return XCTFail("\(model.state)") }
            // Scanned twice, it is the same channel.
            for _ in 0..<2 {
                await receiver.receiver.scanned(text)
                XCTAssertNil(receiver.receiver.state.problem)
                XCTAssertEqual(receiver.receiver.state.screen, .opened(channel: channel))
            }
            _ = try await receiver.take(payer.showPayment(channel, 1_000))
            let closing = receiver.receiver
            async let one: Void = closing.close(channel: channel)
            async let two: Void = closing.close(channel: channel)
            _ = await (one, two)
            await closing.close(channel: channel)
            guard case .closed(channel, _) = closing.state.screen else { return XCTFail("\(closing.state)") }
            async let three: Void = closing.settle()
            async let four: Void = closing.settle()
            _ = await (three, four)
            XCTAssertNil(closing.state.problem)
            XCTAssertEqual(closing.state.settled?.amount, 1_000)
            let settled = closing.state.settled
            await closing.settle()
            XCTAssertEqual(closing.state.problem, "Nothing new to settle: the last batch waits for its confirmation.")
            XCTAssertEqual(closing.state.settled, settled)
            await payer.shutdown()
            await receiver.shutdown()
        }
    }

    func testButtonsThatComeTooEarly() async throws {
        try await onMain { [self] in
            let model = WalletModel(config: config("early"), mnemonics: Words(words: try generateMnemonic()))
            await model.refresh()
            XCTAssertEqual(model.state.problem, "The wallet is not open.")
            await model.settle()
            XCTAssertEqual(model.state.problem, "The wallet is not open.")
            await model.open()
            XCTAssertNil(model.state.problem)
            await model.open()
            let payer = PayerModel(wallet: try XCTUnwrap(model.wallet))
            await payer.quote(capacity: 1_000)
            XCTAssertEqual(payer.state.problem, "Scan an invite first.")
            await payer.propose()
            XCTAssertEqual(payer.state.problem, "Choose a capacity first.")
            await payer.pay(channel: String(repeating: "0", count: 64), amount: 1)
            XCTAssertEqual(payer.state.problem, "No invite, offer or channel of this wallet has that id.")
            await model.settle()
            XCTAssertEqual(model.state.problem, "There is nothing to settle.")
            await model.shutdown()
            await model.shutdown()
            XCTAssertEqual(model.state.phase, .closed)
            XCTAssertNil(model.wallet)
        }
    }

    func testWithoutTheOperatorTheLastBalanceStays() async throws {
        try await onMain { [self] in
            let phone = try await phone("payer")
            try await fund(phone, 30_000)
            try await regtest.fault("operator/stop")
            await phone.wallet.refresh()
            XCTAssertNotNil(phone.wallet.state.problem)
            XCTAssertEqual(phone.wallet.state.balance?.settled, 30_000)
            XCTAssertFalse(phone.wallet.state.busy)
            // Also for an app that is started without a network.
            try await phone.kill()
            XCTAssertEqual(phone.wallet.state.phase, .open)
            XCTAssertEqual(phone.wallet.state.balance?.settled, 30_000)
            XCTAssertNotNil(phone.wallet.state.balanceAt)
            try await regtest.fault("operator/start")
            await phone.wallet.refresh()
            XCTAssertNil(phone.wallet.state.problem)
            await phone.shutdown()
        }
    }

    func testTheWrongNetworkIsSaidAtOnce() async throws {
        try await onMain { [self] in
            let model = WalletModel(config: config("wrong", network: .signet), mnemonics: Words(words: try generateMnemonic()))
            await model.open()
            XCTAssertEqual(model.state.problem, "Network is regtest, expected signet.")
            XCTAssertEqual(model.state.phase, .closed)
        }
    }
}
