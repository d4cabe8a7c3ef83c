import Foundation

/// Keeps a mnemonic in the Keychain of this device.
///
/// ```swift
/// let keychain = MnemonicKeychain(account: "default")
/// let mnemonic = try keychain.read() ?? keychain.create()
/// let wallet = try await Wallet.open(config: config, mnemonic: mnemonic)
/// ```
///
/// The item stays on the device: it is in no backup and no iCloud Keychain, and a new phone has none. Whoever uses the app must have the
/// words on paper. It is readable from the first unlocking after a restart on, so that maintenance works on a locked phone.
///
/// One mnemonic, one phone: two that use the same words spend each other's coins. See the article about it.
public struct MnemonicKeychain: Sendable {
    /// What the Keychain answered; `status` is an `OSStatus`.
    public struct Failure: LocalizedError, Equatable {
        /// The Keychain's own code.
        public let status: Int32

        /// The Keychain's own words.
        public var errorDescription: String? { keychainText(status) ?? "the Keychain answered \(status)" }
    }

    private let items: any KeychainItems

    /// Over another place than the system's Keychain: tests on systems that have none.
    init(items: any KeychainItems) {
        self.items = items
    }

    /// The mnemonic, or `nil` where none has been kept. Throws ``Failure`` where the Keychain cannot be read, as before the first unlocking:
    /// that is no reason to make a new one.
    public func read() throws -> String? {
        try items.find().map { String(decoding: $0, as: UTF8.self) }
    }

    /// Makes twelve fresh words and keeps them. Throws ``Failure`` where there are some already.
    public func create() throws -> String {
        let mnemonic = try generateMnemonic()
        try keep(mnemonic)
        return mnemonic
    }

    /// Keeps the words that somebody typed in. Throws ``Failure`` where there are some already: nothing is ever replaced.
    public func keep(_ mnemonic: String) throws {
        try items.add(Data(mnemonic.utf8))
    }

    /// Forgets the mnemonic. Whoever has not written it down has lost the money.
    public func forget() throws {
        try items.remove()
    }
}

/// One item of a Keychain. All throw ``MnemonicKeychain/Failure``.
protocol KeychainItems: Sendable {
    /// What is kept, or `nil` where nothing is.
    func find() throws -> Data?
    /// Keeps it; fails where something is kept.
    func add(_ data: Data) throws
    /// Does nothing where nothing is kept.
    func remove() throws
}

#if !canImport(Security)
/// There is no Keychain that could say it.
private func keychainText(_ status: Int32) -> String? { nil }
#endif
