import VirtualChannels

/// Something that happened and that a person must act upon. It stays, also when the app is killed, until it is dismissed
/// (``WalletModel/dismiss(_:)``).
public struct Notice: Sendable, Equatable, Identifiable {
    /// What is missing for the fees of an exit, and where it is to be paid to.
    public struct Fees: Sendable, Equatable {
        /// How much is missing.
        public let missing: Sats
        /// The address of this wallet, on chain.
        public let address: String
    }

    /// The token of the library's event.
    public let id: String
    /// The channel it is about, if it is about one.
    public let channelId: String?
    /// What happened, as the library says it.
    public let kind: EventKind
    /// What happened and what to do, in sentences for people.
    public let text: String
    /// Set where fees are to be paid.
    public let fees: Fees?

    /// `nil` for events that ask nothing of a person: good news, and what passes by itself.
    init?(_ event: Event) {
        guard let token = event.token else { return nil }
        switch event.kind {
        case .exitNeedsFees(_, let missing, let address):
            fees = Fees(missing: missing, address: address)
            text = "Leaving on chain costs fees. Pay \(missing) to \(address), and it goes on by itself."
        case .seedUsedElsewhere:
            fees = nil
            text = "Somebody else uses your words: a coin was spent that this phone did not spend. If it was not you on another phone, "
                + "move your money to a wallet with new words now."
        case .channelLost(let amount, _):
            fees = nil
            text = "\(amount) of a channel can not be claimed any more: it was spent before this phone looked. Ask the other side."
        default:
            return nil
        }
        (id, channelId, kind) = (token, event.channelId, event.kind)
    }
}
