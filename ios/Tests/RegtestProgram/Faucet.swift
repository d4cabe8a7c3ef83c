import Foundation
import VirtualChannels

#if canImport(FoundationNetworking)
import FoundationNetworking
#endif

/// A server that pays and mines on request: `/faucet/{address}/{sats}` and `/mine/{n}?after=SECONDS`.
package struct Faucet: Sendable {
    private let url: String

    /// The server at this address.
    package init(url: String) {
        self.url = url
    }

    /// Pays to the address; it confirms with the next block that is mined.
    package func pay(_ address: String, _ amount: Sats) async throws {
        try await post("\(url)/faucet/\(address)/\(amount.value)")
    }

    /// Mines blocks, the first of them so many seconds after the chain's clock.
    package func mine(_ blocks: Int = 1, afterSeconds: Int = 0) async throws {
        try await post("\(url)/mine/\(blocks)\(afterSeconds > 0 ? "?after=\(afterSeconds)" : "")")
    }
}

func post(_ address: String) async throws {
    guard let url = URL(string: address) else { throw Regtest.Failure(description: "\(address) is no address") }
    var request = URLRequest(url: url, timeoutInterval: 60)
    request.httpMethod = "POST"
    let (body, response) = try await URLSession.shared.data(for: request)
    let status = (response as? HTTPURLResponse)?.statusCode ?? 0
    guard status == 200 else {
        throw Regtest.Failure(description: "\(address) answered \(status): \(String(decoding: body, as: UTF8.self))")
    }
}
