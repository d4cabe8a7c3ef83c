import BackgroundTasks
import Foundation
import VirtualChannelsModel

/// Runs the wallet's maintenance now and then while the app is not used: a receiver must look at the chain, and close in time. The
/// system starts the app for it where it does not run, without a scene: nothing here needs a screen.
enum Maintenance {
    private static let identifier = "org.virtualchannels.sample.maintenance"

    /// Says what is to be done; before the app has finished launching.
    static func register() {
        BGTaskScheduler.shared.register(forTaskWithIdentifier: identifier, using: .main) { task in
            MainActor.assumeIsolated { run(task) }
        }
    }

    /// Asks for the next run: in six hours, or when the wallet says, if that is earlier. The system decides when it really is.
    @MainActor
    static func schedule() {
        let request = BGProcessingTaskRequest(identifier: identifier)
        request.requiresNetworkConnectivity = true
        let advised = AppState.shared.wallet?.state.nextRun.map { Date(timeIntervalSince1970: TimeInterval($0)) }
        request.earliestBeginDate = min(advised ?? .distantFuture, Date(timeIntervalSinceNow: 6 * 3600))
        // On the simulator there is no scheduler, and the app works without.
        try? BGTaskScheduler.shared.submit(request)
    }

    @MainActor
    private static func run(_ task: BGTask) {
        // An app that is killed meanwhile has asked for its next run all the same.
        schedule()
        let run = Run(task)
        // What the library has begun then goes on at the next run.
        task.expirationHandler = handler { await run.end(worked: false) }
        Task { await run.end(worked: await AppState.shared.maintain()) }
    }

    /// The system calls it in a thread of its own. Not isolated, therefore: a closure that is made on the main actor belongs to it, and
    /// ends the app when it is called anywhere else.
    private nonisolated static func handler(_ end: @escaping @MainActor @Sendable () async -> Void) -> @Sendable () -> Void {
        { Task { await end() } }
    }

    /// One run; ended once, by itself or because the time is over.
    @MainActor
    private final class Run {
        private let task: BGTask
        private var ended = false

        init(_ task: BGTask) {
            self.task = task
        }

        func end(worked: Bool) async {
            guard !ended else { return }
            ended = true
            schedule()
            await AppState.shared.rest()
            task.setTaskCompleted(success: worked)
        }
    }
}
