import VirtualChannels
import VirtualChannelsModel
import XCTest

/// The payer takes a channel back. With a regtest of its own: it moves the chain's clock by a day.
final class RefundModelTests: ModelStory, @unchecked Sendable {
    func testARefundAfterTheLocktime() async throws {
        try await onMain { [self] in
            let (payer, receiver) = (try await phone("payer"), try await phone("receiver"))
            try await fund(payer, 100_000)
            let invite = try await receiver.showInvite()
            let offer = try await payer.showOffer(for: invite, capacity: 50_000, funding: .offchain)
            let channel = try XCTUnwrap(offer.channel)
            // The receiver has not seen the offer when the payer's app is killed: it is shown again.
            try await payer.kill()
            await payer.payer.showOffer(channel: channel)
            guard case .offer(let text, channel) = payer.payer.state.screen else { return XCTFail("\(payer.payer.state)") }
            await receiver.receiver.scanned(text)
            XCTAssertEqual(receiver.receiver.state.screen, .opened(channel: channel))

            await payer.list.act(.refund, on: channel)
            let problem = try XCTUnwrap(payer.list.state.problem)
            XCTAssertTrue(problem.hasPrefix("The locktime ") && problem.hasSuffix("."), problem)
            let locktime = try await XCTUnwrap(payer.wallet.wallet).channel(channelId: channel).locktime
            let now = UInt64(Date().timeIntervalSince1970)
            // The chain's clock is the median of eleven blocks.
            try await regtest.mine(11, afterSeconds: Int(locktime - now) + 60)
            await payer.list.act(.refund, on: channel)
            XCTAssertNil(payer.list.state.problem)
            let row = try XCTUnwrap(payer.list.state.rows?.first)
            XCTAssertEqual(row.state, "taken back")
            XCTAssertNil(row.deadline)
            await payer.shutdown()
            await receiver.shutdown()
        }
    }
}
