import Foundation
import VirtualChannels
import XCTest

/// Every error reads as a sentence, wherever Swift shows it.
final class ErrorTextTests: XCTestCase {
    func testEachErrorIsASentence() {
        for (error, sentence) in WalletErrors.sentences {
            XCTAssertEqual(error.description, sentence)
            XCTAssertEqual(error.errorDescription, sentence)
            XCTAssertEqual((error as any Error).localizedDescription, sentence)
            XCTAssertEqual("\(error)", sentence)
            XCTAssertEqual(String(reflecting: error), sentence)
            XCTAssertFalse(sentence.contains("Optional") || sentence.contains("Some("), sentence)
        }
    }

    func testWhatMayPass() {
        let passing = WalletErrors.all.filter(\.mayPass).map(Self.name)
        XCTAssertEqual(
            Set(passing),
            [
                "OperatorUnreachable", "OperatorTimeout", "OperatorAnswer", "ChainUnreachable", "ChainAnswer", "BatchFailed",
                "OutcomeUnknown", "CoinLocked", "DatabaseBusy", "DatabaseReleased", "NotConfirmed",
                "StillRunning",
            ])
    }

    /// A new error must be added to the list.
    func testTheListHasEveryError() throws {
        let generated = try Self.generated()
        XCTAssertGreaterThan(generated.count, 60)
        XCTAssertEqual(Set(WalletErrors.all.map(Self.name)), generated)
    }

    /// Each error is looked at by a test that brings it about, but for those of which `constructed` says why not.
    func testTheOthersReallyCome() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        var sources = ""
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        where file.pathExtension == "swift" && !["WalletErrors.swift", "ErrorTextTests.swift"].contains(file.lastPathComponent) {
            sources += try String(contentsOf: file, encoding: .utf8)
        }
        for name in try Self.generated().subtracting(Self.constructed) {
            XCTAssertNotNil(sources.range(of: "\\.\(name)\\b", options: .regularExpression), "\(name) is looked at by no test")
        }
    }

    /// Nothing that a test can do to a wallet brings these about.
    private static let constructed: Set<String> = [
        // An accept is looked up by the offer it names, a payment by its channel: another one is not found.
        "OtherOffer", "OtherChannel",
        // The floor of the delays is not asked for on regtest, and a key that is not the operator's is OperatorAnswer.
        "UnsafeOperator",
        // After five minutes.
        "StillRunning",
        // What is broadcast is built to be taken, and a full mempool is none of regtest's faults.
        "TransactionRejected",
        // Exits that are short of fees: the stories of tests/exits and tests/onchain.
        "InsufficientFeeCoins", "ReservedForExits",
        // A bug of the library.
        "Internal",
        // A small disk of its own: in Kotlin's FilesTest.
        "DatabaseFull",
    ]

    /// The names in the generated source.
    private static func generated() throws -> Set<String> {
        let package = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let file = package.appendingPathComponent("Sources/VirtualChannels/Generated/VirtualChannels.swift")
        let source = try String(contentsOf: file, encoding: .utf8)
        let body = try source[XCTUnwrap(source.range(of: "enum WalletError: ")).upperBound...]
        let end = try XCTUnwrap(body.range(of: "\n}"))
        let cases = body[..<end.lowerBound].split(separator: "\n").filter { $0.hasPrefix("    case ") }
        return Set(cases.map { String($0.dropFirst(9).prefix { $0.isLetter }) })
    }

    /// The case's name: its only child's label, or where it has no fields the case itself.
    private static func name(_ error: WalletError) -> String {
        if let label = Mirror(reflecting: error).children.first?.label { return label }
        switch error {
        case .InvalidAddress: return "InvalidAddress"
        case .InviteUsed: return "InviteUsed"
        case .OtherInvite: return "OtherInvite"
        case .OtherOffer: return "OtherOffer"
        case .ZeroPayment: return "ZeroPayment"
        case .NothingPaid: return "NothingPaid"
        case .NothingToSettle: return "NothingToSettle"
        case .NotFound: return "NotFound"
        case .InvalidMnemonic: return "InvalidMnemonic"
        case .Closed: return "Closed"
        case .DatabaseReleased: return "DatabaseReleased"
        case .NotADatabase: return "NotADatabase"
        case .DatabaseFull: return "DatabaseFull"
        case .DatabaseReadOnly: return "DatabaseReadOnly"
        case .DatabaseBusy: return "DatabaseBusy"
        default: return "\(error)"
        }
    }
}
