import Foundation

/// A clock that stands still until it is told otherwise, for tests and previews.
///
/// ```swift
/// let clock = ManualClock(unixSeconds: 1_800_000_000)
/// let wallet = try await Wallet.open(config: config, mnemonic: mnemonic, clock: clock)
/// clock.advance(by: 86_400)
/// ```
///
/// The wallet trusts no clock alone: its time never runs backwards, and is never behind the chain's.
public final class ManualClock: Clock, @unchecked Sendable {
    private let lock = NSLock()
    private var now: UInt64

    /// A clock that says so many seconds since 1970, UTC.
    public init(unixSeconds: UInt64) {
        now = unixSeconds
    }

    /// A clock that says what the system's said when it was made.
    public convenience init() {
        self.init(unixSeconds: UInt64(max(0, Date().timeIntervalSince1970)))
    }

    /// What the clock says: seconds since 1970, UTC.
    public func unixSeconds() -> UInt64 {
        lock.lock()
        defer { lock.unlock() }
        return now
    }

    /// Moves the clock on by so many seconds.
    public func advance(by seconds: UInt64) {
        lock.lock()
        defer { lock.unlock() }
        now += seconds
    }
}
