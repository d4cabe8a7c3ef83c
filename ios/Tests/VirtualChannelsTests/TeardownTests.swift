#if os(Linux)
import Foundation
import VirtualChannels
import XCTest

/// After the end of a wallet the process is as it was: no thread, no open file, no connection of it is left.
final class TeardownTests: Story {
    func testNothingIsLeftAfterShutdown() async throws {
        try await leavesNothing { pair in
            try await pair.shutdown()
        }
    }

    func testNothingIsLeftWhenTheObjectIsLetGoOf() async throws {
        try await leavesNothing { _ in }
    }

    func testNothingIsLeftWithCallsUnderWay() async throws {
        try await leavesNothing { pair in
            let loops = [Task { for try await _ in pair.payer.events() {} }, Task { for try await _ in pair.receiver.channelStates() {} }]
            let calls = (0..<8).map { number in
                Task { try await pair.payer.pay(channelId: pair.channel, amount: 1, paymentId: "\(number)") }
            }
            try await pair.shutdown()
            for call in calls { _ = await call.result }
            for loop in loops { try await loop.value }
        }
    }

    private func leavesNothing(after end: (Pair) async throws -> Void) async throws {
        // Wallets of earlier tests may still be at their end: maintenance goes on by itself for a while.
        let others = Self.threads().count
        // Whatever the test itself keeps (connections of URLSession) is there after the first time.
        for round in 0..<3 {
            let before = Self.files()
            try await use(end)
            try await eventually("the library's threads to end") { Self.threads().count <= others }
            try await eventually("the database to be let go of") { !Self.files().contains { $0.contains(self.folder.lastPathComponent) } }
            if round > 0 {
                try await eventually("the connections to end: \(before.count) before, \(Self.files().count) now") { Self.files().count <= before.count }
            }
            for name in ["payer", "receiver"] {
                try FileManager.default.removeItem(atPath: config(name).databasePath)
            }
        }
    }

    /// In a function of its own: at its end the wallets are gone.
    private func use(_ end: (Pair) async throws -> Void) async throws {
        let pair = try await pair()
        _ = try await pair.payer.pay(channelId: pair.channel, amount: 1_000, paymentId: "first")
        XCTAssertFalse(Self.threads().isEmpty, "the library's threads have another name now")
        XCTAssertTrue(Self.files().contains { $0.hasSuffix("payer.db") }, "open files are not seen")
        try await end(pair)
    }

    /// The names of the threads that are the library's.
    private static func threads() -> [String] {
        let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/task")) ?? []
        let names = tasks.compactMap { try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8) }
        return names.filter { name in ["virtual-channe", "tokio", "vc-log"].contains { name.hasPrefix($0) } }
    }

    /// What the process has open.
    private static func files() -> [String] {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return numbers.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)") }
    }
}
#endif
