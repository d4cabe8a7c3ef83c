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
    /// `nil` until the wallet is open.
    @Published private(set) var models: Models?

    private init() {
        if let servers = Servers.stored() { use(servers) }
    }

    /// Opens the wallet with these servers, now and at the next start.
    func use(_ servers: Servers) {
        guard let files = try? WalletFiles.standard(wallet: servers.name) else { return }
        servers.store()
        let config = WalletConfig(
            databasePath: files.database.path, network: servers.network, operatorUrl: servers.operator, esploraUrl: servers.esplora)
        let wallet = WalletModel(config: config, mnemonics: KeychainMnemonic(account: servers.name))
        self.wallet = wallet
        Task { await open(wallet) }
    }

    /// Back to the form, where opening with these servers did not work.
    func forgetServers() {
        Servers.forget()
        wallet = nil
        models = nil
    }

    /// Suspended apps must hold no lock on the database.
    func scene(is phase: ScenePhase) {
        guard let wallet else { return }
        switch phase {
        case .active:
            Task {
                await open(wallet)
                await wallet.wake()
                await wallet.refresh()
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
        await wallet.open()
        guard models == nil, let opened = wallet.wallet else { return }
        models = Models(
            wallet: wallet, payer: PayerModel(wallet: opened), receiver: ReceiverModel(wallet: opened),
            channels: ChannelListModel(wallet: opened))
    }
}
