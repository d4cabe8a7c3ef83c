import Foundation
import QRText

/// Writes a line at once, also into a pipe.
func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

/// A step of the story with the time at which it begins.
func step(_ number: Int, _ title: String, _ clock: Stopwatch) {
    say("\n\(number). \(title)   [\(clock)]")
}

/// Draws a QR code of the text, or says why not.
func show(_ what: String, _ text: String) {
    // What an ordinary terminal has room for: a code of version 25 takes 125 columns.
    if let code = QRCode(text, limit: 25) {
        say("   \(what), \(text.count) characters:")
        say(code.drawing(coloured: isatty(STDOUT_FILENO) == 1))
    } else {
        say("   \(what) is too long for a QR code in a terminal (\(text.count) characters); an app sends it as a link or a file:")
        say(text)
    }
}
