import VirtualChannels

/// What the list of channels shows.
public struct ChannelListState: ScreenState {
    /// The channels, the youngest first; `nil` until they are known.
    public var rows: [ChannelRow]?
    /// Why the last action did not work.
    public var problem: String?
    /// Whether an action is under way.
    public var busy = false
}

/// The list of all channels, and what can be done with one.
public final class ChannelListModel: Model<ChannelListState> {
    private let wallet: Wallet
    private let look: @Sendable (String) async throws -> Void
    private var settled: Settlement?

    /// A model that shows nothing yet; ``follow()`` fills it.
    public convenience init(wallet: Wallet) {
        self.init(wallet: wallet) { _ = try await wallet.watch(channelId: $0) }
    }

    /// With another way to look at a channel, for tests.
    init(wallet: Wallet, look: @escaping @Sendable (String) async throws -> Void) {
        self.wallet = wallet
        self.look = look
        super.init(ChannelListState())
    }

    /// Keeps the rows as the wallet has them until the task is cancelled or the wallet shut down. With SwiftUI: `.task { await model.follow() }`.
    public func follow() async {
        do {
            for try await channels in wallet.channelStates() { show(channels) }
        } catch {
            update { $0.problem = sentence(error) }
        }
    }

    /// Looks at chain and operator for every channel that has not ended.
    public func refresh() async {
        await act("refresh") {
            show(try await wallet.channels())
            // What was seen of the others is shown also where one could not be looked at.
            var problem: (any Error)?
            do { try await watchAll() } catch { problem = error }
            show(try await wallet.channels())
            if let problem { throw problem }
        }
    }

    /// Does what one of a row's buttons says.
    public func act(_ action: ChannelRow.Action, on channel: String) async {
        // Settling is for all channels at once.
        await act(action == .settle ? "settle" : "\(action) \(channel)") {
            switch action {
            case .look: _ = try await wallet.watch(channelId: channel)
            case .close: _ = try await wallet.closeChannel(channelId: channel)
            case .refund: _ = try await wallet.refund(channelId: channel)
            case .settle:
                settled = try await wallet.settle(after: settled)
                _ = try await wallet.watch(channelId: channel)
            }
            show(try await wallet.channels())
        }
    }

    /// Looks at every channel that has not ended. One that cannot be looked at does not hide the others; the first such error is thrown
    /// in the end.
    private func watchAll() async throws {
        var problem: (any Error)?
        for channel in try await wallet.channels() where ![.settled, .refunded, .lost].contains(channel.state) {
            do { try await look(channel.id) } catch { problem = problem ?? error }
        }
        if let problem { throw problem }
    }

    private func show(_ channels: [ChannelInfo]) {
        update { $0.rows = channels.reversed().map(ChannelRow.init) }
    }
}
