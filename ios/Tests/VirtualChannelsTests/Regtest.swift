import Foundation
import VirtualChannels

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// A regtest of one's own: bitcoind, Esplora, a faucet and an Ark operator, on free ports of this machine.
///
/// It is the program `regtest` of the workspace; the environment variable REGTEST says where it is. What it logs is in
/// `regtest.log` in the folder for temporary files.
final class Regtest: @unchecked Sendable {
    /// The operator's gRPC address.
    let `operator`: String
    /// The Esplora API's address, with a faucet.
    let esplora: String
    /// Where faults are asked for.
    let admin: String
    private let process: Process
    private let input: Pipe

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Starts one, and returns once it takes calls. The arguments are those of `regtest --help`.
    init(_ arguments: [String]) throws {
        guard let program = ProcessInfo.processInfo.environment["REGTEST"] else {
            throw Failure(description: "REGTEST must name the program regtest")
        }
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
    func stop() {
        try? input.fileHandleForWriting.close()
        process.waitUntilExit()
    }

    /// Pays to the address; it confirms with the next block that is mined.
    func pay(_ address: String, _ amount: Sats) async throws {
        try await post("\(esplora)/faucet/\(address)/\(amount.value)")
    }

    /// Mines blocks, the first of them so many seconds after the chain's clock.
    func mine(_ blocks: Int = 1, afterSeconds: Int = 0) async throws {
        try await post("\(esplora)/mine/\(blocks)?after=\(afterSeconds)")
    }

    /// `operator/stop`, `operator/start`, `esplora/hang`, `reorg/2`, …
    func fault(_ path: String) async throws {
        try await post("\(admin)/\(path)")
    }

    private func post(_ address: String) async throws {
        guard let url = URL(string: address) else { throw Failure(description: "\(address) is no address") }
        var request = URLRequest(url: url, timeoutInterval: 60)
        request.httpMethod = "POST"
        let (body, response) = try await URLSession.shared.data(for: request)
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        guard status == 200 else {
            throw Failure(description: "\(address) answered \(status): \(String(decoding: body, as: UTF8.self))")
        }
    }
}
