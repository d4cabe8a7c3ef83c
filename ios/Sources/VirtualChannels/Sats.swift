/// An amount of bitcoin in satoshis. A type of its own: nobody passes a height or a timestamp for an amount.
///
/// `+`, `-` and `*` stop the program where the result does not fit, as those of Swift's integers do. For figures that came from outside
/// ``adding(_:)`` and ``subtracting(_:)`` answer `nil` instead.
public struct Sats: Hashable, Sendable, Comparable, AdditiveArithmetic, ExpressibleByIntegerLiteral,
    CustomStringConvertible
{
    /// The number of satoshis.
    public let value: UInt64

    /// Nothing.
    public static let zero = Sats(0)

    /// So many satoshis.
    public init(_ value: UInt64) {
        self.value = value
    }

    /// Lets a number stand for an amount: `let fee: Sats = 21`.
    public init(integerLiteral value: UInt64) {
        self.value = value
    }

    /// Compares by value.
    public static func < (left: Sats, right: Sats) -> Bool {
        left.value < right.value
    }

    /// The sum; traps above what 64 bits hold.
    public static func + (left: Sats, right: Sats) -> Sats {
        Sats(left.value + right.value)
    }

    /// The difference; traps below zero.
    public static func - (left: Sats, right: Sats) -> Sats {
        Sats(left.value - right.value)
    }

    /// So many times the amount; traps above what 64 bits hold and below zero.
    public static func * (amount: Sats, count: Int) -> Sats {
        Sats(amount.value * UInt64(count))
    }

    /// The number with its unit, such as `1500 sats`.
    public var description: String {
        "\(value) sats"
    }
}
