import VirtualChannels

extension Wallet {
    /// `Wallet.settle(renew:)` for a button that may be pressed again: what the last one brought is preconfirmed until a block confirms
    /// its batch, and settling it once more would cost another fee and gain nothing.
    func settle(after last: Settlement?) async throws -> Settlement {
        if let last {
            let balance = try await balance()
            if balance.boarding + balance.recoverable == .zero, balance.preconfirmed == last.amount {
                throw Problem("Nothing new to settle: the last batch waits for its confirmation")
            }
        }
        return try await settle()
    }
}
