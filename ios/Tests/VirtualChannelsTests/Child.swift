import Foundation
import VirtualChannels
import XCTest

/// A wallet in a process of its own: the program WalletChild, which lies beside the tests.
final class Child {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var buffer = Data()

    init(_ config: WalletConfig, mnemonic: String, _ arguments: String...) throws {
        process.executableURL = try Self.program()
        process.arguments = [config.databasePath, config.operatorUrl, config.esploraUrl] + arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
        tell(mnemonic)
    }

    var id: Int32 { process.processIdentifier }

    func tell(_ line: String) {
        try? input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    }

    /// The next line, or `nil` once it has ended.
    func line() -> String? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                defer { buffer.removeSubrange(...end) }
                return String(decoding: buffer[..<end], as: UTF8.self)
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            buffer.append(more)
        }
    }

    /// As the system does it: no more instruction of it runs. Answers the lines that it had written before.
    func kill() -> [String] {
        Foundation.kill(process.processIdentifier, SIGKILL)
        return rest()
    }

    /// All lines until it ends.
    func rest() -> [String] {
        try? input.fileHandleForWriting.close()
        var lines: [String] = []
        while let line = line() { lines.append(line) }
        process.waitUntilExit()
        return lines
    }

    private static func program() throws -> URL {
        #if os(Linux)
        let products = URL(fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        #else
        let products = Bundle(for: Child.self).bundleURL
        #endif
        return products.deletingLastPathComponent().appendingPathComponent("WalletChild")
    }
}
