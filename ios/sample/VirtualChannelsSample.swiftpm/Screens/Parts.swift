import CoreImage.CIFilterBuiltins
import SwiftUI
import VirtualChannels
import VirtualChannelsModel

/// A text as a QR code, with buttons that copy and share it: long texts are hard to scan.
struct QRView: View {
    let text: String

    var body: some View {
        VStack {
            if let image {
                Image(decorative: image, scale: 1).interpolation(.none).resizable().scaledToFit().background(.white)
            } else {
                Text("Too long for a QR code: share it.")
            }
            HStack {
                Button("Copy") { UIPasteboard.general.string = text }
                ShareLink(item: text)
            }
        }
    }

    private var image: CGImage? {
        let filter = CIFilter.qrCodeGenerator()
        filter.message = Data(text.utf8)
        filter.correctionLevel = "L"
        guard let output = filter.outputImage else { return nil }
        return CIContext().createCGImage(output, from: output.extent)
    }
}

/// An amount in sats.
struct SatsField: View {
    let title: String
    @Binding var amount: Sats?

    var body: some View {
        TextField(title, text: text).keyboardType(.numberPad)
    }

    private var text: Binding<String> {
        Binding(
            get: { amount.map { String($0.value) } ?? "" },
            set: { amount = UInt64($0).map { Sats($0) } })
    }
}

/// The sentence of what did not work.
struct ProblemView: View {
    let problem: String?

    var body: some View {
        if let problem { Label(problem, systemImage: "exclamationmark.triangle").foregroundStyle(.red) }
    }
}

/// A button whose action takes its time.
struct ActionButton: View {
    let title: String
    let busy: Bool
    let action: @MainActor () async -> Void

    init(_ title: String, busy: Bool, action: @escaping @MainActor () async -> Void) {
        self.title = title
        self.busy = busy
        self.action = action
    }

    var body: some View {
        Button(title) { Task { await action() } }.disabled(busy)
    }
}
