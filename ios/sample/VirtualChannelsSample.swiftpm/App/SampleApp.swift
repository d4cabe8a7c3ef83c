import SwiftUI

/// The app: a form for the servers the first time, then four tabs.
@main
struct SampleApp: App {
    @Environment(\.scenePhase) private var phase
    @StateObject private var app = AppState.shared

    init() {
        // The system wants it before the app has finished launching.
        Maintenance.register()
    }

    var body: some Scene {
        WindowGroup {
            if let models = app.models {
                HomeScreen(models: models)
            } else if let wallet = app.wallet, app.restoring {
                RestoreScreen(wallet: wallet) { app.forgetServers() }
            } else if let wallet = app.wallet {
                OpeningScreen(wallet: wallet, problem: app.problem) { app.forgetServers() }
            } else {
                ServersScreen(problem: app.problem) { app.use($0) }
            }
        }
        .onChange(of: phase) { phase in app.scene(is: phase) }
    }
}
