/// How a version divides its bytes into blocks, each with its error correction (level L).
struct QRLayout {
    /// Error correction bytes of each block, by version.
    private static let correction = [
        7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22, 24, 28, 30, 28, 28,
        28, 28, 30, 30, 26, 28, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30, 30,
    ]
    /// Blocks, by version.
    private static let blocks = [
        1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6, 6, 6, 6, 7, 8,
        8, 9, 9, 10, 12, 12, 12, 13, 14, 15, 16, 17, 18, 19, 19, 20, 21, 22, 24, 25,
    ]

    private let blocks: Int
    private let correction: Int
    private let allBytes: Int

    init(version: Int) {
        blocks = Self.blocks[version - 1]
        correction = Self.correction[version - 1]
        allBytes = Self.freeModules(version) / 8
    }

    /// What is left for the text.
    var dataBytes: Int { allBytes - blocks * correction }

    /// Data and error correction in the order in which they are placed: the blocks' first bytes, their second bytes, …
    func interleaved(_ data: [UInt8]) -> [UInt8] {
        let divisor = ReedSolomon.divisor(degree: correction)
        let (short, long) = (dataBytes / blocks, dataBytes % blocks)
        var start = 0
        let parts: [[UInt8]] = (0..<blocks).map { block in
            let length = short + (block >= blocks - long ? 1 : 0)
            defer { start += length }
            return Array(data[start..<start + length])
        }
        let corrections = parts.map { ReedSolomon.remainder($0, divisor) }
        return Self.columns(parts) + Self.columns(corrections)
    }

    private static func columns(_ rows: [[UInt8]]) -> [UInt8] {
        let longest = rows.map(\.count).max() ?? 0
        return (0..<longest).flatMap { column in rows.compactMap { column < $0.count ? $0[column] : nil } }
    }

    /// Modules that are not taken by patterns, format and version.
    private static func freeModules(_ version: Int) -> Int {
        let canvas = QRCanvas(version: version)
        return canvas.taken.reduce(0) { $0 + $1.count { !$0 } }
    }
}

/// Error correction over GF(256) with the polynomial 0x11D.
enum ReedSolomon {
    /// The product of `x - 2^i`, highest coefficient left out since it is one.
    static func divisor(degree: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: degree - 1) + [1]
        var root: UInt8 = 1
        for _ in 0..<degree {
            for place in 0..<degree {
                result[place] = multiply(result[place], root) ^ (place + 1 < degree ? result[place + 1] : 0)
            }
            root = multiply(root, 2)
        }
        return result
    }

    static func remainder(_ data: [UInt8], _ divisor: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: divisor.count)
        for byte in data {
            let factor = byte ^ result.removeFirst()
            result.append(0)
            for place in divisor.indices { result[place] ^= multiply(divisor[place], factor) }
        }
        return result
    }

    private static func multiply(_ left: UInt8, _ right: UInt8) -> UInt8 {
        var product: UInt8 = 0
        for bit in (0..<8).reversed() {
            product = product << 1 ^ (product & 0x80 != 0 ? 0x1D : 0)
            if right >> bit & 1 == 1 { product ^= left }
        }
        return product
    }
}
