import SwiftUI
import VirtualChannels
import VirtualChannelsModel

/// All channels, and what to do with each.
struct ChannelListScreen: View {
    @ObservedObject var model: ChannelListModel

    var body: some View {
        List {
            ProblemView(problem: model.state.problem)
            ForEach(model.state.rows ?? []) { row in
                Section("\(row.role == .payer ? "You pay" : "You are paid"), \(row.shortId)") {
                    Text(row.state).font(.headline)
                    Text("\(row.paid.description) of \(row.capacity.description) paid")
                    if let deadline = row.deadline { Text(deadline).font(.caption) }
                    Text(row.next)
                    HStack {
                        ForEach(row.actions, id: \.self) { action in
                            ActionButton(action.title, busy: model.state.busy) { await model.act(action, on: row.id) }
                                .buttonStyle(.bordered)
                        }
                    }
                }
            }
            if model.state.rows == [] { Text("No channels yet") }
        }
        .refreshable { await model.refresh() }
    }
}
