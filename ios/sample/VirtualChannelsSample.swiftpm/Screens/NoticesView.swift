import SwiftUI
import UIKit
import VirtualChannelsModel

/// What a person must act upon; each stays until it is dismissed.
struct NoticesView: View {
    @ObservedObject var model: WalletModel

    var body: some View {
        VStack(alignment: .leading) {
            ForEach(model.state.notices) { notice in
                VStack(alignment: .leading) {
                    Label(notice.text, systemImage: "bell.badge")
                    HStack {
                        if let fees = notice.fees {
                            Button("Copy the address") { UIPasteboard.general.string = fees.address }
                        }
                        Spacer()
                        Button("Done") { Task { await model.dismiss(notice) } }
                    }
                }
                .padding()
                .background(.yellow.opacity(0.2))
            }
        }
    }
}
