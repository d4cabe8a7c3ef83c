package org.virtualchannels

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Amounts: what they add up to, and what they refuse to. */
class SatsTest {
    @Test
    fun theyAddUp() {
        assertEquals(Sats(1_500UL), 1_000.sats + 500L.sats)
        assertEquals(500.sats, 1_500.sats - 1_000.sats)
        assertEquals(Sats.ZERO, 7.sats - 7.sats)
        assertEquals(300.sats, 100.sats * 3)
        assertEquals(6.sats, listOf(1.sats, 2.sats, 3.sats).sum())
        assertEquals(Sats.ZERO, listOf<Sats>().sum())
        assertTrue(1.sats < 2.sats && Sats(ULong.MAX_VALUE) > Long.MAX_VALUE.sats)
    }

    @Test
    fun theyDoNotWrapAround() {
        assertThrows<ArithmeticException> { Sats(ULong.MAX_VALUE) + 1.sats }
        assertThrows<ArithmeticException> { 1.sats - 2.sats }
        assertThrows<ArithmeticException> { Sats(ULong.MAX_VALUE) * 2 }
        assertThrows<ArithmeticException> { 1.sats * -1 }
        assertThrows<IllegalArgumentException> { (-1).sats }
        assertThrows<IllegalArgumentException> { (-1L).sats }
    }

    @Test
    fun theyAreReadable() {
        assertEquals("1500 sats", 1_500.sats.toString())
        assertEquals("0.00001500", 1_500.sats.toBitcoin())
        assertEquals("21000000.00000000", 2_100_000_000_000_000.sats.toBitcoin())
    }
}
