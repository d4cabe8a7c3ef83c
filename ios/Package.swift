// swift-tools-version: 6.0
import Foundation
import PackageDescription

/// Where a release's XCFramework is. `nil` in the repository: there the library is the one that was built from it. A release is a
/// package at the root of a repository of its own (scripts/swiftpm-release.sh), with this line, the generated sources, and no tests.
let release: (url: String, checksum: String)? = nil

/// A built XCFramework on this machine, relative to this folder, to try before it is released.
let local = ProcessInfo.processInfo.environment["VIRTUAL_CHANNELS_XCFRAMEWORK"]

/// The C functions of the Rust library. From an XCFramework the library comes with them; else the linker must be told where it is
/// (`-Xlinker -L…`, as scripts/swift-package.sh does).
let ffi: Target
let linked: [LinkerSetting]
if let release {
    ffi = .binaryTarget(name: "VirtualChannelsFFI", url: release.url, checksum: release.checksum)
    linked = []
} else if let local {
    ffi = .binaryTarget(name: "VirtualChannelsFFI", path: local)
    linked = []
} else {
    ffi = .systemLibrary(name: "VirtualChannelsFFI", path: "Sources/VirtualChannelsFFI")
    linked = [.linkedLibrary("virtual_channels")]
}

let package = Package(
    name: "VirtualChannels",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [
        .library(name: "VirtualChannels", targets: ["VirtualChannels"]),
        .library(name: "VirtualChannelsModel", targets: ["VirtualChannelsModel"]),
    ],
    targets: [
        ffi,
        .target(
            name: "VirtualChannels",
            dependencies: ["VirtualChannelsFFI"],
            resources: [.copy("PrivacyInfo.xcprivacy")],
            linkerSettings: linked
        ),
        // View models without a view: for the demo, the sample app, and whoever likes them.
        .target(name: "VirtualChannelsModel", dependencies: ["VirtualChannels"], path: "Sources/ViewModel"),
    ],
    swiftLanguageModes: [.v6]
)

if release == nil {
    package.targets += [
        // The life cycle of two wallets in a terminal.
        .executableTarget(
            name: "swift-demo", dependencies: ["VirtualChannels", "VirtualChannelsModel", "RegtestProgram", "QRText"],
            path: "Sources/Demo"),
        // QR codes for a terminal, which has no CoreImage.
        .target(name: "QRText"),
        // Starts the program `regtest`, for tests and the demo.
        .target(name: "RegtestProgram", dependencies: ["VirtualChannels"], path: "Tests/RegtestProgram"),
        // A wallet in a process of its own, which a test kills in the middle of a payment.
        .executableTarget(name: "WalletChild", dependencies: ["VirtualChannels"], path: "Tests/WalletChild"),
        .testTarget(name: "VirtualChannelsTests", dependencies: ["VirtualChannels", "WalletChild", "RegtestProgram"]),
        .testTarget(name: "ViewModelTests", dependencies: ["VirtualChannels", "VirtualChannelsModel", "RegtestProgram", "QRText"]),
    ]
}
