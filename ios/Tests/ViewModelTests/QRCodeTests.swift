import QRText
import XCTest

/// Codes against those of another encoder (the Python package qrcode 8).
final class QRCodeTests: XCTestCase {
    func testASmallCodeModuleByModule() throws {
        let code = try XCTUnwrap(QRCode("HELLO WORLD", mask: 3))
        XCTAssertEqual(code.modules.map { $0.map { $0 ? "#" : "." }.joined() }, Self.hello)
    }

    func testCodesOfAllSizes() throws {
        for (length, mask, version, sum) in Self.sums {
            let text = String(String(repeating: "VC0123456789", count: 400).prefix(length))
            let code = try XCTUnwrap(QRCode(text, mask: mask))
            XCTAssertEqual(code.version, version)
            XCTAssertEqual(Self.checksum(code), sum, "\(length) characters, mask \(mask)")
        }
    }

    func testTextsThatDoNotFit() {
        let text = String(repeating: "A", count: 4_297)
        XCTAssertNil(QRCode(text))
        XCTAssertNil(QRCode(String(text.prefix(26)), limit: 1))
        XCTAssertEqual(QRCode(String(text.prefix(25)), limit: 1)?.version, 1)
        // Lower case takes more room.
        XCTAssertNil(QRCode(String(text.prefix(25)).lowercased(), limit: 1))
    }

    func testADrawingHasAllModulesAndABorder() throws {
        let code = try XCTUnwrap(QRCode("HELLO WORLD"))
        let lines = code.drawing().split(separator: "\n")
        XCTAssertEqual(lines.count, 15)
        var rows: [[Bool]] = []
        for line in lines {
            rows.append(line.map { $0 == "▄" || $0 == " " })
            rows.append(line.map { $0 == "▀" || $0 == " " })
        }
        let width = code.modules.count
        XCTAssertEqual(rows[4..<4 + width].map { Array($0[4..<4 + width]) }, code.modules)
        XCTAssertFalse(rows[..<4].joined().contains(true))
        XCTAssertTrue(code.drawing(coloured: true).contains("\u{1B}[97;40m"))
    }

    private static func checksum(_ code: QRCode) -> UInt64 {
        code.modules.joined().reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ ($1 ? 0x31 : 0x30)) &* 0x100_0000_01B3 }
    }

    /// Characters, mask, version, FNV-1a of the modules as zeros and ones.
    private static let sums: [(Int, Int, Int, UInt64)] = [
        (100, 0, 4, 0xE0B3_AAA1_8CAD_D659),
        (154, 1, 5, 0x98A0_8055_D4CE_F717),
        (395, 2, 10, 0x5630_217E_EEF1_C95B),
        (900, 4, 17, 0xA4FE_59F1_2340_C864),
        (1500, 6, 23, 0x8EB8_F2A7_35F1_6AA9),
        (2840, 7, 32, 0x6945_2F72_AB65_3E62),
        (4296, 3, 40, 0x3A3C_27EE_B0DD_FE99),
    ]

    private static let hello = [
        "#######.##..#.#######",
        "#.....#..#..#.#.....#",
        "#.###.#.#.#.#.#.###.#",
        "#.###.#.#..#..#.###.#",
        "#.###.#.###...#.###.#",
        "#.....#.......#.....#",
        "#######.#.#.#.#######",
        ".........##..........",
        "####..#.#.#..#..###.#",
        "..#.#..##.#.##..#####",
        ".##..###.#..#.#...#..",
        "#....#.#..#.##..#.##.",
        "..#..####..#......#..",
        "........###..#.#..##.",
        "#######......###.#.##",
        "#.....#...######..##.",
        "#.###.#..###..##...##",
        "#.###.#.##...#..##.#.",
        "#.###.#.##.#.#..##...",
        "#.....#.##.##.##.#...",
        "#######.#.###..#..##.",
    ]
}
