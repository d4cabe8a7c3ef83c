import Foundation
import VirtualChannelsFFI
import XCTest

@testable import VirtualChannels

/// A cancelled call happened wholly or not at all, and the next call shows which.
final class CancellationTests: Story {
    private static let seeds: UInt64 = 500
    /// Each time; the operator takes no less than 330.
    private static let sent: Sats = 400

    /// Both kinds of work by turns: what computes and stores (`pay`), and what talks to the operator (`send`), whose caller goes away in
    /// the middle: its future is dropped, as the generated code does not do it, and nobody calls `resume`.
    func testCallsThatAreCancelledAtAnyPoint() async throws {
        let mnemonic = try generateMnemonic()
        let pair = try await pair(mnemonic: mnemonic)
        var payer = pair.payer
        var paid = try await payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "first").amount
        var answered = (payments: 0, sends: 0)
        let taker = try await open("taker")
        let address = try await taker.arkAddress()
        var sent: Sats = 0
        let before = try await own(payer)
        for seed in 1...Self.seeds {
            var random = Seeded(seed)
            if seed % 3 == 0 {
                let wait = UInt64.random(in: 0...150_000_000, using: &random)
                let send: @Sendable () async throws -> Void = { [payer] in try await payer.sendAndLetGo(address: address, amount: Self.sent) }
                if try await dropped(after: wait, send) { answered.sends += 1 }
                sent += Self.sent
                try await eventually("the payment of seed \(seed)", every: 5) { [payer, sent] in
                    let balance = try await payer.balance()
                    return balance.pending == 0 && balance.settled + balance.preconfirmed == before - sent
                }
                if seed % 120 == 0 {
                    // Change of change of change is slower and slower to spend.
                    _ = try await payer.settle()
                    try await regtest.mine()
                }
                continue
            }
            let amount = Sats(UInt64.random(in: 1...100, using: &random))
            let wait = UInt64.random(in: 0...1_500_000, using: &random)
            let letGo = seed % 2 == 0
            let task = Task { [payer] in
                // What an app does whose view may be gone by now.
                try Task.checkCancellation()
                // By turns: the generated code waits to the end; the other one lets go in the middle.
                if letGo {
                    try await payer.payAndLetGo(channelId: pair.channel, amount: amount, paymentId: "seed \(seed)")
                } else {
                    _ = try await payer.pay(channelId: pair.channel, amount: amount, paymentId: "seed \(seed)")
                }
            }
            if wait % 3 > 0 { try await Task.sleep(nanoseconds: wait) }
            task.cancel()
            // Now and then nobody waits for it: the wallet is closed under it and opened again.
            if seed % 25 == 0 {
                try await payer.shutdown()
                payer = try await open("payer", mnemonic: mnemonic)
            }
            let answer = await task.result
            let stored = try await payer.channel(channelId: pair.channel).amount
            let again = try await payer.pay(channelId: pair.channel, amount: amount, paymentId: "seed \(seed)")
            XCTAssertTrue(stored == paid || stored == paid + amount, "seed \(seed): \(paid) became \(stored) with a payment of \(amount)")
            // One that was let go of may come to its end after that look.
            let shown = again.repeated == (stored == paid + amount) || letGo && again.repeated
            XCTAssertTrue(shown, "seed \(seed): the next call does not show what happened")
            XCTAssertEqual(again.amount, paid + amount, "seed \(seed)")
            if case .success = answer {
                XCTAssertEqual(stored, paid + amount, "seed \(seed): it was answered, and is not stored")
                answered.payments += 1
            } else if !letGo {
                XCTAssertEqual(stored, paid, "seed \(seed): it was refused, and is stored")
            }
            paid += amount
        }
        // Of 166 and 334: some in time, others not.
        XCTAssertTrue((3..<160).contains(answered.sends), "\(answered): the moments show nothing")
        XCTAssertTrue((20..<330).contains(answered.payments), "\(answered): the moments show nothing")
        let received = try await pair.receiver.receive(payment: payer.latestUpdate(channelId: pair.channel).text)
        XCTAssertEqual(received.amount, paid)
        try await eventually("all that was sent") { [sent] in try await taker.balance().preconfirmed == sent }
        for wallet in [payer, pair.receiver, taker] { try await wallet.shutdown() }
    }

    /// What can be spent, whatever its kind.
    private func own(_ wallet: Wallet) async throws -> Sats {
        let balance = try await wallet.balance()
        return balance.settled + balance.preconfirmed
    }

    /// Begins the call, and lets go of it after so many nanoseconds. Answers whether it had ended by then.
    private func dropped(after nanoseconds: UInt64, _ call: @escaping @Sendable () async throws -> Void) async throws -> Bool {
        let begun = expectation(description: "begun")
        let task = Task {
            begun.fulfill()
            try await call()
        }
        await fulfillment(of: [begun], timeout: 60)
        try await Task.sleep(nanoseconds: nanoseconds)
        task.cancel()
        do {
            try await task.value
            return true
        } catch is CancellationError {
            return false
        }
    }

    /// Other calls that change something, abandoned in a group: the first that ends has the others cancelled.
    func testAGroupWhoseRestIsCancelled() async throws {
        let pair = try await pair()
        for round in 0..<20 {
            let before = try await pair.payer.channel(channelId: pair.channel).amount
            let sats: Sats = before == 0 ? 1_000 : 10
            try await withThrowingTaskGroup(of: Void.self) { group in
                for part in 0..<4 {
                    group.addTask {
                        _ = try await pair.payer.pay(channelId: pair.channel, amount: sats, paymentId: "\(round)-\(part)")
                    }
                }
                try await group.next()
                group.cancelAll()
            }
            // A group waits for its tasks, and the library finishes what it began: all four happened.
            let after = try await pair.payer.channel(channelId: pair.channel).amount
            XCTAssertEqual(after, before + sats * 4)
        }
        try await pair.shutdown()
    }
}

/// Calls that let go of the library's future when the task is cancelled, as the generated ones do not.
extension Wallet {
    fileprivate func sendAndLetGo(address: String, amount: Sats) async throws {
        try await lettingGo {
            uniffi_virtual_channels_fn_method_wallet_send(self.uniffiCloneHandle(), buffer(address), FfiConverterTypeSats_lower(amount))
        }
    }

    fileprivate func payAndLetGo(channelId: String, amount: Sats, paymentId: String) async throws {
        try await lettingGo {
            uniffi_virtual_channels_fn_method_wallet_pay(
                self.uniffiCloneHandle(), buffer(channelId), FfiConverterTypeSats_lower(amount), buffer(paymentId), buffer([0]))
        }
    }

    private func lettingGo(_ start: @escaping () -> UInt64) async throws {
        try await CancellableWait(
            start: start,
            poll: ffi_virtual_channels_rust_future_poll_rust_buffer,
            complete: ffi_virtual_channels_rust_future_complete_rust_buffer,
            cancel: { ffi_virtual_channels_rust_future_cancel_rust_buffer($0) },
            free: { ffi_virtual_channels_rust_future_free_rust_buffer($0) },
            lift: { answer in
                var status = RustCallStatus()
                ffi_virtual_channels_rustbuffer_free(answer, &status)
            }
        ).answer()
    }
}

private func buffer(_ text: String) -> RustBuffer { buffer(Array(text.utf8)) }

/// As the library reads it: a text is its bytes, and a single zero an option that is not there.
private func buffer(_ bytes: [UInt8]) -> RustBuffer {
    bytes.withUnsafeBufferPointer { bytes in
        var status = RustCallStatus()
        return ffi_virtual_channels_rustbuffer_from_bytes(ForeignBytes(len: Int32(bytes.count), data: bytes.baseAddress), &status)
    }
}
