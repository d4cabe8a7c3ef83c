/// The square of modules.
struct QRCanvas {
    private let version: Int
    private let size: Int
    /// `true` where dark.
    private(set) var modules: [[Bool]]
    /// `true` where a pattern, the format or the version is: no data there, and no mask.
    private(set) var taken: [[Bool]]

    init(version: Int) {
        self.version = version
        size = 17 + 4 * version
        modules = Array(repeating: Array(repeating: false, count: size), count: size)
        taken = modules
        drawPatterns()
        drawFormat(mask: 0)
        drawVersion()
    }

    /// Puts the bytes into the free modules, in the zigzag from the lower right corner.
    mutating func place(_ bytes: [UInt8]) {
        var number = 0
        var upwards = true
        // Pairs of columns from the right; the timing pattern's column is left out.
        for right in Array(stride(from: size - 1, to: 6, by: -2)) + [5, 3, 1] {
            for step in 0..<size {
                let row = upwards ? size - 1 - step : step
                for column in [right, right - 1] where !taken[row][column] && number < bytes.count * 8 {
                    modules[row][column] = bytes[number / 8] >> (7 - number % 8) & 1 == 1
                    number += 1
                }
            }
            upwards.toggle()
        }
    }

    /// The same with one of the eight masks over the data.
    func masked(_ mask: Int) -> QRCanvas {
        var copy = self
        for row in 0..<size {
            for column in 0..<size where !taken[row][column] && Self.inverts(mask, row, column) { copy.modules[row][column].toggle() }
        }
        copy.drawFormat(mask: mask)
        return copy
    }

    /// How hard it is to read: long runs, squares of one colour, and more dark than light or the reverse.
    var penalty: Int {
        let columns = (0..<size).map { column in modules.map { $0[column] } }
        let runs = (modules + columns).reduce(0) { $0 + Self.runs($1) }
        var squares = 0
        for row in 1..<size {
            for column in 1..<size {
                let colour = modules[row][column]
                if modules[row - 1][column] == colour, modules[row][column - 1] == colour, modules[row - 1][column - 1] == colour {
                    squares += 3
                }
            }
        }
        let dark = modules.reduce(0) { $0 + $1.count { $0 } }
        return runs + squares + abs(dark * 20 - size * size * 10) / (size * size) * 10
    }

    private static func runs(_ line: [Bool]) -> Int {
        var (penalty, length) = (0, 0)
        for place in line.indices {
            length = place > 0 && line[place] == line[place - 1] ? length + 1 : 1
            if length >= 5 { penalty += length == 5 ? 3 : 1 }
        }
        return penalty
    }

    private static func inverts(_ mask: Int, _ row: Int, _ column: Int) -> Bool {
        switch mask {
        case 0: (row + column) % 2 == 0
        case 1: row % 2 == 0
        case 2: column % 3 == 0
        case 3: (row + column) % 3 == 0
        case 4: (row / 2 + column / 3) % 2 == 0
        case 5: row * column % 2 + row * column % 3 == 0
        case 6: (row * column % 2 + row * column % 3) % 2 == 0
        default: ((row + column) % 2 + row * column % 3) % 2 == 0
        }
    }

    private mutating func set(_ row: Int, _ column: Int, _ dark: Bool) {
        guard modules.indices.contains(row), modules.indices.contains(column) else { return }
        modules[row][column] = dark
        taken[row][column] = true
    }

    private mutating func drawPatterns() {
        for place in 0..<size {
            set(6, place, place % 2 == 0)
            set(place, 6, place % 2 == 0)
        }
        // Three large squares with their light border.
        for (row, column) in [(3, 3), (3, size - 4), (size - 4, 3)] { drawSquares(row, column, reach: 4) }
        let places = alignment
        for row in places {
            for column in places {
                let corner = [[6, 6], [6, size - 7], [size - 7, 6]].contains([row, column])
                if !corner { drawSquares(row, column, reach: 2) }
            }
        }
    }

    /// Squares around a centre: of reach 4 the large ones, of reach 2 the small ones.
    private mutating func drawSquares(_ row: Int, _ column: Int, reach: Int) {
        for down in -reach...reach {
            for right in -reach...reach {
                let distance = max(abs(down), abs(right))
                set(row + down, column + right, reach == 4 ? distance != 2 && distance != 4 : distance != 1)
            }
        }
    }

    /// Rows and columns of the small squares: evenly from the last one backwards, in even steps.
    private var alignment: [Int] {
        guard version > 1 else { return [] }
        let count = version / 7 + 2
        let step = version == 32 ? 26 : (version * 4 + count * 2 + 1) / (count * 2 - 2) * 2
        return [6] + (0..<count - 1).reversed().map { size - 7 - $0 * step }
    }

    /// Level and mask, twice, with a BCH code.
    private mutating func drawFormat(mask: Int) {
        let level = 0b01
        let data = level << 3 | mask
        var rest = data
        for _ in 0..<10 { rest = rest << 1 ^ (rest >> 9) * 0x537 }
        let bits = (data << 10 | rest) ^ 0x5412
        func dark(_ bit: Int) -> Bool { bits >> bit & 1 == 1 }
        for bit in 0..<6 { set(bit, 8, dark(bit)) }
        set(7, 8, dark(6))
        set(8, 8, dark(7))
        set(8, 7, dark(8))
        for bit in 9..<15 { set(8, 14 - bit, dark(bit)) }
        for bit in 0..<8 { set(8, size - 1 - bit, dark(bit)) }
        for bit in 8..<15 { set(size - 15 + bit, 8, dark(bit)) }
        set(size - 8, 8, true)
    }

    /// The version, twice, from version 7 on, with a BCH code.
    private mutating func drawVersion() {
        guard version >= 7 else { return }
        var rest = version
        for _ in 0..<12 { rest = rest << 1 ^ (rest >> 11) * 0x1F25 }
        let bits = version << 12 | rest
        for bit in 0..<18 {
            let dark = bits >> bit & 1 == 1
            set(size - 11 + bit % 3, bit / 3, dark)
            set(bit / 3, size - 11 + bit % 3, dark)
        }
    }
}
