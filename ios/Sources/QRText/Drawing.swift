extension QRCode {
    /// The code in half blocks, two rows a line, with its light border. Light is drawn and dark is left out, as a terminal with
    /// a dark background needs it.
    ///
    /// - Parameter coloured: Says black and white by escape sequences, which is right on any background, but only on a terminal.
    public func drawing(coloured: Bool = false) -> String {
        let border = 4
        let range = -border..<modules.count + border
        func dark(_ row: Int, _ column: Int) -> Bool {
            modules.indices.contains(row) && modules.indices.contains(column) && modules[row][column]
        }
        let lines = stride(from: range.lowerBound, to: range.upperBound, by: 2).map { row in
            let line = range.map { column in
                switch (dark(row, column), dark(row + 1, column)) {
                case (false, false): "█"
                case (false, true): "▀"
                case (true, false): "▄"
                case (true, true): " "
                }
            }.joined()
            return coloured ? "\u{1B}[97;40m\(line)\u{1B}[0m" : line
        }
        return lines.joined(separator: "\n")
    }
}
