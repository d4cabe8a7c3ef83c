import SwiftUI
import VirtualChannels
import VirtualChannelsModel

/// What the wallet holds, the address that fills it, and what is to be kept of it.
struct WalletScreen: View {
    @ObservedObject var model: WalletModel

    var body: some View {
        Form {
            ProblemView(problem: model.state.problem)
            if let restored = model.state.restored {
                Section("Restored: \(restored.channels.count) channels, \(restored.vtxos.count + restored.boarding.count) coins") {
                    ForEach(Array(restored.warnings.enumerated()), id: \.offset) { _, warning in Text("\(String(describing: warning))") }
                    if !restored.warnings.isEmpty {
                        ActionButton("Restore again", busy: model.state.busy) { await AppState.shared.restoreAgain(model) }
                    }
                }
            }
            if let balance = model.state.balance {
                Section("Balance") {
                    line("Final", balance.settled)
                    line("Not final yet", balance.preconfirmed)
                    line("To be settled, on chain", balance.boarding)
                    line("Waits for a block", balance.boardingUnconfirmed)
                    line("In channels, not paid yet", balance.inChannels)
                    line("In channels, received", balance.receivable)
                    line("All", balance.total)
                }
            }
            Section {
                ActionButton("Settle", busy: model.state.busy) { await model.settle() }
            } footer: {
                Text("Settling takes as long as the operator's next batch.")
            }
            if let address = model.state.boardingAddress {
                Section("Pay here to fill it, then settle") {
                    QRView(text: address)
                    Text(address).font(.caption.monospaced()).textSelection(.enabled)
                }
            }
            BackupSections(model: model)
        }
        .refreshable { await model.refresh() }
        .task { await model.refresh() }
    }

    private func line(_ title: String, _ amount: Sats) -> some View {
        LabeledContent(title, value: amount.description)
    }
}
