import Foundation
import RegtestProgram
import VirtualChannels
import VirtualChannelsModel
import XCTest

/// One regtest for all tests of a class, and a folder for each test.
class ModelStory: XCTestCase, @unchecked Sendable {
    /// One at a time: XCTest runs classes one after the other.
    nonisolated(unsafe) private(set) static var running: Regtest?

    var regtest: Regtest { Self.running! }
    private(set) var folder = URL(fileURLWithPath: "/nowhere")

    override class func setUp() {
        super.setUp()
        do { running = try Regtest(["--unit", "second", "--session", "1"]) } catch { fatalError("no regtest: \(error)") }
    }

    override class func tearDown() {
        running?.stop()
        running = nil
        super.tearDown()
    }

    override func setUpWithError() throws {
        try super.setUpWithError()
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("models-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
        try super.tearDownWithError()
    }

    /// Models live on the main actor; a test case cannot, as Swift 6.0 finds tests on Linux.
    func onMain(_ test: @MainActor () async throws -> Void) async throws {
        try await test()
    }

    @MainActor
    func phone(_ name: String) async throws -> Phone {
        let phone = Phone(config(name), mnemonic: try generateMnemonic())
        try await phone.open()
        return phone
    }

    func config(_ name: String, network: Network = .regtest) -> WalletConfig {
        WalletConfig(
            databasePath: folder.appendingPathComponent("\(name).db").path, network: network, operatorUrl: regtest.operator,
            esploraUrl: regtest.esplora)
    }

    /// Money on chain, brought into Ark and confirmed, with the models alone.
    @MainActor
    func fund(_ phone: Phone, _ amount: Sats, between: () async throws -> Void = {}) async throws {
        let address = try XCTUnwrap(phone.wallet.state.boardingAddress)
        try await regtest.pay(address, amount)
        try await regtest.mine()
        try await between()
        try await eventually("the coins") {
            await phone.wallet.refresh()
            return phone.wallet.state.balance?.boarding == amount
        }
        await phone.wallet.settle()
        XCTAssertNil(phone.wallet.state.problem)
        try await between()
        try await regtest.mine()
        try await eventually("the batch") {
            await phone.wallet.refresh()
            return phone.wallet.state.balance?.settled == amount
        }
    }
}

/// A phone with the app on it: a wallet and all models.
@MainActor
final class Phone {
    private let config: WalletConfig
    private let words: Words
    private(set) var wallet: WalletModel
    private var models: (PayerModel, ReceiverModel, ChannelListModel)?

    init(_ config: WalletConfig, mnemonic: String) {
        self.config = config
        words = Words(words: mnemonic)
        wallet = WalletModel(config: config, mnemonics: words)
    }

    var payer: PayerModel { models!.0 }
    var receiver: ReceiverModel { models!.1 }
    var list: ChannelListModel { models!.2 }

    func open() async throws {
        await wallet.open()
        XCTAssertNil(wallet.state.problem)
        let opened = try XCTUnwrap(wallet.wallet)
        models = (PayerModel(wallet: opened), ReceiverModel(wallet: opened), ChannelListModel(wallet: opened))
    }

    /// As when the system ends the app: nothing of it is left but the database and the mnemonic. Then it is started again.
    func kill() async throws {
        models = nil
        wallet = WalletModel(config: config, mnemonics: words)
        try await open()
    }

    /// The list's row of the channel, after a look at chain and operator.
    func row(_ channel: String) async throws -> ChannelRow {
        await list.refresh()
        XCTAssertNil(list.state.problem)
        return try XCTUnwrap(list.state.rows?.first { $0.id == channel })
    }

    func shutdown() async {
        await wallet.shutdown()
        XCTAssertNil(wallet.state.problem)
    }
}

/// A mnemonic in memory.
struct Words: MnemonicSource {
    let words: String

    func mnemonic() -> String { words }
}

/// Asks until it holds, at most a minute.
@MainActor
func eventually(_ what: String, _ holds: @MainActor () async throws -> Bool) async throws {
    let end = Date(timeIntervalSinceNow: 60)
    while try await !holds() {
        if Date() > end { throw Regtest.Failure(description: "waited a minute for \(what)") }
        try await Task.sleep(nanoseconds: 100_000_000)
    }
}
