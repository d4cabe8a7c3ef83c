import Foundation
import VirtualChannels
import VirtualChannelsModel

/// One of the two phones: a wallet and the models on it.
@MainActor
struct Party {
    let name: String
    let model: WalletModel
    let wallet: Wallet
    let channels: ChannelListModel

    init(_ name: String, _ folder: URL, _ backend: Backend) async throws {
        self.name = name
        let path = folder.appendingPathComponent("\(name).db").path
        let config = WalletConfig(
            databasePath: path, network: backend.network, operatorUrl: backend.operator, esploraUrl: backend.esplora)
        model = WalletModel(config: config, mnemonics: Words(words: try generateMnemonic()))
        await model.open()
        try check(model.state.problem)
        guard let wallet = model.wallet else { throw Failure("the \(name)'s wallet did not open") }
        self.wallet = wallet
        channels = ChannelListModel(wallet: wallet)
    }

    /// The balance, asked for anew.
    func balance() async throws -> Balance {
        await model.refresh()
        try check(model.state.problem)
        guard let balance = model.state.balance else { throw Failure("the \(name) knows no balance") }
        return balance
    }

    /// The channel's line in the list, after a look at chain and operator.
    func row(_ channel: String) async throws -> ChannelRow? {
        await channels.refresh()
        try check(channels.state.problem)
        return channels.state.rows?.first { $0.id == channel }
    }

    func settle() async throws {
        await model.settle()
        try check(model.state.problem)
        say("   \(name): commitment transaction \(model.state.settled?.commitmentTxid ?? "none")")
    }
}

/// Throws what a model shows as its problem.
func check(_ problem: String?) throws {
    if let problem { throw Failure(problem) }
}

/// A mnemonic for the length of the demo.
private struct Words: MnemonicSource {
    let words: String

    func mnemonic() -> String { words }
}
