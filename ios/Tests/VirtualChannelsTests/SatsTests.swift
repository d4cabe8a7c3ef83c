import Foundation
import VirtualChannels
import XCTest

/// Amounts of money.
final class SatsTests: XCTestCase {
    func testArithmetic() {
        let amount: Sats = 1_500
        XCTAssertEqual(amount + 500, 2_000)
        XCTAssertEqual(amount - 500, 1_000)
        XCTAssertEqual(amount * 3, 4_500)
        XCTAssertEqual([1, 2, 3].reduce(.zero, +), Sats(6))
        XCTAssertLessThan(amount, 1_501)
        XCTAssertEqual([3, 1, 2].sorted() as [Sats], [1, 2, 3])
    }

    func testWhatDoesNotFit() {
        XCTAssertNil(Sats(.max).adding(1))
        XCTAssertEqual(Sats(.max - 1).adding(1), Sats(.max))
        XCTAssertNil(Sats(1).subtracting(2))
        XCTAssertEqual(Sats(2).subtracting(2), .zero)
    }

    func testText() {
        XCTAssertEqual("\(Sats(1_500))", "1500 sats")
        XCTAssertEqual(Sats(1_234_567).formatted(locale: Locale(identifier: "en_US")), "1,234,567 sats")
        XCTAssertEqual(Sats(1_234_567).formatted(locale: Locale(identifier: "de_DE")), "1.234.567 sats")
        XCTAssertEqual(Sats(2_100_000_000_000_000).formatted(locale: Locale(identifier: "en_US")), "2,100,000,000,000,000 sats")
        XCTAssertEqual(Sats(.max).formatted(locale: Locale(identifier: "en_US")), "18446744073709551615 sats")
    }

    func testJson() throws {
        let json = try JSONEncoder().encode(["amount": Sats(1_500)])
        XCTAssertEqual(String(decoding: json, as: UTF8.self), #"{"amount":1500}"#)
        XCTAssertEqual(try JSONDecoder().decode([String: Sats].self, from: json), ["amount": 1_500])
        for bad in ["-1", "1.5", "\"1\"", "18446744073709551616", "null"] {
            XCTAssertThrowsError(try JSONDecoder().decode([Sats].self, from: Data("[\(bad)]".utf8)), bad)
        }
    }
}
