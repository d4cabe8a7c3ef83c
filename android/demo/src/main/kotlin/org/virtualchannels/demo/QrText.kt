package org.virtualchannels.demo

import com.google.zxing.WriterException
import com.google.zxing.qrcode.decoder.ErrorCorrectionLevel
import com.google.zxing.qrcode.encoder.Encoder

/** QR codes for a terminal: two rows of modules are one line of half blocks. */
object QrText {
    /** A code with more modules a side is more than a terminal shows and a camera reads well. */
    private const val WIDEST = 101

    /** Light around the code, in modules; the standard asks for four. */
    private const val QUIET = 4

    /**
     * The code as lines, or null for a text that is too long for one that can be read.
     *
     * Light modules are what is drawn, for terminals with light letters on dark ground; most scanners read the other kind, too.
     * A text of digits and capital letters only makes a smaller code.
     */
    fun draw(text: String): String? {
        val matrix = try {
            Encoder.encode(text, ErrorCorrectionLevel.L).matrix
        } catch (_: WriterException) {
            return null
        }
        if (matrix.width > WIDEST) return null
        fun light(x: Int, y: Int) = x !in 0..<matrix.width || y !in 0..<matrix.height || matrix.get(x, y).toInt() == 0
        val edge = -QUIET..<matrix.width + QUIET
        return edge.step(2).joinToString("\n") { y ->
            edge.joinToString("") { x ->
                val lower = y + 1 in edge && light(x, y + 1)
                if (light(x, y)) { if (lower) "█" else "▀" } else { if (lower) "▄" else " " }
            }
        }
    }
}
