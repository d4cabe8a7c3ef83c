/// The answer, or `nil` where a stream ends: the wallet is closed, or the task cancelled.
@discardableResult
func untilTheEnd<Answer>(_ call: () async throws -> Answer) async throws -> Answer? {
    do {
        return try await call()
    } catch WalletError.Closed {
        return nil
    } catch is CancellationError {
        return nil
    }
}

extension Wallet {
    /// Makes a call, again once the database is picked up when it was released.
    func acrossRelease<Answer>(_ call: () async throws -> Answer) async throws -> Answer {
        var version: UInt64 = 0
        while true {
            // At once the first time. Asked before the call: picking up the database between the two counts as a change.
            version = try await waitForChange(seen: version)
            do {
                return try await call()
            } catch WalletError.DatabaseReleased {
                continue
            }
        }
    }
}
