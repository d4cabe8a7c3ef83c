import Foundation
import VirtualChannels

/// What the receiver's screen shows.
public struct ReceiverState: ScreenState {
    /// Which of the receiver's screens is on.
    public enum Screen: Sendable, Equatable {
        /// Waits for an offer or a payment to be scanned.
        case scan
        /// Show this as a QR code to the payer, and then scan the offer.
        case invite(text: String)
        /// Show this as a QR code to the payer at once: it is good until then (unix seconds), while both are online.
        case accept(text: String, validUntil: UInt64)
        /// A channel that was funded off chain: it takes payments.
        case opened(channel: String)
        /// A payment: what it brought, and all so far. Nothing new where it was scanned before.
        case received(channel: String, increase: Sats, total: Sats, memo: String?)
        /// The payer shows an old payment. Let it scan this one, and pay again.
        case catchUp(text: String)
        /// Show this as a QR code to the payer: its payments are shorter from then on.
        case receipt(text: String)
        /// Closed by this ark transaction; settling makes the money final.
        case closed(channel: String, txid: String)
    }

    /// Which of the receiver's screens is on.
    public var screen = Screen.scan
    /// What the last settling brought.
    public var settled: Settlement?
    /// Why the last action did not work.
    public var problem: String?
    /// Whether an action is under way.
    public var busy = false
}

/// The receiver's screens: invite, take payments, close.
///
/// Everything of worth is in the wallet, nothing in the model: one that is thrown away at any moment and made again goes on.
public final class ReceiverModel: Model<ReceiverState> {
    private let wallet: Wallet

    /// A model on the scanner's screen.
    public init(wallet: Wallet) {
        self.wallet = wallet
        super.init(ReceiverState())
    }

    /// Makes an invite for one channel. Pressed again while one is shown, the same one stays.
    public func invite(memo: String? = nil) async {
        await act("invite") {
            if case .invite = state.screen { return }
            let text = try await wallet.createInvite(request: InviteRequest(memo: memo))
            update { $0.screen = .invite(text: text.uppercased()) }
        }
    }

    /// Takes whatever the scanner has read: an offer or a payment.
    public func scanned(_ text: String) async {
        await act("scanned") {
            let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
            switch try await wallet.parse(text: text) {
            case .offer: try await accept(text)
            case .payment: try await receive(text)
            case .invite:
                throw Problem("This is an invite: the payer scans it. A receiver scans the payer's offer or payment")
            case .accept:
                throw Problem("This is an accept: the payer scans it. A receiver scans the payer's offer or payment")
            case .receipt:
                throw Problem("This is a receipt: the payer scans it. A receiver scans the payer's offer or payment")
            case .closeRequest, .closeGrant:
                throw Problem("This closes a channel together, which this app does alone. A receiver scans the payer's offer or payment")
            case .backup:
                throw Problem("This is a backup: it is for setting up a wallet again")
            case .arkAddress, .chainAddress:
                throw Problem("This is an address. A receiver scans the payer's offer or payment")
            }
        }
    }

    /// Makes a receipt of all that was received in the channel.
    public func receipt(channel: String, memo: String? = nil) async {
        await act("receipt") {
            let text = try await wallet.receipt(channelId: channel, memo: memo)
            update { $0.screen = .receipt(text: text.uppercased()) }
        }
    }

    /// Closes the channel at its latest payment.
    public func close(channel: String) async {
        await act("close") {
            if case .closed(channel, _) = state.screen { return }
            let txid = try await wallet.closeChannel(channelId: channel)
            update { $0.screen = .closed(channel: channel, txid: txid) }
        }
    }

    /// Moves what was received into a batch: from then on it is final. Takes as long as the operator's next batch.
    public func settle() async {
        await act("settle") {
            let settlement = try await wallet.settle(after: state.settled)
            update { $0.settled = settlement }
        }
    }

    /// Back to the scanner.
    public func next() {
        update { $0.screen = .scan }
    }

    private func accept(_ offer: String) async throws {
        switch try await wallet.accept(offer: offer) {
        case .accepted(let accept, let validUntil):
            update { $0.screen = .accept(text: accept.uppercased(), validUntil: validUntil) }
        case .open(let channel):
            update { $0.screen = .opened(channel: channel) }
        }
    }

    private func receive(_ payment: String) async throws {
        do {
            let taken = try await wallet.receive(payment: payment)
            update {
                $0.screen = .received(
                    channel: taken.channelId, increase: taken.increase, total: taken.amount, memo: taken.memo)
            }
        } catch let error as WalletError {
            switch error {
            case .Stale(_, _, let stored), .Forked(_, _, _, let stored):
                update { $0.screen = .catchUp(text: stored.uppercased()) }
            default: break
            }
            throw error
        }
    }
}
