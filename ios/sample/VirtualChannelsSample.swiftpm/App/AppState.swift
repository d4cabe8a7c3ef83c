import Foundation
import SwiftUI
import UIKit
import VirtualChannels
import VirtualChannelsModel

/// The models of an open wallet.
@MainActor
struct Models {
    let wallet: WalletModel
    let payer: PayerModel
    let receiver: ReceiverModel
    let channels: ChannelListModel
}

/// What lives as long as the app: the wallet, and the models on it.
@MainActor
final class AppState: ObservableObject {
    static let shared = AppState()

    /// `nil` until the servers are known.
    @Published private(set) var wallet: WalletModel?
    /// Why there is no wallet with the servers that were chosen.
    @Published private(set) var problem: String?
    /// The words are on this phone and their database is not, as where the app was removed and installed again, since the Keychain keeps
    /// what it has; or a restore is not complete. A wallet that is opened instead would not know of its coins.
    @Published private(set) var restoring = false
    /// Where the wallet's files are.
    private(set) var files: WalletFiles?
    private var mnemonics: KeychainMnemonic?
    /// `nil` until the wallet is open.
    @Published private(set) var models: Models?

    private init() {
        if let servers = Servers.stored() { use(servers) }
    }

    /// Opens the wallet with these servers, now and at the next start.
    func use(_ servers: Servers) {
        let files: WalletFiles
        do {
            files = try WalletFiles.standard(wallet: servers.name)
            problem = nil
        } catch {
            problem = "The wallet's folder cannot be made: \(error.localizedDescription)"
            return
        }
        servers.store()
        let config = WalletConfig(
            databasePath: files.database.path, network: servers.network, operatorUrl: servers.operator, esploraUrl: servers.esplora)
        let mnemonics = KeychainMnemonic(account: servers.name)
        let wallet = WalletModel(config: config, mnemonics: mnemonics)
        self.files = files
        self.mnemonics = mnemonics
        self.wallet = wallet
        Task { await open(wallet) }
    }

    /// Back to the form, where opening with these servers did not work.
    func forgetServers() {
        Servers.forget()
        wallet = nil
        models = nil
        restoring = false
    }

    /// Suspended apps must hold no lock on the database.
    func scene(is phase: ScenePhase) {
        guard let wallet else { return }
        switch phase {
        case .active:
            Task {
                await open(wallet)
                await wallet.wake()
                if wallet.wallet != nil { await wallet.refresh() }
            }
        case .background:
            Maintenance.schedule()
            Suspension.run { await self.rest() }
        default: break
        }
    }

    /// Lets go of the database, unless the app is in use meanwhile.
    func rest() async {
        guard UIApplication.shared.applicationState == .background else { return }
        await wallet?.rest()
    }

    /// In the background, also where the app was started for it and has no scene: the wallet is opened here, or this waits for whoever
    /// opens it. Does what is due; answers whether all of it worked.
    func maintain() async -> Bool {
        guard let wallet else { return true }
        await open(wallet)
        await wallet.wake()
        await wallet.maintain()
        return wallet.state.problem == nil
    }

    /// Opens the wallet where that was not done yet, and makes the models on it.
    func open(_ wallet: WalletModel) async {
        if wallet.wallet == nil {
            do {
                restoring = try isToBeRestored()
                problem = nil
            } catch {
                // As before the first unlocking: nothing is opened that might have to be restored.
                problem = error.localizedDescription
                return
            }
        }
        // That asks for a person, who may have a backup.
        guard !restoring else { return }
        await wallet.open()
        show(wallet)
    }

    /// Makes the wallet again, with a backup where there is one. What it warns of may be had by another one, also at the next start.
    func restore(_ wallet: WalletModel, backup: String?) async {
        if wallet.wallet != nil { await wallet.shutdown() }
        mark?.put()
        await wallet.restore(backup: backup)
        guard let report = wallet.state.restored, wallet.wallet != nil else { return }
        if report.warnings.allSatisfy({ $0 == .noBackup }) { mark?.remove() }
        restoring = false
        show(wallet)
    }

    /// To the screen that restores, from a wallet whose restore was not complete.
    func restoreAgain(_ wallet: WalletModel) async {
        await wallet.shutdown()
        models = nil
        restoring = true
    }

    /// Opens what there is.
    func goOnWithout(_ wallet: WalletModel) async {
        mark?.remove()
        restoring = false
        await wallet.open()
        show(wallet)
    }

    private var mark: RestoreMark? { files.map { RestoreMark(folder: $0.folder) } }

    private func isToBeRestored() throws -> Bool {
        guard let files, let mnemonics else { return false }
        if mark?.isThere == true { return true }
        return try mnemonics.exists() && !FileManager.default.fileExists(atPath: files.database.path)
    }

    private func show(_ wallet: WalletModel) {
        guard models == nil, let opened = wallet.wallet else { return }
        models = Models(
            wallet: wallet, payer: PayerModel(wallet: opened), receiver: ReceiverModel(wallet: opened),
            channels: ChannelListModel(wallet: opened))
    }
}
