import SwiftUI
import VirtualChannels
import VirtualChannelsModel

/// Opens channels and pays in them.
struct PayerScreen: View {
    @ObservedObject var model: PayerModel
    @ObservedObject var channels: ChannelListModel
    @State private var capacity: Sats?
    @State private var amount: Sats?
    @State private var memo = ""
    @State private var problem: String?

    var body: some View {
        Form {
            ProblemView(problem: problem ?? model.state.problem)
            if let notice = model.state.notice { Label(notice, systemImage: "checkmark.circle") }
            if model.state.busy { ProgressView() }
            screen
        }
    }

    @ViewBuilder private var screen: some View {
        switch model.state.screen {
        case .scan:
            Section("An invite opens a channel; an accept and a receipt are read here, too") { Scanner { await model.scanned($0) } }
            payForm
        case .invite(let invite, _, let quote):
            Section(invite.memo ?? "An invite") {
                Text("From \(invite.minimum.description) to \(invite.maximum.description)")
                SatsField(title: "The most you will pay in it, in sats", amount: $capacity)
                ActionButton("What does it cost?", busy: model.state.busy || capacity == nil) {
                    if let capacity { await model.quote(capacity: capacity) }
                }
            }
            if let quote {
                Section("\(quote.amount.description), fee \(quote.fee.description)") {
                    if let closeBy = model.state.closeBy { Text("Takes payments until \(closeBy)") }
                    ForEach(quote.trust, id: \.self) { Text($0).font(.caption) }
                    ActionButton("Make the offer", busy: model.state.busy) { await model.propose() }
                }
            }
            back
        case .offer(let text, let channel):
            Section(channel == nil ? "Show the offer, then scan the answer" : "Show the offer: the channel is open") {
                QRView(text: text)
                if channel == nil { Scanner { await model.scanned($0) } }
            }
            back
        case .opened:
            Text("The channel is there. It takes payments once the next block confirms it; see the list of channels.")
            back
        case .payment(_, let text, let paid, let remaining):
            Section("Paid \(paid.description) so far, \(remaining.description) left") { QRView(text: text) }
            back
        }
    }

    @ViewBuilder private var payForm: some View {
        if let kept = PendingPayment.stored() {
            ActionButton("Go on with the payment of \(Sats(kept.amount).description)", busy: model.state.busy) {
                await model.pay(channel: kept.channel, amount: Sats(kept.amount), memo: kept.memo, paymentId: kept.paymentId)
            }
            Button("Forget that payment") {
                PendingPayment.forget(kept.paymentId)
                model.next()
            }
        }
        ForEach((channels.state.rows ?? []).filter { $0.isOpen && $0.role == .payer }) { row in
            Section("Channel \(row.shortId): \(row.remaining.description) left") {
                SatsField(title: "Amount in sats", amount: $amount)
                TextField("Memo", text: $memo)
                ActionButton("Pay", busy: model.state.busy || amount == nil) {
                    if let amount { await pay(row.id, amount, memo.isEmpty ? nil : memo) }
                }
                if row.paid > .zero {
                    ActionButton("Show the latest payment again", busy: model.state.busy) { await model.showLatest(channel: row.id) }
                }
            }
        }
    }

    private func pay(_ channel: String, _ amount: Sats, _ memo: String?) async {
        do {
            try PendingPayment(channel: channel, amount: amount.value, memo: memo, paymentId: model.state.paymentId).store()
        } catch {
            problem = error.localizedDescription
            return
        }
        problem = nil
        await model.pay(channel: channel, amount: amount, memo: memo)
    }

    private var back: some View {
        Button("Done") {
            if case .payment = model.state.screen { PendingPayment.forget(model.state.paymentId) }
            model.next()
            (capacity, amount, memo) = (nil, nil, "")
        }
    }
}
