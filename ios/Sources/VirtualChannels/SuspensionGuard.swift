import Foundation

#if canImport(UIKit) && !os(watchOS)
import UIKit
#endif

/// Lets go of a wallet's database when the app goes to the background, and picks it up when it comes back.
///
/// ```swift
/// let guardian = SuspensionGuard(DatabaseLease(wallet))    // keep it as long as the wallet
/// ```
///
/// On iOS it asks the system for the moment that letting go takes. Work in the background (a `BGTask`) runs within
/// ``DatabaseLease/during(isolation:_:)``: the app may come and go meanwhile, and the last of the two lets go of the database.
public final class SuspensionGuard: @unchecked Sendable {
    private let center: NotificationCenter
    private var observers: [any NSObjectProtocol] = []

    /// Follows two notifications; on iOS there is an initialiser that knows their names.
    ///
    /// - Parameters:
    ///   - lease: Whose database it is.
    ///   - sleeping: Says that the app is about to be suspended.
    ///   - waking: Says that it comes back.
    ///   - center: Where they are posted.
    ///   - failed: Told when the database could not be picked up.
    public init(
        _ lease: DatabaseLease, sleeping: Notification.Name, waking: Notification.Name, center: NotificationCenter = .default,
        failed: @escaping @Sendable (any Error) -> Void = { _ in }
    ) {
        self.center = center
        observers = [
            // No queue: in the thread that posts, before the app goes on to sleep, and in the order of the posts.
            center.addObserver(forName: sleeping, object: nil, queue: nil) { _ in
                let gone = lease.letGo()
                Self.stayAwake(until: gone)
            },
            center.addObserver(forName: waking, object: nil, queue: nil) { _ in
                let there = lease.pickUp()
                Task {
                    do { try await there.value } catch { failed(error) }
                }
            },
        ]
    }

    deinit {
        for observer in observers { center.removeObserver(observer) }
    }

    /// Has the system wait. Unlike a background task of `UIApplication` this is there in extensions, too.
    private static func stayAwake(until gone: Task<Void, any Error>) {
        #if os(iOS) || os(tvOS) || os(watchOS) || os(visionOS)
        let done = DispatchSemaphore(value: 0)
        ProcessInfo.processInfo.performExpiringActivity(withReason: "letting go of the wallet's database") { expired in
            // Called again when the time is over: whoever still holds the database is work that has got time of its own.
            guard !expired else {
                done.signal()
                return
            }
            Task {
                _ = await gone.result
                done.signal()
            }
            done.wait()
        }
        #endif
    }
}

#if canImport(UIKit) && !os(watchOS)
extension SuspensionGuard {
    /// Follows the app's own going to the background and coming back.
    ///
    /// - Parameters:
    ///   - lease: Whose database it is.
    ///   - failed: Told when the database could not be picked up.
    @MainActor
    public convenience init(_ lease: DatabaseLease, failed: @escaping @Sendable (any Error) -> Void = { _ in }) {
        self.init(
            lease, sleeping: UIApplication.didEnterBackgroundNotification, waking: UIApplication.willEnterForegroundNotification,
            failed: failed)
    }
}
#endif
