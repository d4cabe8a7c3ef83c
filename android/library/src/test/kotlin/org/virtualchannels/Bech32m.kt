package org.virtualchannels

/** bech32m (BIP350) without a limit of length: so that damage reaches what is behind the checksum. */
object Bech32m {
    private const val LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
    private const val FINAL = 0x2bc830a3
    private val generator = intArrayOf(0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3)

    /** The prefix and the five-bit groups of a right text, without its checksum. */
    fun split(text: String): Pair<String, IntArray> {
        val prefix = text.substringBeforeLast('1')
        val groups = text.substringAfterLast('1').map { LETTERS.indexOf(it) }.toIntArray()
        return prefix to groups.copyOf(groups.size - 6)
    }

    /** The text of these groups, with a right checksum. */
    fun join(prefix: String, groups: IntArray): String {
        val expanded = prefix.map { it.code shr 5 } + 0 + prefix.map { it.code and 31 }
        val sum = polymod(expanded.toIntArray() + groups + IntArray(6)) xor FINAL
        val checksum = IntArray(6) { sum shr 5 * (5 - it) and 31 }
        return prefix + "1" + (groups + checksum).map { LETTERS[it] }.joinToString("")
    }

    /** The prefix and the bytes of a right text. */
    fun bytes(text: String): Pair<String, ByteArray> {
        val (prefix, groups) = split(text)
        val bits = groups.flatMap { group -> (4 downTo 0).map { group shr it and 1 } }
        return prefix to bits.chunked(8).filter { it.size == 8 }.map { byte -> byte.fold(0) { sum, bit -> sum * 2 + bit }.toByte() }.toByteArray()
    }

    /** The text of these bytes. */
    fun text(prefix: String, bytes: ByteArray): String {
        val bits = bytes.flatMap { byte -> (7 downTo 0).map { byte.toInt() shr it and 1 } }
        return join(prefix, bits.chunked(5).map { group -> (group + List(5 - group.size) { 0 }).fold(0) { sum, bit -> sum * 2 + bit } }.toIntArray())
    }

    private fun polymod(values: IntArray): Int {
        var sum = 1
        for (value in values) {
            val top = sum ushr 25
            sum = sum and 0x1ffffff shl 5 xor value
            for (bit in 0..4) if (top shr bit and 1 == 1) sum = sum xor generator[bit]
        }
        return sum
    }
}
