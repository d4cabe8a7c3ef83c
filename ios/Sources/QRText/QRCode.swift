/// A QR code (ISO/IEC 18004) with error correction level L: the largest texts. Upper-case texts take a third less room.
public struct QRCode: Sendable, Equatable {
    /// 1 to 40; a code has `17 + 4 * version` modules a side.
    public let version: Int
    /// Row by row, `true` where a module is dark.
    public let modules: [[Bool]]

    /// The smallest code that holds the text; `nil` where none up to `limit` does.
    ///
    /// - Parameters:
    ///   - limit: The largest version to be used, at most 40.
    ///   - mask: Which of the eight masks; by default the one that scanners read best.
    public init?(_ text: String, limit: Int = 40, mask: Int? = nil) {
        let segment = QRSegment(text)
        guard let version = (1...max(1, min(limit, 40))).first(where: { segment.bits(version: $0) <= QRLayout(version: $0).dataBytes * 8 })
        else { return nil }
        let layout = QRLayout(version: version)
        let bytes = layout.interleaved(segment.bytes(version: version, room: layout.dataBytes))
        var unmasked = QRCanvas(version: version)
        unmasked.place(bytes)
        let candidates = (mask.map { [$0] } ?? Array(0..<8)).map { unmasked.masked($0) }
        guard let best = candidates.min(by: { $0.penalty < $1.penalty }) else { return nil }
        self.version = version
        modules = best.modules
    }
}
