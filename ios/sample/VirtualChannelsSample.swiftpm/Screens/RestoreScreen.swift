import SwiftUI
import VirtualChannelsModel

/// Makes the wallet again from the words in the Keychain, where its database is gone, or where that was not complete.
struct RestoreScreen: View {
    @ObservedObject var wallet: WalletModel
    let change: @MainActor () -> Void
    @State private var backup = ""

    var body: some View {
        Form {
            ProblemView(problem: wallet.state.problem)
            Section {
                TextField("The backup", text: $backup, axis: .vertical).lineLimit(3...6).autocorrectionDisabled()
                ActionButton("Restore with the backup", busy: wallet.state.busy || backup.isEmpty) {
                    await AppState.shared.restore(wallet, backup: backup)
                }
                ActionButton("There is no backup", busy: wallet.state.busy) { await AppState.shared.restore(wallet, backup: nil) }
                if wallet.state.busy { ProgressView("Looking for coins") }
            } footer: {
                Text("The words of this wallet are on the phone, its database is not. Coins are found again without a backup, channels are not.")
            }
            Section {
                ActionButton("Go on with what was found", busy: wallet.state.busy) { await AppState.shared.goOnWithout(wallet) }
                Button("Other servers", action: change)
            }
        }
    }
}
