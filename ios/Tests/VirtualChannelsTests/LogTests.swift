import Foundation
import VirtualChannels
import XCTest

/// The log, and sinks that misbehave.
final class LogTests: Story {
    override func tearDownWithError() throws {
        setLogSink(sink: nil, level: .error)
        try super.tearDownWithError()
    }

    func testWhatIsLoggedHoldsNoSecret() async throws {
        let records = Records()
        setLogSink(sink: ClosureLogSink { records.append($0) }, level: .debug)
        let pair = try await pair(mnemonic: Secrets.mnemonic)
        let payment = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "1")
        _ = try await pair.receiver.receive(payment: payment.text)
        _ = try await refusal { try await pair.payer.send(address: "rubbish", amount: 1_000) }
        _ = try await refusal { try await Wallet.open(config: self.config("other"), mnemonic: Secrets.mnemonic + " about") }
        _ = try await pair.receiver.closeChannel(channelId: pair.channel)
        try await pair.shutdown()
        try await eventually("the last record") { try await self.quiet(records) }
        let all = records.all
        XCTAssertTrue(all.contains { $0.text.contains(pair.channel) }, "the channel is not spoken of")
        XCTAssertGreaterThan(Set(all.map(\.target)).count, 2, "hardly any part of the library is heard of")
        XCTAssertTrue(all.contains { $0.level == .debug } && all.contains { $0.level == .info })
        XCTAssertEqual(all.flatMap { Secrets.found(in: $0.text) }, [])
        XCTAssertFalse(all.contains { $0.text.contains(payment.text) }, "whole messages are not for the log")
        XCTAssertTrue(all.allSatisfy { !$0.text.contains("\n") && $0.text.utf8.count < 1_200 })
    }

    func testLevels() async throws {
        let records = Records()
        setLogSink(sink: ClosureLogSink { records.append($0) }, level: .warn)
        let wallet = try await open("wallet")
        // With an address there is something to ask the chain for.
        _ = try await wallet.boardingAddress()
        try await regtest.fault("esplora/fail")
        let settling = Task { try await wallet.settle() }
        let failed = await settling.result
        try await regtest.fault("esplora/answer")
        XCTAssertThrowsError(try failed.get())
        try await wallet.shutdown()
        try await eventually("a warning") { !records.all.isEmpty }
        XCTAssertTrue(records.all.allSatisfy { $0.level == .warn || $0.level == .error }, "\(records.all)")
        setLogSink(sink: nil, level: .debug)
        try await eventually("what was sent already") { try await self.quiet(records) }
        let before = records.all.count
        try await open("second").shutdown()
        XCTAssertEqual(records.all.count, before)
    }

    func testASinkThatThrows() async throws {
        let records = Records()
        setLogSink(
            sink: ClosureLogSink { record in
                records.append(record)
                throw Regtest.Failure(description: "no paper")
            }, level: .debug)
        let pair = try await pair()
        _ = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "1")
        try await pair.shutdown()
        try await eventually("the next records") { records.all.count > 10 }
    }

    func testASinkThatBlocksHoldsNobodyUp() async throws {
        let blocked = DispatchSemaphore(value: 0)
        let entered = Records()
        setLogSink(
            sink: ClosureLogSink { record in
                entered.append(record)
                blocked.wait()
            }, level: .debug)
        let pair = try await pair()
        for number in 0..<50 {
            _ = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "\(number)")
        }
        let paid = try await pair.payer.channel(channelId: pair.channel).amount
        XCTAssertEqual(paid, 50_000)
        XCTAssertEqual(entered.all.count, 1, "it stands at its first record")
        try await pair.shutdown()
        setLogSink(sink: nil, level: .debug)
        for _ in 0..<5_000 { blocked.signal() }
    }

    func testASinkThatCallsTheLibrary() async throws {
        let calls = Records()
        let wallet = try await open("wallet")
        setLogSink(
            sink: ClosureLogSink { record in
                let answered = DispatchSemaphore(value: 0)
                Task.detached {
                    _ = try? await wallet.channels()
                    answered.signal()
                }
                answered.wait()
                // Also what it was set with.
                setLogSink(sink: ClosureLogSink { calls.append($0) }, level: .debug)
                calls.append(record)
            }, level: .debug)
        _ = try await wallet.arkAddress()
        _ = try await wallet.balance()
        try await eventually("a call from the sink") { !calls.all.isEmpty }
        try await wallet.shutdown()
    }

    func testALine() {
        let record = LogRecord(level: .warn, target: "store", text: "text", unixMillis: 1_700_000_003_007)
        XCTAssertEqual(record.line, "22:13:23.007 warn store: text")
    }

    /// Nothing has come for a while.
    private func quiet(_ records: Records) async throws -> Bool {
        let before = records.all.count
        try await Task.sleep(nanoseconds: 200_000_000)
        return records.all.count == before
    }
}

private final class Records: @unchecked Sendable {
    private let lock = NSLock()
    private var records: [LogRecord] = []

    var all: [LogRecord] { lock.withLock { records } }

    func append(_ record: LogRecord) { lock.withLock { records.append(record) } }
}
