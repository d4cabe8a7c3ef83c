package org.virtualchannels

import java.nio.file.Files
import java.nio.file.Path
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** An app with several operators: a wallet for each, side by side, from the same words. */
class OperatorsTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun twoAtOnce() = runBlocking<Unit>(Dispatchers.Default) {
        RegtestProcess.start("--unit", "block", "--session", "1").use { other ->
            val words = generateMnemonic()
            val addresses = listOf(World.shared, other).mapIndexed { number, regtest ->
                async { life(World(regtest, Files.createDirectories(folder.resolve("$number"))), words) }
            }.awaitAll()
            assertNotEquals(addresses[0], addresses[1], "another delay of the operator's makes another address of the same key")
        }
    }

    private suspend fun life(world: World, words: String): String =
        VirtualChannels.open(world.config("payer"), words).use { payer ->
            world.wallet("receiver").use { receiver ->
                world.enrich(payer, 100_000.sats)
                val channel = world.open(payer, receiver, 50_000.sats)
                assertEquals(1_000.sats, receiver.receive(payer.pay(channel, 1_000.sats, "one").text).amount)
                receiver.closeChannel(channel)
                eventually("the close") { payer.watch(channel).state == ChannelState.CLOSED }
                assertEquals(99_000.sats, payer.balance().total)
                payer.arkAddress()
            }
        }
}
