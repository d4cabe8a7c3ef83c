/// What a wallet does while its app is in the foreground.
extension Wallet {
    /// Does at once what ``Wallet/maintain()`` does now and then, until the wallet is closed or the task is cancelled: beside
    /// ``Wallet/events()``, which tell what came of it.
    ///
    /// ```swift
    /// .task { try? await wallet.follow() }    // of a SwiftUI view: ends with it
    /// ```
    ///
    /// As ``Wallet/live(pollSeconds:)``, which does not look at cancellation and would go on. Servers that do not answer are asked again;
    /// while the database is released (``DatabaseLease``) it waits.
    ///
    /// - Parameter pollSeconds: How often the chain is asked for a new block.
    public func follow(pollSeconds: UInt64 = 30) async throws {
        try await untilTheEnd { try await self.waitLive(pollSeconds: pollSeconds) }
    }
}
