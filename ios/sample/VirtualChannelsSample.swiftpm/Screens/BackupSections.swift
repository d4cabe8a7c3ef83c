import SwiftUI
import VirtualChannelsModel

/// What is to be kept: the words on paper, once, and the backup anywhere, after each opening of a channel.
struct BackupSections: View {
    @ObservedObject var model: WalletModel

    var body: some View {
        WordsSection(mnemonics: model.mnemonics)
        Section {
            if let backup = model.state.backup {
                QRView(text: backup)
                Button("Hide the backup") { model.hideBackup() }
            } else {
                ActionButton("Show the backup", busy: model.state.busy) { await model.backUp() }
            }
        } footer: {
            Text("It brings channels back, together with the words. It is encrypted: keep it anywhere, anew after each opening.")
        }
    }
}

/// The words, hidden until the owner of the phone wants to see them, and again as soon as the app is left.
private struct WordsSection: View {
    let mnemonics: any MnemonicSource
    @State private var words: [String]?
    @State private var problem: String?
    @Environment(\.scenePhase) private var phase

    var body: some View {
        Section {
            ProblemView(problem: problem)
            if let words {
                ForEach(Array(words.enumerated()), id: \.offset) { number, word in
                    Text("\(number + 1). \(word)").font(.body.monospaced()).privacySensitive()
                }
                Button("Hide the words") { self.words = nil }
            } else {
                Button("Show the words") { Task { await show() } }
            }
        } footer: {
            Text("Whoever reads them has the money. Write them on paper, when nobody looks, and make no picture of them.")
        }
        // The system takes a picture of an app that is left.
        .onChange(of: phase) { phase in
            if phase != .active { words = nil }
        }
        .onDisappear { words = nil }
    }

    private func show() async {
        problem = nil
        do {
            try await Owner.confirm("To show the words of the wallet")
            words = try await mnemonics.mnemonic().split(separator: " ").map(String.init)
        } catch {
            problem = error.localizedDescription
        }
    }
}
