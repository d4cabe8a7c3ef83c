import UIKit

/// A little time before the system suspends the app.
enum Suspension {
    /// Runs the work to its end, which the system grants for some seconds after the app has gone to the background.
    @MainActor
    static func run(_ work: @escaping @MainActor () async -> Void) {
        let application = UIApplication.shared
        var token = UIBackgroundTaskIdentifier.invalid
        func end() {
            application.endBackgroundTask(token)
            token = .invalid
        }
        token = application.beginBackgroundTask { end() }
        Task { @MainActor in
            await work()
            end()
        }
    }
}
