import Foundation

// The generated type is a `LocalizedError` whose text is `String(reflecting:)`; with this that text is the library's own sentence,
// and so are `"\(error)"`, `description` and `localizedDescription`.
extension WalletError: CustomStringConvertible {}

extension WalletError {
    /// Whether trying again in a while may go well, with nothing changed: the network, the operator, a lock.
    public var mayPass: Bool {
        switch self {
        case .OperatorUnreachable, .OperatorTimeout, .OperatorAnswer, .ChainUnreachable, .ChainAnswer, .BatchFailed, .OutcomeUnknown,
            .CoinLocked, .DatabaseBusy, .DatabaseReleased, .NotConfirmed, .StillRunning:
            true
        default:
            false
        }
    }
}

// The same for what an object of the app answers.
extension ListenerError: CustomStringConvertible {}
