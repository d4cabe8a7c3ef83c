import VirtualChannels
import VirtualChannelsModel
import XCTest

/// Whoever scans the wrong code is told what it is, and who scans it.
final class ScanTests: ModelStory, @unchecked Sendable {
    func testEveryWrongScanIsExplained() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let channel = try await openedOffchain(payer, receiver)
            let payment = try await payer.showPayment(channel, 1_000)
            _ = try await receiver.take(payment)
            let receipt = try await receiver.showReceipt(channel)
            receiver.receiver.next()
            let invite = try await receiver.showInvite()
            receiver.receiver.next()
            let offer = try await payer.showOffer(for: invite, capacity: 20_000, funding: .batch).text
            let accept = try await receiver.showAccept(of: offer)
            let address = try await XCTUnwrap(payer.wallet.wallet).arkAddress()
            let boarding = try XCTUnwrap(payer.wallet.state.boardingAddress)
            payer.payer.next()
            receiver.receiver.next()

            let stranger = try await phone("stranger")
            await said(stranger.payer, payment, "This is a payment: the receiver scans it. A payer scans the receiver's invite or accept.")
            await said(payer.payer, offer, "This is an offer: the receiver scans it. A payer scans the receiver's invite or accept.")
            for text in [address, boarding] {
                await said(payer.payer, text, "This is an address. A payer scans the receiver's invite to open a channel.")
                await said(receiver.receiver, text, "This is an address. A receiver scans the payer's offer or payment.")
            }
            await said(receiver.receiver, invite, "This is an invite: the payer scans it. A receiver scans the payer's offer or payment.")
            await said(receiver.receiver, accept, "This is an accept: the payer scans it. A receiver scans the payer's offer or payment.")
            await said(receiver.receiver, receipt, "This is a receipt: the payer scans it. A receiver scans the payer's offer or payment.")
            await said(
                stranger.payer, accept,
                "No offer waits for this accept. Perhaps its channel is open already: look at the list of channels.")
            XCTAssertEqual(payer.payer.state.screen, .scan)
            XCTAssertEqual(receiver.receiver.state.screen, .scan)
            XCTAssertEqual(stranger.payer.state.screen, .scan)
            for phone in [payer, receiver, stranger] { await phone.shutdown() }
        }
    }

    func testWhatIsNoMessageIsSaidToBeNone() async throws {
        try await onMain { [self] in
            let phone = try await phone("payer")
            for text in ["", "https://example.org", "VC1NONSENSE", String(repeating: "Q", count: 100_000)] {
                await phone.payer.scanned(text)
                await phone.receiver.scanned(text)
                for problem in [phone.payer.state.problem, phone.receiver.state.problem] {
                    let problem = try XCTUnwrap(problem)
                    XCTAssertTrue(problem.hasPrefix("The text cannot be read") && problem.hasSuffix("."), problem)
                    XCTAssertLessThan(problem.count, 300)
                }
                XCTAssertEqual(phone.payer.state.screen, .scan)
            }
            phone.payer.dismissProblem()
            XCTAssertNil(phone.payer.state.problem)
            await phone.shutdown()
        }
    }

    /// Codes in upper case, as they are shown, with the blank that a scanner or a clipboard adds.
    func testCaseAndBlanksDoNotMatter() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let invite = try await receiver.showInvite(memo: "Tea")
            XCTAssertEqual(invite, invite.uppercased())
            for text in [invite, invite.lowercased(), " \(invite)\n"] {
                payer.payer.next()
                await payer.payer.scanned(text)
                guard case .invite(let scanned, nil, nil) = payer.payer.state.screen else { return XCTFail("\(payer.payer.state)") }
                XCTAssertEqual(scanned.memo, "Tea")
                XCTAssertLessThan(scanned.minimum, scanned.maximum)
            }
            await payer.shutdown()
            await receiver.shutdown()
        }
    }

    /// A receiver that knows more than the payer shows it what the payer needs.
    func testAnOldPaymentLeadsToCatchingUp() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            let channel = try await openedOffchain(payer, receiver)
            let old = try await payer.showPayment(channel, 1_000)
            let new = try await payer.showPayment(channel, 500)
            _ = try await receiver.take(new)
            await receiver.receiver.scanned(old)
            XCTAssertNotNil(receiver.receiver.state.problem)
            guard case .catchUp(let text) = receiver.receiver.state.screen else { return XCTFail("\(receiver.receiver.state)") }
            await payer.payer.scanned(text)
            XCTAssertNil(payer.payer.state.problem)
            XCTAssertEqual(payer.payer.state.notice, "The next payment goes on from 1500 sats")
            let next = try await payer.showPayment(channel, 200)
            let taken = try await receiver.take(next)
            XCTAssertEqual(taken, 200)
            await payer.shutdown()
            await receiver.shutdown()
        }
    }

    @MainActor
    private func said(_ model: PayerModel, _ text: String, _ problem: String, line: UInt = #line) async {
        await model.scanned(text)
        XCTAssertEqual(model.state.problem, problem, line: line)
    }

    @MainActor
    private func said(_ model: ReceiverModel, _ text: String, _ problem: String, line: UInt = #line) async {
        await model.scanned(text)
        XCTAssertEqual(model.state.problem, problem, line: line)
    }
}
