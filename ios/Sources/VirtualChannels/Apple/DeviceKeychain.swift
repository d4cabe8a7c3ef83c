#if canImport(Security)
import Foundation
import Security

extension MnemonicKeychain {
    /// The Keychain of this device.
    ///
    /// - Parameters:
    ///   - account: Tells several wallets of one app apart.
    ///   - service: Under which name the app keeps them.
    public init(account: String = "default", service: String = "org.virtualchannels.mnemonic") {
        self.init(items: DeviceItem(service: service, account: account))
    }
}

/// The Keychain's own words.
func keychainText(_ status: OSStatus) -> String? {
    SecCopyErrorMessageString(status, nil) as String?
}

/// An item that stays on this device, and is readable from the first unlocking after a restart on.
private struct DeviceItem: KeychainItems {
    let service: String
    let account: String

    func find() throws -> Data? {
        var query = item
        query[kSecReturnData] = true
        query[kSecMatchLimit] = kSecMatchLimitOne
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound { return nil }
        guard status == errSecSuccess, let data = found as? Data else { throw MnemonicKeychain.Failure(status: status) }
        return data
    }

    func add(_ data: Data) throws {
        var new = item
        new[kSecValueData] = data
        new[kSecAttrAccessible] = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        let status = SecItemAdd(new as CFDictionary, nil)
        guard status == errSecSuccess else { throw MnemonicKeychain.Failure(status: status) }
    }

    func remove() throws {
        let status = SecItemDelete(item as CFDictionary)
        guard status == errSecSuccess || status == errSecItemNotFound else { throw MnemonicKeychain.Failure(status: status) }
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
