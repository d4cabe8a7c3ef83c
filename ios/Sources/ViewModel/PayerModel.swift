import Foundation
import VirtualChannels

/// An invite that was scanned.
public struct ScannedInvite: Sendable, Equatable {
    /// The invite itself.
    public let text: String
    /// What the receiver wrote on it.
    public let memo: String?
    /// The smallest channel the receiver takes.
    public let minimum: Sats
    /// The largest channel the receiver takes.
    public let maximum: Sats
}

/// What the payer's screen shows.
public struct PayerState: ScreenState {
    /// Which of the payer's screens is on.
    public enum Screen: Sendable, Equatable {
        /// Waits for an invite, an accept or a receipt to be scanned.
        case scan
        /// An invite: asks for the capacity. The quote is that of the capacity asked for last.
        case invite(ScannedInvite, capacity: Sats?, quote: Quote?)
        /// Show this as a QR code to the receiver. A channel funded off chain is there already.
        case offer(text: String, channel: String?)
        /// The channel is there, and takes payments once it is open.
        case opened(channel: String)
        /// Show this as a QR code to the receiver.
        case payment(channel: String, text: String, paid: Sats, remaining: Sats)
    }

    /// Which of the payer's screens is on.
    public var screen = Screen.scan
    /// Good news to be shown once, such as that a receipt was right.
    public var notice: String?
    /// The id of the next payment. It stays the same until ``PayerModel/next()``: who presses twice pays once.
    public internal(set) var paymentId = UUID().uuidString
    /// Why the last action did not work.
    public var problem: String?
    /// Whether an action is under way.
    public var busy = false

    /// Until when the quoted channel would take payments, in words.
    public var closeBy: String? {
        guard case .invite(_, _, let quote?) = screen else { return nil }
        return quote.closeBy.map { moment($0, quote.unit) }
    }
}

/// The payer's screens: scan an invite, open a channel, pay.
///
/// Everything of worth is in the wallet, nothing in the model: one that is thrown away at any moment and made again goes on.
public final class PayerModel: Model<PayerState> {
    private let wallet: Wallet

    /// A model on the scanner's screen.
    public init(wallet: Wallet) {
        self.wallet = wallet
        super.init(PayerState())
    }

    /// Takes whatever the scanner has read: an invite, an accept, a receipt, or the latest payment that a receiver shows to a payer
    /// that lost some.
    public func scanned(_ text: String) async {
        await act("scanned") {
            let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
            switch try await wallet.parse(text: text) {
            case .invite(let memo, let minimum, let maximum, _):
                let invite = ScannedInvite(text: text, memo: memo, minimum: minimum, maximum: maximum)
                show(.invite(invite, capacity: nil, quote: nil))
            case .accept:
                try await open(text)
            case .receipt(_, let amount):
                try await wallet.acknowledge(receipt: text)
                update { $0.notice = "The receiver confirms \(amount)" }
            case .payment(let channel, _, _):
                try await catchUp(channel, text)
            case .offer:
                throw Problem("This is an offer: the receiver scans it. A payer scans the receiver's invite or accept")
            case .closeRequest, .closeGrant:
                throw Problem("This closes a channel together, which this app leaves to the receiver")
            case .backup:
                throw Problem("This is a backup: it is for setting up a wallet again")
            case .arkAddress, .chainAddress:
                throw Problem("This is an address. A payer scans the receiver's invite to open a channel")
            }
        }
    }

    /// Asks what a channel of this capacity would cost, and how long it would take payments. Spends nothing.
    public func quote(capacity: Sats, funding: FundingChoice = .batch) async {
        await act("quote") {
            guard case .invite(let invite, _, _) = state.screen else { throw Problem("Scan an invite first") }
            show(.invite(invite, capacity: capacity, quote: nil))
            let request = ProposeRequest(capacity: capacity, funding: funding)
            let quote = try await wallet.quoteOpen(invite: invite.text, request: request)
            // The figures may have been changed meanwhile.
            if state.screen == .invite(invite, capacity: capacity, quote: nil) {
                show(.invite(invite, capacity: capacity, quote: quote))
            }
        }
    }

    /// Makes the offer for the capacity that was quoted. Off chain the channel is funded with that; in a batch nothing is spent yet.
    public func propose(funding: FundingChoice = .batch) async {
        await act("propose") {
            // Pressed again, the offer is on the screen already.
            if case .offer = state.screen { return }
            guard case .invite(let invite, let capacity?, _) = state.screen else { throw Problem("Choose a capacity first") }
            let request = ProposeRequest(capacity: capacity, funding: funding)
            let proposal = try await wallet.propose(invite: invite.text, request: request)
            show(.offer(text: proposal.offer.uppercased(), channel: proposal.channelId))
        }
    }

    /// Shows the offer of a channel funded off chain again, for a receiver that has not got it: also after a restart.
    public func showOffer(channel: String) async {
        await act("showOffer") { show(.offer(text: try await wallet.offer(channelId: channel).uppercased(), channel: channel)) }
    }

    /// Pays, offline. Pressed again, it shows the same payment; ``next()`` comes before another one.
    ///
    /// - Parameters:
    ///   - channel: Its id.
    ///   - amount: What is added to what has been paid.
    ///   - memo: What the receiver reads beside it.
    ///   - paymentId: For an app that had kept ``PayerState/paymentId`` when it was killed, and does not know whether that payment was
    ///     made. Only the wallet's own file knows it: after a restore a kept id pays once more.
    public func pay(channel: String, amount: Sats, memo: String? = nil, paymentId: String? = nil) async {
        await act("pay") {
            if let paymentId { update { $0.paymentId = paymentId } }
            show(try await wallet.pay(channelId: channel, amount: amount, paymentId: state.paymentId, memo: memo))
        }
    }

    /// Shows the latest payment again, for a receiver that has not got it: also after a restart.
    public func showLatest(channel: String) async {
        await act("showLatest") { show(try await wallet.latestUpdate(channelId: channel)) }
    }

    /// The payment was handed over: what is paid from now on is another one.
    public func next() {
        update {
            $0.paymentId = UUID().uuidString
            $0.screen = .scan
            $0.notice = nil
        }
    }

    private func open(_ accept: String) async throws {
        do {
            show(.opened(channel: try await wallet.openChannel(accept: accept)))
        } catch WalletError.NotFound {
            throw Problem("No offer waits for this accept. Perhaps its channel is open already: look at the list of channels")
        }
    }

    private func show(_ payment: Payment) {
        show(.payment(
            channel: payment.channelId, text: payment.text.uppercased(), paid: payment.amount, remaining: payment.remaining))
    }

    private func show(_ screen: PayerState.Screen) {
        update {
            $0.screen = screen
            $0.notice = nil
        }
    }

    /// The receiver has a later payment than this wallet: one of its own, from a phone or a database that is gone.
    private func catchUp(_ channel: String, _ text: String) async throws {
        let own = try await wallet.channels().contains { $0.id == channel && $0.role == .payer }
        guard own else { throw Problem("This is a payment: the receiver scans it. A payer scans the receiver's invite or accept") }
        let amount = try await wallet.catchUp(payment: text)
        update { $0.notice = "The next payment goes on from \(amount)" }
    }
}
