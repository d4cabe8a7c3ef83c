import Foundation

/// Lets go of a wallet's database while the app sleeps, and picks it up again.
///
/// iOS ends an app that holds a lock on a file in a container it shares with its extensions at the moment it is suspended (the crash
/// report says `0xdead10cc`). Between ``letGo()`` and ``pickUp()`` the wallet holds no lock and no open file; its calls answer
/// ``WalletError/DatabaseReleased``, and ``Wallet/events()`` and ``Wallet/channelStates()`` wait. Also an extension can open the same file
/// meanwhile.
///
/// The app in use is one holder of the database, from the start on: ``pickUp()`` and ``letGo()`` say when it is, and saying it twice
/// changes nothing. Each piece of work in the background that runs within ``during(isolation:_:)`` is one more. The database is let go
/// of when the last of them has let go.
///
/// All may be called in any thread and in quick succession: what they do happens one after the other, in the order of the calls.
/// ``SuspensionGuard`` calls the two when an app goes to the background and comes back.
public final class DatabaseLease: @unchecked Sendable {
    private let wallet: Wallet
    private let lock = NSLock()
    private var inUse = true
    private var visitors = 0
    private var latest: Task<Void, Never>?
    /// Who let go while others held it: told what lets go in the end, or nothing where the app picks it up before.
    private var waiting: [AsyncStream<Task<Void, any Error>>.Continuation] = []

    /// A lease on the database of `wallet`, which holds it now. An app that was started in the background lets go of it at once, before
    /// it begins any work (``during(isolation:_:)``).
    public init(_ wallet: Wallet) {
        self.wallet = wallet
    }

    /// The app lets go of the database. Waits for what is being written, never for the network: a few milliseconds, a second at most when
    /// another process is in the way; and for those who hold it for their work (``during(isolation:_:)``).
    ///
    /// - Returns: What ends when nothing is held any more, by nobody; also when the app picks it up again before that. An error is one of
    ///   the file; also then nothing is held.
    @discardableResult
    public func letGo() -> Task<Void, any Error> {
        lock.withLock {
            inUse = false
            guard visitors > 0 else { return release() }
            let (answer, others) = AsyncStream.makeStream(of: Task<Void, any Error>.self)
            waiting.append(others)
            return Task {
                for await released in answer { try await released.value }
            }
        }
    }

    /// The app picks up the database, and goes on with what was under way (``Wallet/resume()``).
    ///
    /// - Returns: What ends when the wallet takes calls again, and fails where the file is gone or another wallet's; the database stays
    ///   released then. That something could not be gone on with, as without a network, is no failure here: call ``Wallet/resume()``.
    @discardableResult
    public func pickUp() -> Task<Void, any Error> {
        lock.withLock {
            inUse = true
            for others in waiting { others.finish() }
            waiting = []
            return afterTheOthers { wallet in
                try await wallet.reopenDatabase()
                Task { try await wallet.resume() }
            }
        }
    }

    /// Holds the database while some work runs, whether the app is in use or not; any number may at once. Who lets go last lets go of the
    /// database, and returns when that is done: then the system may suspend the app.
    ///
    /// ```swift
    /// let report = try await lease.during { wallet in try await wallet.maintain() }
    /// ```
    ///
    /// Work that the system wants ended (`BGTask.expirationHandler`) has to return: as long as it runs, the database is held.
    ///
    /// - Parameters:
    ///   - isolation: Where the work runs: where the caller does.
    ///   - work: What is done with the wallet.
    /// - Returns: What the work answers.
    /// - Throws: What the work throws, and what ``pickUp()`` fails with: then the work has not begun.
    public func during<Answer: Sendable>(
        isolation: isolated (any Actor)? = #isolation, _ work: (Wallet) async throws -> Answer
    ) async throws -> Answer {
        do {
            try await come().value
            let answer = try await work(wallet)
            await leave()
            return answer
        } catch {
            await leave()
            throw error
        }
    }

    private func come() -> Task<Void, any Error> {
        lock.withLock {
            visitors += 1
            return afterTheOthers { wallet in try await wallet.reopenDatabase() }
        }
    }

    private func leave() async {
        let released: Task<Void, any Error>? = lock.withLock {
            visitors -= 1
            guard visitors == 0, !inUse else { return nil }
            let released = release()
            for others in waiting {
                others.yield(released)
                others.finish()
            }
            waiting = []
            return released
        }
        // Its error is one of the file, of which nothing is held: nothing that this work could mend.
        _ = await released?.result
    }

    /// The two below are called with the lock.
    private func release() -> Task<Void, any Error> {
        afterTheOthers { wallet in try await wallet.releaseDatabase() }
    }

    private func afterTheOthers(_ work: @escaping @Sendable (Wallet) async throws -> Void) -> Task<Void, any Error> {
        let task = Task { [latest, wallet] in
            await latest?.value
            try await work(wallet)
        }
        latest = Task { _ = await task.result }
        return task
    }
}
