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

    /// A new error must be added to the list: this does not compile without it.
    func testTheListHasEveryError() {
        let names = Set(WalletErrors.all.map(Self.name))
        XCTAssertEqual(names.count, WalletErrors.all.count - 1, "one of them is there twice, with and without a transaction")
        XCTAssertEqual(names.count, Self.count)
    }

    private static let count = 73

    private static func name(_ error: WalletError) -> String {
        switch error {
        case .InvalidText: "InvalidText"
        case .WrongMessage: "WrongMessage"
        case .UnknownVersion: "UnknownVersion"
        case .InvalidAddress: "InvalidAddress"
        case .WrongNetwork: "WrongNetwork"
        case .WrongOperator: "WrongOperator"
        case .InviteExpired: "InviteExpired"
        case .InviteUsed: "InviteUsed"
        case .OtherInvite: "OtherInvite"
        case .OtherOffer: "OtherOffer"
        case .AcceptExpired: "AcceptExpired"
        case .InvalidTerms: "InvalidTerms"
        case .CapacityOutOfBounds: "CapacityOutOfBounds"
        case .LocktimeOutOfBounds: "LocktimeOutOfBounds"
        case .DeadlinesDoNotFit: "DeadlinesDoNotFit"
        case .PreconfirmedTooLarge: "PreconfirmedTooLarge"
        case .FundingNotUsable: "FundingNotUsable"
        case .NotConfirmed: "NotConfirmed"
        case .NotOpened: "NotOpened"
        case .InvalidSignature: "InvalidSignature"
        case .UnknownCheckpointScript: "UnknownCheckpointScript"
        case .MissingAuthorisation: "MissingAuthorisation"
        case .ReauthorisationNeeded: "ReauthorisationNeeded"
        case .UnsafeOperator: "UnsafeOperator"
        case .ZeroPayment: "ZeroPayment"
        case .OverCapacity: "OverCapacity"
        case .ImpossibleAmount: "ImpossibleAmount"
        case .InvalidPaymentId: "InvalidPaymentId"
        case .Stale: "Stale"
        case .Forked: "Forked"
        case .OtherChannel: "OtherChannel"
        case .NothingPaid: "NothingPaid"
        case .PastCloseBy: "PastCloseBy"
        case .Blind: "Blind"
        case .InsufficientFunds: "InsufficientFunds"
        case .AmountTooSmall: "AmountTooSmall"
        case .AmountTooLarge: "AmountTooLarge"
        case .FeesLeaveTooLittle: "FeesLeaveTooLittle"
        case .NothingToSettle: "NothingToSettle"
        case .NeedsSettledVtxos: "NeedsSettledVtxos"
        case .CoinLocked: "CoinLocked"
        case .NotFound: "NotFound"
        case .WrongState: "WrongState"
        case .WrongRole: "WrongRole"
        case .LocktimeNotReached: "LocktimeNotReached"
        case .AlreadySpent: "AlreadySpent"
        case .Unrolled: "Unrolled"
        case .Expired: "Expired"
        case .FinalizeFailed: "FinalizeFailed"
        case .OutcomeUnknown: "OutcomeUnknown"
        case .OperatorUnreachable: "OperatorUnreachable"
        case .OperatorTimeout: "OperatorTimeout"
        case .OperatorRefused: "OperatorRefused"
        case .OperatorAnswer: "OperatorAnswer"
        case .BatchFailed: "BatchFailed"
        case .ChainUnreachable: "ChainUnreachable"
        case .ChainAnswer: "ChainAnswer"
        case .TransactionRejected: "TransactionRejected"
        case .InvalidMnemonic: "InvalidMnemonic"
        case .InvalidUrl: "InvalidUrl"
        case .Closed: "Closed"
        case .OtherWallet: "OtherWallet"
        case .NotADatabase: "NotADatabase"
        case .DatabaseNewer: "DatabaseNewer"
        case .DatabaseCorrupt: "DatabaseCorrupt"
        case .DatabaseFull: "DatabaseFull"
        case .DatabaseReadOnly: "DatabaseReadOnly"
        case .DatabaseReleased: "DatabaseReleased"
        case .DatabaseBusy: "DatabaseBusy"
        case .DatabaseFailed: "DatabaseFailed"
        case .StillRunning: "StillRunning"
        case .TooMany: "TooMany"
        case .Internal: "Internal"
        }
    }
}
