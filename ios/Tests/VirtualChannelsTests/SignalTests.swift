#if os(Linux)
import Foundation
import Synchronization
import VirtualChannels
import XCTest

private let signals = Atomic<Int>(0)

/// An operator that goes away while there are connections to it ends calls, and no process: outside of Rust nobody ignores SIGPIPE.
final class SignalTests: Story {
    func testAnOperatorThatGoesAwaySendsNoSignal() async throws {
        let before = signal(SIGPIPE) { _ in signals.add(1, ordering: .relaxed) }
        defer { signal(SIGPIPE, before) }
        let wallets = try await [open("one"), open("two"), open("three")]
        for _ in 0..<10 {
            for wallet in wallets {
                try await eventually("the operator to answer") { (try? await wallet.balance()) != nil }
            }
            try await regtest.fault("operator/stop")
            await withTaskGroup(of: Void.self) { calls in
                for wallet in wallets {
                    for _ in 0..<8 { calls.addTask { _ = try? await wallet.balance() } }
                }
            }
            try await regtest.fault("operator/start")
        }
        XCTAssertEqual(signals.load(ordering: .relaxed), 0)
        for wallet in wallets { try await wallet.shutdown() }
    }
}
#endif
