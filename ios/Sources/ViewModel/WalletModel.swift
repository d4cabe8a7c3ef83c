import Foundation
import VirtualChannels

/// Where the mnemonic is kept: the Keychain in an app, memory in a test.
public protocol MnemonicSource: Sendable {
    /// The twelve words. The first time it makes them (`generateMnemonic()`) and keeps them before it answers.
    func mnemonic() async throws -> String
}

/// What the wallet's own screen shows.
public struct WalletState: ScreenState {
    /// Whether there is a wallet to work with.
    public enum Phase: Sendable, Equatable {
        /// Not opened yet, or shut down.
        case closed
        /// All other models can be used.
        case open
        /// The app is in the background: the database is let go of, until ``WalletModel/wake()``.
        case resting
    }

    /// Whether there is a wallet to work with.
    public var phase = Phase.closed
    /// What the wallet holds, as it was seen last: without a network also by an earlier run of the app.
    public var balance: Balance?
    /// When that was, in unix seconds.
    public var balanceAt: UInt64?
    /// Coins that are sent here can be settled.
    public var boardingAddress: String?
    /// What ``WalletModel/restore(backup:)`` found, and what it could not do.
    public var restored: RestoreReport?
    /// What the last settling brought.
    public var settled: Settlement?
    /// When maintenance is to run again at the latest, in unix seconds; `nil` where nothing is pending, or it has not run yet.
    public var nextRun: UInt64?
    /// What a person must act upon, the oldest first; kept up by ``WalletModel/follow(pollSeconds:)``.
    public var notices: [Notice] = []
    /// The static backup, while it is shown: to be kept anywhere, beside the mnemonic.
    public var backup: String?
    /// Why the last action did not work.
    public var problem: String?
    /// Whether an action is under way.
    public var busy = false
}

/// Opens the wallet and keeps it in order.
public final class WalletModel: Model<WalletState> {
    /// The wallet, for the other models; `nil` until it is open.
    public private(set) var wallet: Wallet?
    private let config: WalletConfig
    /// Where the words are kept: for a screen that shows them to the phone's owner. No state has them.
    public let mnemonics: any MnemonicSource
    private var turn: Task<Void, Never>?
    private var opening: Task<Void, Never>?

    /// A model of a wallet that is not open yet.
    ///
    /// - Parameters:
    ///   - config: Where database, operator and chain server are; see `WalletFiles` for the database.
    ///   - mnemonics: Asked once, when the wallet is opened.
    public init(config: WalletConfig, mnemonics: any MnemonicSource) {
        self.config = config
        self.mnemonics = mnemonics
        super.init(WalletState())
    }

    /// Opens the wallet and goes on with what was interrupted. Without a network it opens all the same, but for the first time. Who calls
    /// while it is opened already, as a screen beside a task in the background, waits for that one.
    public func open() async {
        if let opening { return await opening.value }
        guard wallet == nil else { return }
        // A task of its own: whoever asked first may go away, the others still wait for it.
        let task = Task {
            await openOnce()
            opening = nil
        }
        opening = task
        await task.value
        // Nobody has to wait for the network with this.
        await resume()
    }

    /// Makes the wallet again from its words, in place of ``open()``: where the words are there and the database is not. With a backup
    /// (what ``backUp()`` showed) also its channels. ``WalletState/restored`` says what was found; where it warns of a server that was
    /// away, ``shutdown()`` and this once more add what is missing.
    public func restore(backup: String? = nil) async {
        while let opening { await opening.value }
        var restored = false
        let task = Task {
            await act("restore") {
                guard wallet == nil else { throw Problem("The wallet is open already") }
                let backup = backup?.trimmingCharacters(in: .whitespacesAndNewlines)
                let answer = try await restoreWallet(config: config, mnemonic: mnemonics.mnemonic(), backup: backup)
                try await adopt(answer.wallet)
                update { $0.restored = answer.report }
                restored = true
            }
            opening = nil
        }
        opening = task
        await task.value
        // What did not work stays on the screen.
        if restored { await resume() }
    }

    private func openOnce() async {
        await act("open") { try await adopt(Wallet.open(config: config, mnemonic: mnemonics.mnemonic())) }
    }

    private func adopt(_ opened: Wallet) async throws {
        let address = try await opened.boardingAddress()
        let last = try await opened.lastBalance()
        wallet = opened
        update {
            $0.phase = .open
            $0.boardingAddress = address
            $0.balance = last?.balance
            $0.balanceAt = last?.at
        }
    }

    /// Asks operator and chain what the wallet holds.
    public func refresh() async {
        await act("refresh") { try await look(opened()) }
    }

    /// Moves coins at the boarding address, and whatever channels left behind, into a batch: from then on it is final. Takes as long
    /// as the operator's next batch.
    public func settle() async {
        await act("settle") {
            let wallet = try opened()
            let settlement = try await wallet.settle(after: state.settled)
            update { $0.settled = settlement }
            try await look(wallet)
        }
    }

    /// Does what is due, in the background now and then: goes on with what was interrupted, looks at every channel that has not ended,
    /// closes what takes no more payments, takes back what is past its locktime, and settles. ``WalletState/nextRun`` says when to come
    /// back.
    public func maintain() async {
        await act("maintain") {
            let report = try await opened().maintain()
            update {
                $0.nextRun = report.nextRun
                if let settled = report.settled { $0.settled = settled }
            }
            // What failed did not stop the rest.
            if let failed = report.errors.first { throw failed.error }
        }
    }

    /// Lets go of the database, when the app goes to the background: iOS ends a suspended app that holds a lock. What is under way goes
    /// on after ``wake()``.
    public func rest() async {
        await inTurn {
            // What is opened just now would hold the database.
            await self.opening?.value
            await self.act("rest") {
                guard let wallet = self.wallet else { return }
                try await wallet.releaseDatabase()
                self.update { $0.phase = .resting }
            }
        }
    }

    /// Picks the database up again, and goes on with what was interrupted.
    public func wake() async {
        await inTurn {
            // Why it does not open stays on the screen.
            guard let wallet = self.wallet, self.state.phase == .resting else { return }
            await self.act("wake") {
                try await wallet.reopenDatabase()
                self.update { $0.phase = .open }
            }
        }
        // Not in turn: it may take its time with the network, and going to sleep must not wait for that.
        await resume()
    }

    /// The wallet's static backup, to be shown: ``WalletState/backup``. It is to be kept anywhere, once after each opening of a channel;
    /// it is encrypted, and nothing without the mnemonic.
    public func backUp() async {
        await act("backUp") {
            let text = try await opened().backup()
            update { $0.backup = text }
        }
    }

    /// Takes the backup off the screen.
    public func hideBackup() {
        update { $0.backup = nil }
    }

    /// Does at once what ``maintain()`` does now and then, looks again whenever something has happened, and keeps
    /// ``WalletState/notices``, until the task is cancelled or the wallet shut down. With SwiftUI: `.task { await model.follow() }`.
    ///
    /// It acknowledges every event that is no notice: an app that wants them for itself reads `Wallet.events()` instead.
    ///
    /// - Parameter pollSeconds: How often the chain is asked for a new block.
    public func follow(pollSeconds: UInt64 = 30) async {
        guard let wallet else { return }
        let (news, bell) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        async let live: Void = live(wallet, pollSeconds)
        // Beside the events: a server that takes its time holds up no notice.
        async let looks: Void = look(wallet, at: news)
        do {
            for try await events in wallet.waitingEvents() {
                if try await take(events, of: wallet) { bell.yield() }
            }
        } catch {
            update { $0.problem = sentence(error) }
        }
        bell.finish()
        _ = await (live, looks)
    }

    /// A person has acted upon it: it does not come again.
    public func dismiss(_ notice: Notice) async {
        await act("dismiss \(notice.id)") {
            try await opened().acknowledgeEvent(token: notice.id)
            update { $0.notices.removeAll { $0.id == notice.id } }
        }
    }

    /// Ends: waits for what is under way and lets go of the database.
    public func shutdown() async {
        await opening?.value
        await act("shutdown") {
            try await wallet?.shutdown()
            wallet = nil
            update { $0.phase = .closed }
        }
    }

    /// An app that comes back at once must not find that it goes to sleep after it woke: one after the other, in the order of the calls.
    private func inTurn(_ work: @escaping @MainActor () async -> Void) async {
        let before = turn
        let task = Task { @MainActor in
            await before?.value
            await work()
        }
        turn = task
        await task.value
    }

    private func resume() async {
        guard let wallet, state.phase == .open else { return }
        await act("resume") {
            do { _ = try await wallet.resume() } catch WalletError.DatabaseReleased, WalletError.Closed {}
        }
    }

    /// Shows the notices among the events, and acknowledges the others; answers whether there were any.
    private func take(_ events: [Event], of wallet: Wallet) async throws -> Bool {
        let notices = events.compactMap(Notice.init)
        update { $0.notices = notices }
        let others = events.filter { event in !notices.contains { $0.id == event.token } }
        do {
            for token in others.compactMap(\.token) { try await wallet.acknowledgeEvent(token: token) }
        } catch WalletError.DatabaseReleased, WalletError.Closed {
            // They come again.
        }
        return !others.isEmpty
    }

    private func live(_ wallet: Wallet, _ pollSeconds: UInt64) async {
        do { try await wallet.follow(pollSeconds: pollSeconds) } catch { update { $0.problem = sentence(error) } }
    }

    private func look(_ wallet: Wallet, at news: AsyncStream<Void>) async {
        // Without a network the last balance stays, with the time when it was seen.
        for await _ in news { try? await look(wallet) }
    }

    private func opened() throws -> Wallet {
        guard let wallet else { throw Problem("The wallet is not open") }
        return wallet
    }

    private func look(_ wallet: Wallet) async throws {
        let balance = try await wallet.balance()
        let now = UInt64(Date().timeIntervalSince1970)
        update {
            $0.balance = balance
            $0.balanceAt = now
        }
    }
}
