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
        let shown = Shown()
        return AsyncThrowingStream {
            try await untilTheEnd {
                while true {
                    let seen = try await self.waitForChange(seen: shown.version)
                    let channels = try await self.acrossRelease { try await self.channels() }
                    if await shown.isNew(channels, version: seen) { return channels }
                }
            }
        }
    }
}

/// What the loop has got last.
private actor Shown {
    private(set) var version: UInt64 = 0
    private var channels: [ChannelInfo]?

    func isNew(_ channels: [ChannelInfo], version: UInt64) -> Bool {
        self.version = version
        defer { self.channels = channels }
        return self.channels != channels
    }
}
