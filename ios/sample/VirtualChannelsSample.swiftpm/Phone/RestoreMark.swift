import Foundation

/// Says that a restore was begun and is not complete, also to the next start of the app: a server was away, or the app was left.
struct RestoreMark {
    private let file: URL

    init(folder: URL) {
        file = folder.appendingPathComponent("restoring")
    }

    var isThere: Bool { FileManager.default.fileExists(atPath: file.path) }

    func put() {
        try? Data().write(to: file)
    }

    func remove() {
        try? FileManager.default.removeItem(at: file)
    }
}
