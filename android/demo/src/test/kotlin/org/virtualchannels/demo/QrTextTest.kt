package org.virtualchannels.demo

import com.google.zxing.common.BitMatrix
import com.google.zxing.qrcode.decoder.Decoder
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** What is drawn can be read again. */
class QrTextTest {
    @Test
    fun theDrawingIsTheText() {
        for (text in listOf("A", "VCU1PQQ3YGP5".repeat(20), "VCU1PQQ3YGP5".repeat(80), "mixed Case, and ünicode")) {
            val lines = checkNotNull(QrText.draw(text)).lines()
            assertEquals(1, lines.map { it.length }.toSet().size, "lines of one length")
            assertEquals(text, Decoder().decode(modules(lines)).text)
        }
    }

    @Test
    fun capitalLettersMakeASmallerCode() {
        val text = "vcu1pqq3ygp5".repeat(20)
        val (small, large) = listOf(text.uppercase(), text).map { checkNotNull(QrText.draw(it)).lines().size }
        assertTrue(small < large, "$small lines and $large")
    }

    @Test
    fun aTextThatIsTooLongIsNotDrawn() {
        assertNull(QrText.draw("A".repeat(2_000)))
        assertNull(QrText.draw("A".repeat(10_000)))
    }

    /** Dark modules, without the light ones around them. */
    private fun modules(lines: List<String>): BitMatrix {
        val size = lines.first().length
        fun dark(x: Int, y: Int) = when (lines[y / 2][x]) {
            '█' -> false
            '▀' -> y % 2 == 1
            '▄' -> y % 2 == 0
            else -> true
        }
        val edge = 4
        val matrix = BitMatrix(size - 2 * edge)
        for (y in edge..<size - edge) for (x in edge..<size - edge) if (dark(x, y)) matrix.set(x - edge, y - edge)
        return matrix
    }
}
