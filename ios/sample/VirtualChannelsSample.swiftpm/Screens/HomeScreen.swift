import SwiftUI
import VirtualChannelsModel

/// The four tabs, and what a person must act upon above them.
struct HomeScreen: View {
    let models: Models

    var body: some View {
        TabView {
            WalletScreen(model: models.wallet).tabItem { Label("Wallet", systemImage: "bitcoinsign.circle") }
            PayerScreen(model: models.payer, channels: models.channels).tabItem { Label("Pay", systemImage: "arrow.up.circle") }
            ReceiverScreen(model: models.receiver, channels: models.channels)
                .tabItem { Label("Receive", systemImage: "arrow.down.circle") }
            ChannelListScreen(model: models.channels).tabItem { Label("Channels", systemImage: "list.bullet") }
        }
        .safeAreaInset(edge: .top) { NoticesView(model: models.wallet) }
        // Rows, balance and notices follow the wallet for as long as they are shown anywhere.
        .task { await models.channels.follow() }
        .task { await models.wallet.follow() }
    }
}

/// While the wallet opens, and where it does not.
struct OpeningScreen: View {
    @ObservedObject var wallet: WalletModel
    let problem: String?
    let change: @MainActor () -> Void

    var body: some View {
        VStack(spacing: 20) {
            if wallet.state.busy { ProgressView("Opening the wallet") }
            ProblemView(problem: problem ?? wallet.state.problem)
            if !wallet.state.busy {
                ActionButton("Try again", busy: false) { await AppState.shared.open(wallet) }
                Button("Other servers", action: change)
            }
        }
        .padding()
    }
}

/// Asks for the servers.
struct ServersScreen: View {
    let problem: String?
    let chosen: @MainActor (Servers) -> Void
    @State private var servers = Servers()

    var body: some View {
        Form {
            ProblemView(problem: problem)
            Picker("Network", selection: $servers.networkName) {
                ForEach(["mutinynet", "signet", "regtest"], id: \.self) { Text($0) }
            }
            TextField("Operator (arkd), https://…", text: $servers.operator).textInputAutocapitalization(.never)
            TextField("Chain server (Esplora), https://…", text: $servers.esplora).textInputAutocapitalization(.never)
            Button("Open the wallet") { chosen(servers) }.disabled(servers.operator.isEmpty || servers.esplora.isEmpty)
        }
        .keyboardType(.URL)
        .autocorrectionDisabled()
    }
}
