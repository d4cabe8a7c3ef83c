/// bech32m (BIP350) without a limit of length: so that damage reaches what is behind the checksum.
enum Bech32m {
    private static let letters = Array("qpzry9x8gf2tvdw0s3jn54khce6mua7l")
    private static let values = Dictionary(uniqueKeysWithValues: letters.enumerated().map { ($1, UInt32($0)) })
    private static let generator: [UInt32] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3]
    private static let final: UInt32 = 0x2bc8_30a3

    /// The prefix and the five-bit groups of a text, without its checksum; nil if the checksum is wrong.
    static func split(_ text: String) -> (prefix: String, groups: [UInt32])? {
        guard let separator = text.lastIndex(of: "1") else { return nil }
        let prefix = String(text[..<separator])
        let groups = text[text.index(after: separator)...].compactMap { values[$0] }
        guard groups.count >= 6, join(prefix, Array(groups.dropLast(6))) == text else { return nil }
        return (prefix, Array(groups.dropLast(6)))
    }

    /// The text of these groups, with a right checksum.
    static func join(_ prefix: String, _ groups: [UInt32]) -> String {
        let scalars = prefix.unicodeScalars.map(\.value)
        let sum = polymod(scalars.map { $0 >> 5 } + [0] + scalars.map { $0 & 31 } + groups + [0, 0, 0, 0, 0, 0]) ^ final
        let checksum = (0..<6).map { sum >> (5 * (5 - $0)) & 31 }
        return prefix + "1" + String((groups + checksum).map { letters[Int($0)] })
    }

    /// The whole bytes in these groups; bits left over at the end are nobody's.
    static func bytes(_ groups: [UInt32]) -> [UInt8] {
        var bytes: [UInt8] = []
        var (held, bits): (UInt32, UInt32) = (0, 0)
        for group in groups {
            held = (held << 5 | group) & 0xfff
            bits += 5
            if bits >= 8 {
                bits -= 8
                bytes.append(UInt8(truncatingIfNeeded: held >> bits))
            }
        }
        return bytes
    }

    private static func polymod(_ values: [UInt32]) -> UInt32 {
        var sum: UInt32 = 1
        for value in values {
            let top = sum >> 25
            sum = (sum & 0x1ff_ffff) << 5 ^ value
            for bit in 0..<5 where top >> bit & 1 == 1 { sum ^= generator[bit] }
        }
        return sum
    }
}
