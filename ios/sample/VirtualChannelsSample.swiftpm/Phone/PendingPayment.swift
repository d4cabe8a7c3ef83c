import Foundation
import VirtualChannels

/// A payment that the user asked for, remembered until it was handed over: all that `PayerModel.pay` takes. An app that is killed
/// meanwhile asks for it again with the same id: it is made once, whether or not it had been made.
///
/// The wallet's database knows the ids, a backup does not: this lies beside the database, where no backup takes it.
struct PendingPayment: Codable {
    let channel: String
    let amount: UInt64
    let memo: String?
    let paymentId: String

    @MainActor private static var file: URL? { AppState.shared.files?.folder.appendingPathComponent("payment.json") }

    @MainActor
    static func stored() -> PendingPayment? {
        file.flatMap { try? Data(contentsOf: $0) }.flatMap { try? JSONDecoder().decode(PendingPayment.self, from: $0) }
    }

    /// Throws where it cannot be kept: then the payment is not to be made either.
    @MainActor
    func store() throws {
        guard let file = Self.file else { return }
        try JSONEncoder().encode(self).write(to: file, options: .atomic)
    }

    /// The payment with this id was handed over, or is not wanted any more.
    @MainActor
    static func forget(_ paymentId: String) {
        if let file, stored()?.paymentId == paymentId { try? FileManager.default.removeItem(at: file) }
    }
}
