package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Letting go of the database and picking it up again, with the wallet open all the time. */
class ReleaseTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun letGoAndPickedUp() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            val channel = payer.channelState(ready.id)
            assertEquals(1_000.sats, payer.pay(ready.id, 1_000.sats, "one").amount)
            repeat(3) { round ->
                payer.releaseDatabase()
                payer.releaseDatabase()
                assertEquals(listOf<String>(), Handles.of(folder), "no handle, so no lock either")
                assertThrows<WalletException.DatabaseReleased> { payer.pay(ready.id, 1_000.sats, "round $round") }
                assertThrows<WalletException.DatabaseReleased> { payer.channels() }
                // Whoever else opens the file has it alone.
                ready.payer.open().use { it.pay(ready.id, 1_000.sats, "other $round") }
                payer.reopenDatabase()
                payer.reopenDatabase()
                assertEquals(1_000.sats + 2_000.sats * (round + 1), payer.pay(ready.id, 1_000.sats, "round $round").amount)
            }
            assertEquals(7_000.sats, channel.first().amount)
        }
    }

    @Test
    fun whoWaitsGoesOnWaiting() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            val event = async { payer.events().first() }
            payer.channels()
            payer.releaseDatabase()
            payer.reopenDatabase()
            payer.pay(ready.id, 1_000.sats, "one")
            withTimeout(PATIENCE) { assertEquals(EventKind.PaymentSent(1_000.sats, 1_000.sats), event.await().kind) }
        }
    }
}
