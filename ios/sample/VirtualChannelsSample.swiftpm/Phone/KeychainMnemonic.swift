import VirtualChannels
import VirtualChannelsModel

/// Keeps the mnemonic in the Keychain of this device; makes one the first time. A real app shows the words once, to be written down.
struct KeychainMnemonic: MnemonicSource {
    /// Tells the wallets of one app apart.
    let account: String

    func mnemonic() async throws -> String {
        let keychain = MnemonicKeychain(account: account)
        return try keychain.read() ?? keychain.create()
    }
}
