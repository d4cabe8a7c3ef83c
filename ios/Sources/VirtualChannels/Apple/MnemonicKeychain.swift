#if canImport(Security)
import Foundation
import Security

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
        public let status: OSStatus

        /// The Keychain's own words.
        public var errorDescription: String? {
            (SecCopyErrorMessageString(status, nil) as String?) ?? "the Keychain answered \(status)"
        }
    }

    private let service: String
    private let account: String

    /// - Parameters:
    ///   - account: Tells several wallets of one app apart.
    ///   - service: Under which name the app keeps them.
    public init(account: String = "default", service: String = "org.virtualchannels.mnemonic") {
        self.account = account
        self.service = service
    }

    /// The mnemonic, or `nil` where none has been kept. Throws ``Failure`` where the Keychain cannot be read, as before the first unlocking:
    /// that is no reason to make a new one.
    public func read() throws -> String? {
        var query = item
        query[kSecReturnData] = true
        query[kSecMatchLimit] = kSecMatchLimitOne
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound { return nil }
        guard status == errSecSuccess, let data = found as? Data else { throw Failure(status: status) }
        return String(decoding: data, as: UTF8.self)
    }

    /// Makes twelve fresh words and keeps them. Throws ``Failure`` where there are some already.
    public func create() throws -> String {
        let mnemonic = try generateMnemonic()
        try keep(mnemonic)
        return mnemonic
    }

    /// Keeps the words that somebody typed in. Throws ``Failure`` where there are some already: nothing is ever replaced.
    public func keep(_ mnemonic: String) throws {
        var new = item
        new[kSecValueData] = Data(mnemonic.utf8)
        new[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let status = SecItemAdd(new as CFDictionary, nil)
        guard status == errSecSuccess else { throw Failure(status: status) }
    }

    /// Forgets the mnemonic. Whoever has not written it down has lost the money.
    public func forget() throws {
        let status = SecItemDelete(item as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw Failure(status: status) }
    }

    private var item: [CFString: Any] {
        [
            kSecClass: kSecClassGenericPassword,
            kSecAttrService: service,
            kSecAttrAccount: account,
            kSecAttrSynchronizable: false,
            kSecUseDataProtectionKeychain: true,
        ]
    }
}
#endif
