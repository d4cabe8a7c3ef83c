import Foundation
import VirtualChannels

/// A regtest of one's own: bitcoind, Esplora, a faucet and an Ark operator, on free ports of this machine.
///
/// It is the program `regtest` of the workspace; the environment variable REGTEST says where it is. What it logs is in
/// `regtest.log` in the folder for temporary files.
package final class Regtest: @unchecked Sendable {
    /// The operator's gRPC address.
    package let `operator`: String
    /// The Esplora API's address, with a faucet.
    package let esplora: String
    /// Where faults are asked for.
    package let admin: String
    private let process: Process
    private let input: Pipe

    /// It did not start, or an answer of it that is not the one that was asked for.
    package struct Failure: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) {
            self.description = description
        }
    }

    /// Starts one, and returns once it takes calls. The arguments are those of `regtest --help`.
    package init(_ arguments: [String]) throws {
        guard let program = ProcessInfo.processInfo.environment["REGTEST"] else {
            throw Failure(description: "REGTEST must name the program regtest")
        }
        // Who writes to a process or a server that has just ended gets an error, and is not ended by it.
        signal(SIGPIPE, SIG_IGN)
        let log = FileManager.default.temporaryDirectory.appendingPathComponent("regtest.log")
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = ["--with-parent"] + arguments
        // It ends when its standard input does, also when this process is killed.
        input = Pipe()
        process.standardInput = input
        let output = Pipe()
        process.standardOutput = output
        let errors = try FileHandle(forWritingTo: log)
        errors.seekToEndOfFile()
        process.standardError = errors
        try process.run()
        var line = Data()
        while !line.contains(UInt8(ascii: "\n")) {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { throw Failure(description: "\(program) ended before it was ready; see \(log.path)") }
            line.append(more)
        }
        let addresses = try JSONDecoder().decode([String: String].self, from: line)
        `operator` = addresses["operator"] ?? ""
        esplora = addresses["esplora"] ?? ""
        admin = addresses["admin"] ?? ""
    }

    /// Ends the program and all that it started.
    package func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Pays to the address; it confirms with the next block that is mined.
    package func pay(_ address: String, _ amount: Sats) async throws {
        try await faucet.pay(address, amount)
    }

    /// Mines blocks, the first of them so many seconds after the chain's clock.
    package func mine(_ blocks: Int = 1, afterSeconds: Int = 0) async throws {
        try await faucet.mine(blocks, afterSeconds: afterSeconds)
    }

    /// `operator/stop`, `operator/start`, `esplora/hang`, `reorg/2`, …
    package func fault(_ path: String) async throws {
        try await post("\(admin)/\(path)")
    }

    /// Who pays and mines here.
    package var faucet: Faucet { Faucet(url: esplora) }
}
