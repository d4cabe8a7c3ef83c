/// The wallet's events as a sequence.
extension Wallet {
    /// The wallet's events, in their order, until the wallet is closed.
    ///
    /// ```swift
    /// for try await event in wallet.events() {
    ///     try await show(event)
    /// }
    /// ```
    ///
    /// An event is acknowledged when the next one is asked for: the loop has dealt with it then. It comes again, also after a restart
    /// of the app, when the loop is left before (`break`, a thrown error, cancellation, the end of the process), unless it was
    /// acknowledged by hand (``Wallet/acknowledgeEvent(token:)``; twice does no harm). So deal with an event in a way that may happen
    /// twice. Progress (``EventKind/progress(flow:step:)``) is shown only, and comes once.
    ///
    /// Nothing runs between two events: there is no buffer and no task of its own. When the task is cancelled, the loop ends at once.
    /// One loop at a time: two would both see the event that waits. While the database is released (``DatabaseLease``) the loop waits.
    /// The stream keeps the wallet: to end both, call ``Wallet/shutdown()``.
    ///
    /// - Returns: A stream that ends when the wallet is closed or the task is cancelled, and throws what ``Wallet/nextEvent()`` throws.
    public func events() -> AsyncThrowingStream<Event, any Error> {
        let dealtWith = Token()
        return AsyncThrowingStream {
            try await untilTheEnd {
                if let token = await dealtWith.take() {
                    try await self.acrossRelease { try await self.acknowledgeEvent(token: token) }
                }
                let event = try await self.waitForEvent()
                await dealtWith.put(event.token)
                return event
            }
        }
    }

    /// All events that wait: now, and again after each change. Unlike ``events()`` it goes on behind one that is not acknowledged, and
    /// acknowledges none.
    package func waitingEvents() -> AsyncThrowingStream<[Event], any Error> {
        afterEachChange { try await self.pendingEvents(limit: 1_000) }
    }
}

/// The event that the loop is dealing with.
private actor Token {
    private var token: String?

    func put(_ token: String?) { self.token = token }

    func take() -> String? {
        defer { token = nil }
        return token
    }
}
