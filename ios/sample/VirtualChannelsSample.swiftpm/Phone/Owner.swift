import LocalAuthentication

/// The person whose phone it is.
enum Owner {
    /// Asks for face, finger or code; throws where it is somebody else, or the phone has no code.
    static func confirm(_ reason: String) async throws {
        guard try await LAContext().evaluatePolicy(.deviceOwnerAuthentication, localizedReason: reason) else { throw CancellationError() }
    }
}
