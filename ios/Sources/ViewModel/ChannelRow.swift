import Foundation
import VirtualChannels

/// A channel as a line of a list.
public struct ChannelRow: Sendable, Equatable, Identifiable {
    /// What can be done with a channel from the list.
    public enum Action: Sendable, Hashable, CaseIterable {
        /// Looks at chain and operator.
        case look
        /// Receiver: closes it at its latest payment.
        case close
        /// Moves what it left into a batch.
        case settle
        /// Payer: takes it back, after its locktime.
        case refund

        /// What the button says.
        public var title: String {
            switch self {
            case .look: "Look again"
            case .close: "Close"
            case .settle: "Settle"
            case .refund: "Take back"
            }
        }
    }

    /// The channel's whole id.
    public let id: String
    /// Enough of the id to tell channels apart.
    public let shortId: String
    /// Whether this wallet pays or is paid in it.
    public let role: Role
    /// Whether payments can be made or taken.
    public let isOpen: Bool
    /// What state it is in, in words.
    public let state: String
    /// All that has been paid in it.
    public let paid: Sats
    /// What can still be paid.
    public let remaining: Sats
    /// The most that can ever be paid in it.
    public let capacity: Sats
    /// What ends when, in words; `nil` where nothing does any more.
    public let deadline: String?
    /// What to do next, in words.
    public let next: String
    /// The buttons, the most likely one first.
    public let actions: [Action]

    init(_ channel: ChannelInfo) {
        id = channel.id
        shortId = String(channel.id.prefix(8))
        role = channel.role
        isOpen = channel.state == .open
        state = channel.state.words
        paid = channel.amount
        remaining = channel.remaining
        capacity = channel.capacity
        deadline = channel.deadline
        (next, actions) = channel.advice
    }
}

extension ChannelState {
    /// The state, as people say it.
    var words: String {
        switch self {
        case .confirming: "waits for confirmation"
        case .open: "open"
        case .closing: "is being closed"
        case .closed: "closed, not final yet"
        case .settled: "settled"
        case .refunding: "is being taken back"
        case .refunded: "taken back"
        case .exiting: "on its way on chain"
        case .lost: "lost"
        }
    }
}

extension ChannelInfo {
    var deadline: String? {
        switch (state, role) {
        case (.confirming, .receiver), (.open, .receiver), (.closing, _): "close before \(moment(closeBy, unit))"
        case (.confirming, .payer), (.open, .payer): "pays until \(moment(closeBy, unit)), can be taken back from \(moment(locktime, unit))"
        case (.refunding, _), (.closed, _): "settle before \(moment(expiry, unit))"
        case (.exiting, _): "must be on chain by \(moment(exitBy, unit))"
        case (.settled, _), (.refunded, _), (.lost, _): nil
        }
    }

    var advice: (String, [ChannelRow.Action]) {
        switch (state, role) {
        // Out of a backup, which knows no payment.
        case (_, .payer) where awaitsUpdate: ("Scan the latest payment that the receiver shows, then pay", [.look, .refund])
        case (_, .receiver) where awaitsUpdate: ("Scan the payer's latest payment: until then nothing in it is yours", [.look])
        case (.confirming, _): ("Wait for the block that confirms it", [.look])
        case (.open, .payer): ("Pay, or take it back after its locktime", [.look, .refund])
        case (.open, .receiver) where amount == .zero: ("Scan a payment", [.look])
        case (.open, .receiver): ("Scan payments, and close in time", [.close, .look])
        case (.closing, .receiver): ("Go on closing", [.close, .look])
        case (.closing, .payer): ("The receiver is closing it", [.look])
        case (.closed, .receiver): ("Settle, so that the money is final", [.settle, .look])
        case (.closed, .payer): ("Settle, so that the rest is final", [.settle, .look])
        case (.refunding, _): ("Go on taking it back", [.refund, .look])
        case (.refunded, _): ("Settle, so that the money is final", [.settle])
        case (.exiting, _): ("Look at it again after the next blocks", [.look])
        case (.settled, _), (.lost, _): ("Nothing", [])
        }
    }
}

/// A moment in words: a date, the same on every phone, or a height where the operator counts in blocks.
func moment(_ value: UInt64, _ unit: TimeUnit) -> String {
    guard unit == .seconds else { return "block \(value)" }
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(secondsFromGMT: 0)
    formatter.dateFormat = "yyyy-MM-dd HH:mm 'UTC'"
    return formatter.string(from: Date(timeIntervalSince1970: TimeInterval(value)))
}
