import VirtualChannels
import VirtualChannelsModel
import XCTest

/// A wallet that two ask for at once: the screen, and a task in the background that has started the app.
final class OpeningTests: ModelStory, @unchecked Sendable {
    func testWhoComesSecondWaitsForTheFirst() async throws {
        try await onMain { [self] in
            let words = SlowWords(words: try generateMnemonic())
            let model = WalletModel(config: config("wallet"), mnemonics: words)
            let first = Task { @MainActor in
                await model.open()
                return model.wallet
            }
            await words.asked()
            // The first goes away, as a screen does: the others still wait for the wallet.
            first.cancel()
            let others = (0..<8).map { _ in
                Task { @MainActor in
                    await model.open()
                    return (model.wallet, model.state.phase)
                }
            }
            // All of them have asked before the words are there.
            await Task { @MainActor in }.value
            await words.give()
            let wallet = await first.value
            XCTAssertNotNil(wallet)
            for other in others {
                let (same, phase) = await other.value
                XCTAssertTrue(same != nil && same === wallet, "another wallet, or none")
                XCTAssertEqual(phase, .open)
            }
            let asked = await words.count
            XCTAssertEqual(asked, 1)
            await model.shutdown()
        }
    }

    func testWhoEndsItMeanwhileEndsWhatIsOpened() async throws {
        try await onMain { [self] in
            let words = SlowWords(words: try generateMnemonic())
            let model = WalletModel(config: config("wallet"), mnemonics: words)
            let open = Task { @MainActor in await model.open() }
            await words.asked()
            let end = Task { @MainActor in await model.shutdown() }
            await Task { @MainActor in }.value
            await words.give()
            await open.value
            await end.value
            XCTAssertEqual(model.state.phase, .closed)
            XCTAssertNil(model.wallet)
            XCTAssertNil(model.state.problem)
        }
    }

    func testAnAppThatGoesToSleepWhileItOpens() async throws {
        try await onMain { [self] in
            let words = SlowWords(words: try generateMnemonic())
            let model = WalletModel(config: config("wallet"), mnemonics: words)
            let open = Task { @MainActor in await model.open() }
            await words.asked()
            let rest = Task { @MainActor in await model.rest() }
            await Task { @MainActor in }.value
            await words.give()
            await rest.value
            XCTAssertEqual(model.state.phase, .resting, "it would hold the database while it sleeps")
            await open.value
            XCTAssertNil(model.state.problem)
            await model.wake()
            XCTAssertEqual(model.state.phase, .open)
            await model.shutdown()
        }
    }

    func testOpeningThatFailsIsTriedAgain() async throws {
        try await onMain { [self] in
            try await regtest.fault("operator/stop")
            let model = WalletModel(config: config("wallet"), mnemonics: Words(words: try generateMnemonic()))
            async let first: Void = model.open()
            async let second: Void = model.open()
            _ = await (first, second)
            XCTAssertNotNil(model.state.problem, "the first time it needs the operator")
            XCTAssertNil(model.wallet)
            try await regtest.fault("operator/start")
            await model.open()
            XCTAssertNil(model.state.problem)
            XCTAssertEqual(model.state.phase, .open)
            await model.shutdown()
        }
    }
}

/// A Keychain that takes its time.
private actor SlowWords: MnemonicSource {
    private let words: String
    private(set) var count = 0
    private var given = false
    private var waiting: [CheckedContinuation<Void, Never>] = []
    private var watching: [CheckedContinuation<Void, Never>] = []

    init(words: String) {
        self.words = words
    }

    func mnemonic() async -> String {
        count += 1
        for watcher in watching { watcher.resume() }
        watching = []
        if !given { await withCheckedContinuation { waiting.append($0) } }
        return words
    }

    /// Waits until somebody asks for the words.
    func asked() async {
        if count == 0 { await withCheckedContinuation { watching.append($0) } }
    }

    func give() {
        given = true
        for waiter in waiting { waiter.resume() }
        waiting = []
    }
}
