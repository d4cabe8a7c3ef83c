import Foundation

#if canImport(os)
import os
#endif

/// A log sink that is a function.
///
/// ```swift
/// setLogSink(sink: ClosureLogSink { record in tellCrashReporter(record.text) }, level: .warn)
/// ```
///
/// The function is called on a thread of the library's, one record after the other. It may take its time, throw, or call the library.
public final class ClosureLogSink: LogSink {
    private let take: @Sendable (LogRecord) throws -> Void

    /// A sink that gives each record to `take`.
    public init(_ take: @escaping @Sendable (LogRecord) throws -> Void) {
        self.take = take
    }

    /// Takes a record.
    public func log(record: LogRecord) throws {
        try take(record)
    }
}

/// Writes the log to the standard error stream, a line a record: `12:00:00.123 info wallet: …`.
public final class StandardErrorLogSink: LogSink {
    /// A sink that writes to the standard error stream.
    public init() {}

    /// Writes a record.
    public func log(record: LogRecord) {
        FileHandle.standardError.write(Data((record.line + "\n").utf8))
    }
}

extension LogRecord {
    /// The record as one line of text, with the time of day in UTC.
    public var line: String {
        let day: UInt64 = 86_400_000
        let (seconds, millis) = ((unixMillis % day) / 1_000, unixMillis % 1_000)
        let time = [seconds / 3_600, seconds / 60 % 60, seconds % 60].map { $0 < 10 ? "0\($0)" : "\($0)" }.joined(separator: ":")
        return "\(time).\(String(1_000 + millis).dropFirst()) \(level) \(target): \(text)"
    }
}

#if canImport(os)
/// Writes the log to the system's: in Xcode's console, in Console, and in what `log collect` saves.
///
/// ```swift
/// setLogSink(sink: OSLogSink(), level: .info)
/// ```
///
/// The records hold no secret. They do hold ids of channels and transactions and amounts, which the system keeps private by default: such
/// text is shown as `<private>` where no debugger is attached.
public final class OSLogSink: LogSink {
    private let subsystem: String

    /// - Parameter subsystem: As the app calls itself in the log; each part of the library is a category of it.
    public init(subsystem: String = "org.virtualchannels") {
        self.subsystem = subsystem
    }

    /// Writes a record.
    public func log(record: LogRecord) {
        let type: OSLogType =
            switch record.level {
            case .error: .fault
            case .warn: .error
            case .info: .info
            case .debug: .debug
            }
        Logger(subsystem: subsystem, category: record.target).log(level: type, "\(record.text, privacy: .private)")
    }
}
#endif
