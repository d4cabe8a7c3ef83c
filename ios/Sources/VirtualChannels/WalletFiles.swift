import Foundation

/// Where a wallet's database lies: in a folder of its own, which is kept out of backups.
///
/// A backup of the database is of no use, and harmful when it is restored: an old state of a channel would come back, and the other
/// side has newer signatures. What is to be backed up is the mnemonic, once, and after each opening the static backup
/// (``Wallet/backup()``), which payments do not change. SQLite puts two more files beside the database while it is in use, so the whole
/// folder is treated, before there is a file in it:
///
/// - It is excluded from iCloud and computer backups.
/// - On iOS its files are readable from the first unlocking after a restart on (`completeUntilFirstUserAuthentication`), so that
///   maintenance in the background works on a locked phone.
///
/// ```swift
/// let files = try WalletFiles.standard()
/// let config = WalletConfig(databasePath: files.database.path, network: .bitcoin, operatorUrl: …, esploraUrl: …)
/// ```
public struct WalletFiles: Sendable, Hashable {
    /// The folder that holds the database and what SQLite puts beside it.
    public let folder: URL
    /// The SQLite file; the wallet creates it.
    public let database: URL

    /// Prepares `folder`: creates it where it does not exist, and sets what is said above. May be called again.
    ///
    /// - Parameters:
    ///   - folder: A folder for this wallet alone. Outside an App Group's container unless an extension needs it: iOS ends an app that
    ///     holds a file there when it is suspended; see ``DatabaseLease``.
    ///   - name: The file's name.
    /// - Throws: What `FileManager` throws where the folder cannot be made.
    public init(folder: URL, name: String = "wallet.db") throws {
        self.folder = folder
        database = folder.appendingPathComponent(name, isDirectory: false)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try Self.protect(folder)
    }

    /// The usual place: `VirtualChannels` and then `wallet` in Application Support of the app.
    ///
    /// - Parameter wallet: Tells several wallets of one app apart.
    /// - Throws: What `FileManager` throws where the folder cannot be made.
    public static func standard(wallet: String = "default") throws -> WalletFiles {
        let support = try FileManager.default.url(for: .applicationSupportDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let folder = support.appendingPathComponent("VirtualChannels", isDirectory: true)
        return try WalletFiles(folder: folder.appendingPathComponent(wallet, isDirectory: true))
    }

    private static func protect(_ folder: URL) throws {
        #if canImport(Darwin)
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        var folder = folder
        try folder.setResourceValues(values)
        #endif
        #if os(iOS) || os(tvOS) || os(watchOS) || os(visionOS)
        let attributes: [FileAttributeKey: Any] = [.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication]
        try FileManager.default.setAttributes(attributes, ofItemAtPath: folder.path)
        #endif
    }
}
