import Foundation
// All tests of this target have it.
@_exported import RegtestProgram
import VirtualChannels
import XCTest

/// One regtest for all tests of a class, and a folder for each test.
class Story: XCTestCase {
    /// One at a time: XCTest runs classes one after the other.
    nonisolated(unsafe) private(set) static var running: Regtest?

    /// What the class wants of its regtest; see `regtest --help`.
    class var arguments: [String] { ["--unit", "second", "--session", "1"] }

    var regtest: Regtest { Self.running! }
    private(set) var folder = URL(fileURLWithPath: "/nowhere")
    private var watchdog: Watchdog?

    override class func setUp() {
        super.setUp()
        do { running = try Regtest(arguments) } catch { fatalError("no regtest: \(error)") }
    }

    override class func tearDown() {
        running?.stop()
        running = nil
        super.tearDown()
    }

    override func setUpWithError() throws {
        try super.setUpWithError()
        watchdog = Watchdog(name)
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("swift-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        watchdog?.stop()
        try FileManager.default.removeItem(at: folder)
        try super.tearDownWithError()
    }

    func config(_ name: String) -> WalletConfig {
        WalletConfig(
            databasePath: folder.appendingPathComponent("\(name).db").path, network: .regtest, operatorUrl: regtest.operator,
            esploraUrl: regtest.esplora)
    }

    func open(_ name: String, mnemonic: String? = nil, clock: (any Clock)? = nil) async throws -> Wallet {
        try await Wallet.open(config: config(name), mnemonic: mnemonic ?? generateMnemonic(), clock: clock)
    }

    /// Which files of that name the process has open; on systems without /proc none is seen.
    func openFiles(_ name: String) -> [String] {
        let numbers = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        let files = numbers.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)") }
        return files.filter { $0.contains(folder.lastPathComponent) && $0.contains(name) }
    }

    /// Money on chain, brought into Ark and confirmed.
    func fund(_ wallet: Wallet, _ amount: Sats) async throws {
        try await regtest.pay(wallet.boardingAddress(), amount)
        try await regtest.mine()
        try await eventually("the coins") { try await wallet.balance().boarding == amount }
        _ = try await wallet.settle()
        try await regtest.mine()
        try await eventually("the batch") { try await wallet.balance().settled == amount }
    }
}

/// Two wallets and an open channel between them.
struct Pair: Sendable {
    static let capacity: Sats = 100_000
    let payer: Wallet
    let receiver: Wallet
    let channel: String

    func shutdown() async throws {
        try await payer.shutdown()
        try await receiver.shutdown()
    }
}

extension Story {
    /// A channel funded off chain: open at once.
    func pair(
        mnemonic: String? = nil, receiverMnemonic: String? = nil, clock: (any Clock)? = nil, receiverClock: (any Clock)? = nil
    ) async throws -> Pair {
        let payer = try await open("payer", mnemonic: mnemonic, clock: clock)
        let receiver = try await open("receiver", mnemonic: receiverMnemonic, clock: receiverClock)
        try await fund(payer, Pair.capacity * 2)
        let invite = try await receiver.createInvite(request: InviteRequest())
        let request = ProposeRequest(capacity: Pair.capacity, funding: .offchain)
        let proposal = try await payer.propose(invite: invite, request: request)
        guard case .open(let channel) = try await receiver.accept(offer: proposal.offer) else {
            throw Regtest.Failure(description: "a channel funded off chain is open at once")
        }
        return Pair(payer: payer, receiver: receiver, channel: channel)
    }
}

/// Asks until it holds, at most a minute.
func eventually(_ what: String, every milliseconds: UInt64 = 100, _ holds: () async throws -> Bool) async throws {
    let end = Date(timeIntervalSinceNow: 60)
    while try await !holds() {
        if Date() > end { throw Regtest.Failure(description: "waited a minute for \(what)") }
        try await Task.sleep(nanoseconds: milliseconds * 1_000_000)
    }
}

/// The error that a call throws.
func refusal<T>(_ call: () async throws -> T, file: StaticString = #filePath, line: UInt = #line) async throws -> WalletError {
    do {
        let answer = try await call()
        XCTFail("answered \(answer)", file: file, line: line)
        throw Regtest.Failure(description: "nothing was thrown")
    } catch let error as WalletError {
        return error
    }
}
