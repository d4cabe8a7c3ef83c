import VirtualChannels
import VirtualChannelsModel

/// Keeps the mnemonic in the Keychain of this device; makes one the first time. The wallet's screen shows the
/// words to the owner of the phone, to be written down.
struct KeychainMnemonic: MnemonicSource {
    /// Tells the wallets of one app apart.
    let account: String

    /// Whether there are words already.
    func exists() throws -> Bool {
        try MnemonicKeychain(account: account).read() != nil
    }

    func mnemonic() async throws -> String {
        let keychain = MnemonicKeychain(account: account)
        return try keychain.read() ?? keychain.create()
    }
}
