import Foundation

/// Lets go of a wallet's database while the app sleeps, and picks it up again.
///
/// iOS ends an app that holds a lock on a file in a container it shares with its extensions at the moment it is suspended (the crash
/// report says `0xdead10cc`). Between ``letGo()`` and ``pickUp()`` the wallet holds no lock and no open file; its calls answer
/// ``WalletError/DatabaseReleased``, and ``Wallet/events()`` and ``Wallet/channelStates()`` wait. Also an extension can open the same file
/// meanwhile.
///
/// The two may be called in any thread and in quick succession: they happen one after the other, in the order of the calls.
/// ``SuspensionGuard`` calls them when an app goes to the background and comes back.
public final class DatabaseLease: @unchecked Sendable {
    private let wallet: Wallet
    private let lock = NSLock()
    private var latest: Task<Void, Never>?

    /// A lease on the database of `wallet`, which holds it now.
    public init(_ wallet: Wallet) {
        self.wallet = wallet
    }

    /// Lets go of the database. Waits for what is being written, never for the network: a few milliseconds, a second at most when another
    /// process is in the way.
    ///
    /// - Returns: What ends when nothing is held any more. An error is one of the file; also then nothing is held.
    @discardableResult
    public func letGo() -> Task<Void, any Error> {
        afterTheOthers { wallet in try await wallet.releaseDatabase() }
    }

    /// Picks up the database, and goes on with what was under way (``Wallet/resume()``).
    ///
    /// - Returns: What ends when the wallet takes calls again, and fails where the file is gone or another wallet's; the database stays
    ///   released then. That something could not be gone on with, as without a network, is no failure here: call ``Wallet/resume()``.
    @discardableResult
    public func pickUp() -> Task<Void, any Error> {
        afterTheOthers { wallet in
            try await wallet.reopenDatabase()
            Task { try await wallet.resume() }
        }
    }

    private func afterTheOthers(_ work: @escaping @Sendable (Wallet) async throws -> Void) -> Task<Void, any Error> {
        lock.lock()
        defer { lock.unlock() }
        let task = Task { [latest, wallet] in
            await latest?.value
            try await work(wallet)
        }
        latest = Task { _ = await task.result }
        return task
    }
}
