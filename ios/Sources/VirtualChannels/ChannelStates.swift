/// The wallet's channels as a sequence.
extension Wallet {
    /// All channels, oldest first: as they are now, and again after each change, until the wallet is closed.
    ///
    /// ```swift
    /// for try await channels in wallet.channelStates() {
    ///     self.channels = channels
    /// }
    /// ```
    ///
    /// Only the latest state is of interest: what changed while the loop was busy comes as one. The same state does not come twice.
    /// Nothing runs between two states, any number of loops may run, and when the task is cancelled its loop ends at once. While the
    /// database is released (``DatabaseLease``) the loop waits. The stream keeps the wallet: to end both, call ``Wallet/shutdown()``.
    ///
    /// - Returns: A stream that ends when the wallet is closed or the task is cancelled, and throws what ``Wallet/channels()`` throws.
    public func channelStates() -> AsyncThrowingStream<[ChannelInfo], any Error> {
        afterEachChange { try await self.channels() }
    }

    /// One channel: as it is now, and again after each change of it, until the wallet is closed. As ``channelStates()``.
    ///
    /// - Returns: A stream that ends when the wallet is closed or the task is cancelled, and throws what ``Wallet/channel(channelId:)``
    ///   throws: ``WalletError/NotFound`` for a channel that does not exist.
    public func channelState(channelId: String) -> AsyncThrowingStream<ChannelInfo, any Error> {
        afterEachChange { try await self.channel(channelId: channelId) }
    }

    func afterEachChange<State: Equatable & Sendable>(
        _ look: @escaping @Sendable () async throws -> State
    ) -> AsyncThrowingStream<State, any Error> {
        let shown = Shown<State>()
        return AsyncThrowingStream {
            try await untilTheEnd {
                while true {
                    let seen = try await self.waitForChange(seen: shown.version)
                    let state = try await self.acrossRelease(look)
                    if await shown.isNew(state, version: seen) { return state }
                }
            }
        }
    }
}

/// What the loop has got last.
private actor Shown<State: Equatable & Sendable> {
    private(set) var version: UInt64 = 0
    private var state: State?

    func isNew(_ state: State, version: UInt64) -> Bool {
        self.version = version
        defer { self.state = state }
        return self.state != state
    }
}
