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

    /** So many times the amount; throws [ArithmeticException] above what 64 bits hold, [IllegalArgumentException] below zero. */
    operator fun times(count: Int): Sats {
        require(count >= 0) { "$count times $value sats are less than nothing" }
        val product = value * count.toULong()
        if (count != 0 && product / count.toULong() != value) throw ArithmeticException("$count times $value sats do not fit")
        return Sats(product)
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
