import Foundation
import VirtualChannels

/// Which operator and chain server the app uses.
struct Servers: Codable, Equatable {
    /// mutinynet, signet or regtest: a sample holds no real money.
    var networkName = "mutinynet"
    /// arkd's address.
    var `operator` = ""
    /// An Esplora API of the same network.
    var esplora = ""

    private static let key = "servers"

    var network: Network {
        switch networkName {
        case "signet": .signet
        case "regtest": .regtest
        default: .mutinynet
        }
    }

    /// Each operator has a wallet and a mnemonic of its own.
    var name: String {
        let url = URL(string: self.operator)
        let usual = url?.scheme?.lowercased() == "http" ? 80 : 443
        let port = url?.port.flatMap { $0 == usual ? nil : "-\($0)" } ?? ""
        return "\(networkName)-\(url?.host?.lowercased() ?? "operator")\(port)".filter { $0.isLetter || $0.isNumber || $0 == "-" }
    }

    static func stored() -> Servers? {
        UserDefaults.standard.data(forKey: key).flatMap { try? JSONDecoder().decode(Servers.self, from: $0) }
    }

    func store() {
        UserDefaults.standard.set(try? JSONEncoder().encode(self), forKey: Self.key)
    }

    static func forget() {
        UserDefaults.standard.removeObject(forKey: key)
    }
}
