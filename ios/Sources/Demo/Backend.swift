import Foundation
import RegtestProgram
import VirtualChannels

/// Where the demo runs: a regtest of its own, or any arkd by its address.
struct Backend {
    let `operator`: String
    let esplora: String
    let network: Network
    private let faucet: Faucet?
    private let regtest: Regtest?

    static func start() throws -> Backend {
        // An OPERATOR that is set and empty is a mistake: nothing falls back to a regtest of its own.
        if ProcessInfo.processInfo.environment["OPERATOR"] != nil {
            guard let `operator` = setting("OPERATOR") else { throw Failure("OPERATOR is set, but names no operator") }
            guard let esplora = setting("ESPLORA") else { throw Failure("OPERATOR needs ESPLORA beside it: the address of an Esplora API") }
            let faucet = setting("FAUCET").map(Faucet.init(url:))
            return try Backend(operator: `operator`, esplora: esplora, network: network(), faucet: faucet, regtest: nil)
        }
        say("starting bitcoind (regtest), Esplora and an Ark operator of our own …")
        let regtest = try Regtest(["--unit", setting("UNIT") ?? "second", "--session", "3"])
        return Backend(operator: regtest.operator, esplora: regtest.esplora, network: .regtest, faucet: regtest.faucet, regtest: regtest)
    }

    var hasFaucet: Bool { faucet != nil }

    /// Pays to the address and mines it; without a faucet asks for it.
    func fund(_ address: String, _ amount: Sats) async throws {
        guard let faucet else { return say("\nplease pay exactly \(amount) to\n\n    \(address)\n\nwaiting …") }
        try await faucet.pay(address, amount)
        try await mine()
    }

    /// Mines a block; without a faucet the chain goes on by itself.
    func mine() async throws {
        try await faucet?.mine()
    }

    /// Takes the operator away and brings it back, where it is ours; answers whether it did.
    func setOperator(running: Bool) async throws -> Bool {
        guard let regtest else { return false }
        try await regtest.fault("operator/\(running ? "start" : "stop")")
        return true
    }

    /// Asks until it holds.
    @MainActor
    func eventually(_ what: String, _ holds: @MainActor () async throws -> Bool) async throws {
        let patience: TimeInterval = hasFaucet ? 60 : 24 * 3600
        let end = Date(timeIntervalSinceNow: patience)
        while try await !holds() {
            if Date() > end { throw Failure("waited \(Int(patience)) s for \(what)") }
            try await Task.sleep(nanoseconds: hasFaucet ? 300_000_000 : 10_000_000_000)
        }
    }

    func stop() {
        regtest?.stop()
    }

    private static func network() throws -> Network {
        switch setting("NETWORK") {
        case nil, "regtest": .regtest
        case "mutinynet": .mutinynet
        case "signet": .signet
        case "testnet": .testnet
        case "bitcoin": .bitcoin
        case let other?: throw Failure("NETWORK is \(other), expected regtest, mutinynet, signet, testnet or bitcoin")
        }
    }

    private static func setting(_ name: String) -> String? {
        var value = (ProcessInfo.processInfo.environment[name] ?? "").trimmingCharacters(in: .whitespaces)
        while value.hasSuffix("/") { value.removeLast() }
        return value.isEmpty ? nil : value
    }
}

/// Why the demo failed, as a sentence.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The time since it was made.
struct Stopwatch: CustomStringConvertible, Sendable {
    private let started = Date()

    var seconds: TimeInterval { -started.timeIntervalSinceNow }

    var description: String { String(format: "%.1f s", seconds) }
}
