import Foundation
import VirtualChannels
import XCTest

/// Several hold the database at once: it is let go of when the last one has let go.
final class LeaseTests: Story, @unchecked Sendable {
    func testTheLastHolderLetsGo() async throws {
        let wallet = try await open("wallet")
        let lease = DatabaseLease(wallet)
        let (first, second, order) = (Gate(), Gate(), Order())
        let works = [first, second].enumerated().map { number, gate in
            Task {
                try await lease.during { wallet in
                    await gate.pass()
                    _ = try await wallet.channels()
                    await order.add("\(number)")
                }
                return self.openFiles("wallet.db")
            }
        }
        await first.reached()
        await second.reached()
        // The app goes to the background in the middle of both.
        let gone = lease.letGo()
        let asleep = Task {
            try await gone.value
            await order.add("gone")
            return self.openFiles("wallet.db")
        }
        await first.open()
        let still = try await works[0].value
        XCTAssertFalse(still.isEmpty, "another one works")
        _ = try await wallet.channels()
        await second.open()
        let held = try await works[1].value
        XCTAssertEqual(held, [], "who lets go last returns when nothing is held")
        let left = try await asleep.value
        XCTAssertEqual(left, [])
        let happened = await order.all
        XCTAssertEqual(happened, ["0", "1", "gone"])
        let refused = try await refusal { try await wallet.channels() }
        XCTAssertEqual(refused, .DatabaseReleased)
        // Work in the background picks it up for itself.
        let report = try await lease.during { try await $0.maintain() }
        XCTAssertEqual(report.errors.count, 0)
        XCTAssertEqual(openFiles("wallet.db"), [])
        try await wallet.shutdown()
    }

    func testTheAppInUseKeepsIt() async throws {
        let wallet = try await open("wallet")
        let lease = DatabaseLease(wallet)
        _ = try await lease.during { try await $0.channels() }
        _ = try await wallet.channels()
        // It goes to the background and comes back while something works: letting go is overtaken, and waits for nobody.
        let gate = Gate()
        let work = Task { try await lease.during { _ in await gate.pass() } }
        await gate.reached()
        let gone = lease.letGo()
        try await lease.pickUp().value
        try await gone.value
        await gate.open()
        try await work.value
        _ = try await wallet.channels()
        try await lease.letGo().value
        XCTAssertEqual(openFiles("wallet.db"), [])
        try await wallet.shutdown()
    }

    func testWorkThatFailsLetsGoToo() async throws {
        let wallet = try await open("wallet")
        let lease = DatabaseLease(wallet)
        try await lease.letGo().value
        let failed = try await refusal { try await lease.during { _ = try await $0.parse(text: "nothing") } }
        guard case .InvalidText = failed else { return XCTFail("\(failed)") }
        XCTAssertEqual(openFiles("wallet.db"), [])
        // The file is away: the work does not begin.
        let path = config("wallet").databasePath
        try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
        let away = try await refusal { try await lease.during { _ in XCTFail("it began") } }
        guard case .DatabaseFailed = away else { return XCTFail("\(away)") }
        try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
        _ = try await lease.during { try await $0.channels() }
        XCTAssertEqual(openFiles("wallet.db"), [])
        // A cancelled task's work begins and ends all the same, and lets go.
        let cancelled = Task { try await lease.during { try await $0.channels() } }
        cancelled.cancel()
        _ = try await cancelled.value
        XCTAssertEqual(openFiles("wallet.db"), [])
        try await wallet.shutdown()
    }

    func testManyWhileTheAppComesAndGoes() async throws {
        let wallet = try await open("wallet")
        let lease = DatabaseLease(wallet)
        let works = (0..<64).map { number in
            Task {
                try await lease.during { wallet in
                    // Whoever holds it is never refused.
                    for _ in 0..<number % 8 { _ = try await wallet.channels() }
                }
            }
        }
        for _ in 0..<40 {
            lease.letGo()
            await Task.yield()
            lease.pickUp()
        }
        try await lease.letGo().value
        for work in works { try await work.value }
        XCTAssertEqual(openFiles("wallet.db"), [])
        try await lease.pickUp().value
        _ = try await wallet.channels()
        try await wallet.shutdown()
    }
}

/// Where a test has something wait.
actor Gate {
    private var isOpen = false
    private var isReached = false
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var watching: [CheckedContinuation<Void, Never>] = []

    /// Waits until it is open.
    func pass() async {
        isReached = true
        for watcher in watching { watcher.resume() }
        watching = []
        if !isOpen { await withCheckedContinuation { waiting.append($0) } }
    }

    /// Waits until somebody waits.
    func reached() async {
        if !isReached { await withCheckedContinuation { watching.append($0) } }
    }

    func open() {
        isOpen = true
        for waiter in waiting { waiter.resume() }
        waiting = []
    }
}

/// What happened, in its order.
actor Order {
    private(set) var all: [String] = []

    func add(_ what: String) { all.append(what) }
}
