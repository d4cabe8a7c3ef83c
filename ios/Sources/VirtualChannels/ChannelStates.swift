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
    /// While the database is released (``Wallet/releaseDatabase()``) nothing comes.
    /// Nothing runs between two states, any number of loops may run, and when the task is cancelled its loop ends at once.
    ///
    /// - Returns: A stream that ends when the wallet is closed or the task is cancelled, and throws what ``Wallet/channels()`` throws.
    public func channelStates() -> AsyncThrowingStream<[ChannelInfo], any Error> {
        let shown = Shown()
        return AsyncThrowingStream {
            try await untilTheEnd {
                while true {
                    let version = try await self.waitForChange(seen: shown.version)
                    do {
                        let channels = try await self.channels()
                        if await shown.isNew(channels, version: version) { return channels }
                    } catch WalletError.DatabaseReleased {
                        // That it is held again is a change, too.
                        await shown.passed(version)
                    }
                }
            }
        }
    }
}

/// What the loop has got last.
private actor Shown {
    private(set) var version: UInt64 = 0
    private var channels: [ChannelInfo]?

    func passed(_ version: UInt64) {
        self.version = version
    }

    func isNew(_ channels: [ChannelInfo], version: UInt64) -> Bool {
        self.version = version
        defer { self.channels = channels }
        return self.channels != channels
    }
}
