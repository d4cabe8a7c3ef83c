package org.virtualchannels

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** A panic below is an exception here and ends no app: also in the library as it is shipped (`make test-shipped`). */
class PanicTest {
    @Test
    fun isAnException() {
        // Nothing of the library's own panics on demand; this part of UniFFI does.
        val thrown = assertThrows<InternalException> { RustBuffer.alloc(ULong.MAX_VALUE) }
        assertEquals("capacity overflow", thrown.message)
        assertEquals(12, generateMnemonic().split(" ").size)
    }
}
