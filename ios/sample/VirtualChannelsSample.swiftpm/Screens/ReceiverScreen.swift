import SwiftUI
import VirtualChannels
import VirtualChannelsModel

/// Invites, takes payments, closes.
struct ReceiverScreen: View {
    @ObservedObject var model: ReceiverModel
    @ObservedObject var channels: ChannelListModel
    @State private var memo = ""

    var body: some View {
        Form {
            ProblemView(problem: model.state.problem)
            if model.state.busy { ProgressView() }
            Section("The payer's offers and payments") { Scanner { await model.scanned($0) } }
            screen
        }
    }

    @ViewBuilder private var screen: some View {
        switch model.state.screen {
        case .scan:
            Section("A new channel") {
                TextField("Memo, which the payer reads", text: $memo)
                ActionButton("Invite", busy: model.state.busy) { await model.invite(memo: memo.isEmpty ? nil : memo) }
            }
            openChannels
        case .invite(let text):
            Section("Show the invite, then scan the offer") { QRView(text: text) }
            back
        case .accept(let text, let validUntil):
            Section("Show this now; good until \(Date(timeIntervalSince1970: TimeInterval(validUntil)).formatted())") {
                QRView(text: text)
            }
            back
        case .opened:
            Text("The channel is open: scan a payment.")
            back
        case .received(let channel, let increase, let total, let memo):
            Section(increase > .zero ? "Received \(increase.description)" : "Nothing new") {
                if let memo { Text(memo) }
                Text("\(total.description) in this channel")
                ActionButton("Receipt", busy: model.state.busy) { await model.receipt(channel: channel) }
            }
            back
        case .catchUp(let text):
            Section("The payer has forgotten payments: let it scan this, and pay again") { QRView(text: text) }
            back
        case .receipt(let text):
            Section("Show the receipt: payments are shorter from then on") { QRView(text: text) }
            back
        case .closed:
            Section("Closed") {
                ActionButton("Settle, so that the money is final", busy: model.state.busy) { await model.settle() }
                if let settled = model.state.settled { Text("\(settled.amount.description) in the next batch") }
            }
            back
        }
    }

    @ViewBuilder private var openChannels: some View {
        ForEach((channels.state.rows ?? []).filter { $0.isOpen && $0.role == .receiver }) { row in
            Section("Channel \(row.shortId): \(row.paid.description) received") {
                if let deadline = row.deadline { Text(deadline) }
                ActionButton("Receipt", busy: model.state.busy || row.paid == .zero) { await model.receipt(channel: row.id) }
                ActionButton("Close", busy: model.state.busy || row.paid == .zero) { await model.close(channel: row.id) }
            }
        }
    }

    private var back: some View {
        Button("Done") { model.next() }
    }
}
