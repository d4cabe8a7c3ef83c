/// A text as the bits of one segment: alphanumeric where possible, else bytes of UTF-8.
struct QRSegment {
    private static let alphabet = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:".utf8)

    private let bytes: [UInt8]
    /// Each character's place in the alphabet, where all have one.
    private let places: [Int]?

    init(_ text: String) {
        bytes = Array(text.utf8)
        let places = bytes.compactMap { Self.alphabet.firstIndex(of: $0) }
        self.places = places.count == bytes.count ? places : nil
    }

    /// How many bits it takes in a code of this version.
    func bits(version: Int) -> Int {
        let content = places.map { $0.count / 2 * 11 + $0.count % 2 * 6 } ?? bytes.count * 8
        // A count that does not fit its field fits no code of this version.
        guard bytes.count < 1 << countBits(version) else { return .max }
        return 4 + countBits(version) + content
    }

    /// The data bytes of a code of this version, filled up to its room.
    func bytes(version: Int, room: Int) -> [UInt8] {
        var bits = Bits()
        bits.append(places == nil ? 0b0100 : 0b0010, 4)
        bits.append(bytes.count, countBits(version))
        if let places {
            for start in stride(from: 0, to: places.count - 1, by: 2) { bits.append(places[start] * 45 + places[start + 1], 11) }
            if places.count % 2 == 1 { bits.append(places[places.count - 1], 6) }
        } else {
            for byte in bytes { bits.append(Int(byte), 8) }
        }
        bits.append(0, min(4, room * 8 - bits.count))
        bits.append(0, (8 - bits.count % 8) % 8)
        var filled = bits.bytes
        var filler: UInt8 = 0xEC
        while filled.count < room {
            filled.append(filler)
            filler ^= 0xEC ^ 0x11
        }
        return filled
    }

    private func countBits(_ version: Int) -> Int {
        switch (version, places != nil) {
        case (...9, true): 9
        case (...26, true): 11
        case (_, true): 13
        case (...9, false): 8
        case (_, false): 16
        }
    }
}

/// Bits in their order, the highest of each number first.
private struct Bits {
    private(set) var bytes: [UInt8] = []
    private(set) var count = 0

    mutating func append(_ value: Int, _ length: Int) {
        for bit in (0..<length).reversed() {
            if count % 8 == 0 { bytes.append(0) }
            bytes[bytes.count - 1] |= UInt8(value >> bit & 1) << (7 - count % 8)
            count += 1
        }
    }
}
