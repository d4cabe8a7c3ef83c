import Foundation

extension Sats {
    /// The sum, or `nil` where it does not fit 64 bits.
    public func adding(_ other: Sats) -> Sats? {
        let (sum, overflow) = value.addingReportingOverflow(other.value)
        return overflow ? nil : Sats(sum)
    }

    /// The difference, or `nil` where it would be below zero.
    public func subtracting(_ other: Sats) -> Sats? {
        other.value > value ? nil : Sats(value - other.value)
    }

    /// The number as people of a place write it, with its unit: `1,500 sats`.
    ///
    /// - Parameter locale: Says how digits are grouped.
    public func formatted(locale: Locale = .current) -> String {
        // More than there can ever be is more than the formatter can take.
        guard let number = Int64(exactly: value) else { return description }
        let formatter = NumberFormatter()
        formatter.numberStyle = .decimal
        formatter.locale = locale
        return "\(formatter.string(from: NSNumber(value: number)) ?? String(value)) sats"
    }
}

/// As a plain number: `{"amount": 1500}`.
extension Sats: Codable {
    /// Reads a whole number that is not below zero; throws what the decoder throws for anything else.
    public init(from decoder: any Decoder) throws {
        self.init(try decoder.singleValueContainer().decode(UInt64.self))
    }

    /// Writes the number.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(value)
    }
}
