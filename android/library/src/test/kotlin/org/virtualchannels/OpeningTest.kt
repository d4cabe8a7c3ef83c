package org.virtualchannels

import java.nio.file.Path
import java.util.concurrent.Executors
import kotlinx.coroutines.asCoroutineDispatcher
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Opening, and calls from the one thread that must never be held up. */
class OpeningTest {
    @TempDir
    lateinit var folder: Path

    private suspend fun cpuNanosOn(thread: kotlinx.coroutines.CoroutineDispatcher, work: suspend () -> Unit): Long {
        return withContext(thread) {
            val before = ThisJvm.cpuNanosOfThisThread()
            work()
            ThisJvm.cpuNanosOfThisThread() - before
        }
    }

    /** What the main thread itself works: the time of others, who may be many, does not count. */
    @Test
    fun theMainThreadHasLittleToDo() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        Executors.newSingleThreadExecutor().asCoroutineDispatcher().use { main ->
            val busy = cpuNanosOn(main) {
                repeat(100) { number ->
                    ready.payer.open().use { it.pay(ready.id, 1_000.sats, "order $number") }
                }
            }
            val each = busy / 100 / 1_000
            println("opening, paying and closing takes $each µs of the calling thread")
            assertTrue(each < 8_000, "opening, paying and closing takes $each µs of the calling thread")
        }
        ready.payer.open().use { assertEquals(100_000.sats, it.channel(ready.id).amount) }
    }

    @Test
    fun openedTwiceIsTheSameWallet() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = VirtualChannels.newMnemonic()
        val address = VirtualChannels.open(world.config("wallet"), words).use { it.arkAddress() }
        VirtualChannels.open(world.config("wallet"), words).use { assertEquals(address, it.arkAddress()) }
    }
}
