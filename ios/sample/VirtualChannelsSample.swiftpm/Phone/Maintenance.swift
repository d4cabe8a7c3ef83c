import BackgroundTasks
import VirtualChannelsModel

/// Runs the wallet's maintenance now and then while the app is not used: a receiver must look at the chain, and close in time.
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
        var ended = false
        func end(_ worked: Bool) async {
            // Ended once: by itself, or because the time is over.
            guard !ended else { return }
            ended = true
            schedule()
            await AppState.shared.rest()
            task.setTaskCompleted(success: worked)
        }
        // What the library has begun then goes on at the next run.
        task.expirationHandler = { Task { @MainActor in await end(false) } }
        Task { @MainActor in await end(await AppState.shared.maintain()) }
    }
}
