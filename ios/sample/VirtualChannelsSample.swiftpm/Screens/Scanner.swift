import SwiftUI
import VisionKit

/// Reads a QR code with the camera, or takes what is on the pasteboard.
struct Scanner: View {
    let scanned: @MainActor (String) async -> Void
    @State private var shown = false

    var body: some View {
        HStack {
            if DataScannerViewController.isSupported {
                Button("Scan") { shown = true }
            }
            Spacer()
            PasteButton(payloadType: String.self) { texts in
                guard let text = texts.first else { return }
                Task { @MainActor in await scanned(text) }
            }
        }
        .sheet(isPresented: $shown) {
            CameraView { text in
                guard shown else { return }
                shown = false
                Task { await scanned(text) }
            }
        }
    }
}

private struct CameraView: UIViewControllerRepresentable {
    let found: @MainActor (String) -> Void

    func makeUIViewController(context: Context) -> DataScannerViewController {
        let scanner = DataScannerViewController(recognizedDataTypes: [.barcode(symbologies: [.qr])])
        scanner.delegate = context.coordinator
        try? scanner.startScanning()
        return scanner
    }

    func updateUIViewController(_: DataScannerViewController, context: Context) {
        context.coordinator.found = found
    }

    func makeCoordinator() -> Coordinator {
        Coordinator(found: found)
    }

    @MainActor
    final class Coordinator: NSObject, DataScannerViewControllerDelegate {
        var found: @MainActor (String) -> Void

        init(found: @escaping @MainActor (String) -> Void) {
            self.found = found
        }

        func dataScanner(_: DataScannerViewController, didAdd items: [RecognizedItem], allItems _: [RecognizedItem]) {
            for case .barcode(let code) in items {
                if let text = code.payloadStringValue { return found(text) }
            }
        }
    }
}
