// swift-tools-version: 6.0
import AppleProductTypes
import PackageDescription

// An app package: open the folder in Xcode 16 or newer. The library beside it needs its XCFramework; see README.md in ios/sample.
let package = Package(
    name: "VirtualChannelsSample",
    platforms: [.iOS("16.0")],
    products: [
        .iOSApplication(
            name: "VirtualChannelsSample",
            targets: ["AppModule"],
            bundleIdentifier: "org.virtualchannels.sample",
            displayVersion: "1.0",
            bundleVersion: "1",
            appIcon: .placeholder(icon: .coins),
            accentColor: .presetColor(.orange),
            supportedDeviceFamilies: [.phone, .pad],
            supportedInterfaceOrientations: [.portrait, .landscapeLeft, .landscapeRight],
            capabilities: [.camera(purposeString: "Reads the QR codes of the other phone.")],
            additionalInfoPlistContentFilePath: "Info.plist"
        )
    ],
    dependencies: [.package(name: "VirtualChannels", path: "../..")],
    targets: [
        .executableTarget(
            name: "AppModule",
            dependencies: [
                .product(name: "VirtualChannels", package: "VirtualChannels"),
                .product(name: "VirtualChannelsModel", package: "VirtualChannels"),
            ],
            path: ".",
            exclude: ["Info.plist"],
            resources: [.copy("PrivacyInfo.xcprivacy")]
        )
    ],
    swiftLanguageModes: [.v6]
)
