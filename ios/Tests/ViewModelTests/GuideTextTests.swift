import Foundation
import XCTest

/// The Swift in docs/guide.md is what GuideTests and GuideTroubleTests run, or an excerpt of the sample app.
final class GuideTextTests: XCTestCase {
    func testEveryPieceOfSwiftIsReal() throws {
        let sources = try self.sources().map(Self.lines)
        let blocks = try Self.blocks(of: text("docs/guide.md"))
        XCTAssertGreaterThan(blocks.count, 5)
        for block in blocks {
            let piece = Self.lines(block)
            XCTAssertTrue(sources.contains { Self.contains($0, piece) }, "nowhere in the tests or the sample:\n\(block)")
        }
    }

    func testEveryPieceIsInTheGuide() throws {
        let guide = Self.lines(try text("docs/guide.md"))
        let pieces = try tests().flatMap { $0.components(separatedBy: "// guide: ").dropFirst() }
        XCTAssertGreaterThan(pieces.count, 5)
        for piece in pieces {
            let code = piece.components(separatedBy: "// end")[0].split(separator: "\n", omittingEmptySubsequences: false)
            XCTAssertTrue(Self.contains(guide, Self.lines(code.dropFirst().joined(separator: "\n"))), "not in the guide: \(piece.prefix(20))")
        }
    }

    private func sources() throws -> [String] {
        let sample = root.appendingPathComponent("ios/sample")
        let files = FileManager.default.enumerator(at: sample, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
        let swift = files.filter { $0.pathExtension == "swift" }
        return try tests() + swift.map { try String(contentsOf: $0, encoding: .utf8) }
    }

    private func tests() throws -> [String] {
        try ["GuideTests", "GuideTroubleTests"].map { try text("ios/Tests/ViewModelTests/\($0).swift") }
    }

    private var root: URL {
        URL(fileURLWithPath: #filePath).appendingPathComponent("../../../..").standardized
    }

    private func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// What stands between ```swift and ```.
    private static func blocks(of guide: String) -> [String] {
        guide.components(separatedBy: "```swift\n").dropFirst().map { $0.components(separatedBy: "```")[0] }
    }

    /// Without indentation and empty lines.
    private static func lines(_ text: String) -> [String] {
        text.split(separator: "\n").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }

    private static func contains(_ source: [String], _ piece: [String]) -> Bool {
        guard !piece.isEmpty, source.count >= piece.count else { return false }
        return (0...source.count - piece.count).contains { Array(source[$0..<$0 + piece.count]) == piece }
    }
}
