import Foundation

/// Ends the process when a test stands still: XCTest has no limit of its own on Linux, and whoever runs it would never hear of it.
final class Watchdog: @unchecked Sendable {
    private let timer: any DispatchSourceTimer

    /// Waits for `test` from now on.
    init(_ test: String, seconds: Int = 150) {
        timer = DispatchSource.makeTimerSource(queue: .global())
        timer.setEventHandler {
            FileHandle.standardError.write(Data("\n\(test): error: stands still for \(seconds) s\n".utf8))
            abort()
        }
        timer.schedule(deadline: .now() + .seconds(seconds))
        timer.resume()
    }

    func stop() {
        timer.cancel()
    }
}
