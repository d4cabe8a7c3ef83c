package org.virtualchannels

/**
 * An amount of bitcoin in satoshis. A type of its own: nobody passes a height or a timestamp for an amount.
 *
 * Adding and subtracting throw [ArithmeticException] where plain `ULong` would wrap around.
 */
@JvmInline
value class Sats(
    /** The number of satoshis. */
    val value: ULong,
) : Comparable<Sats> {
    /** The sum; throws [ArithmeticException] above what 64 bits hold. */
    operator fun plus(other: Sats): Sats {
        val sum = value + other.value
        if (sum < value) throw ArithmeticException("$value + ${other.value} sats do not fit")
        return Sats(sum)
    }

    /** The difference; throws [ArithmeticException] where it would be below zero. */
    operator fun minus(other: Sats): Sats {
        if (other.value > value) throw ArithmeticException("$value - ${other.value} sats are less than nothing")
        return Sats(value - other.value)
    }

    /** So many times the amount; throws [ArithmeticException] above what 64 bits hold and below zero. */
    operator fun times(count: Int): Sats {
        if (count < 0) throw ArithmeticException("$count times $value sats are less than nothing")
        if (count > 0 && value > ULong.MAX_VALUE / count.toULong()) throw ArithmeticException("$count times $value sats do not fit")
        return Sats(value * count.toULong())
    }

    /** By how many sats there are. */
    override fun compareTo(other: Sats): Int = value.compareTo(other.value)

    /** The number with its unit, such as `1500 sats`. */
    override fun toString(): String = "$value sats"

    companion object {
        /** Nothing. */
        val ZERO: Sats = Sats(0UL)
    }
}

/** So many satoshis; throws [IllegalArgumentException] below zero. */
val Int.sats: Sats get() = toLong().sats

/** So many satoshis; throws [IllegalArgumentException] below zero. */
val Long.sats: Sats
    get() {
        require(this >= 0) { "$this sats are less than nothing" }
        return Sats(toULong())
    }

/** All of them together; throws [ArithmeticException] above what 64 bits hold. */
fun Iterable<Sats>.sum(): Sats = fold(Sats.ZERO, Sats::plus)

/** The amount in bitcoin with all its eight decimals, such as `0.00001500`: for addresses' URIs, not for people. */
fun Sats.toBitcoin(): String = "${value / SATS_A_BITCOIN}.${(value % SATS_A_BITCOIN).toLong().toString().padStart(8, '0')}"

private const val SATS_A_BITCOIN = 100_000_000UL
