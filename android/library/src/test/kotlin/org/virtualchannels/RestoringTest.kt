package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A phone is lost: its wallet is made again from the words and the static backup. */
class RestoringTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun aPayersPhone() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = generateMnemonic()
        val receiver = world.wallet("receiver")
        val (channel, backup) = VirtualChannels.open(world.config("lost"), words).use { payer ->
            world.enrich(payer, 100_000.sats)
            val channel = world.openOffchain(payer, receiver, 50_000.sats)
            receiver.receive(payer.pay(channel, 5_000.sats, "one").text)
            channel to payer.backup()
        }
        val other = assertThrows<WalletException.OtherBackup> { VirtualChannels.restore(world.config("other"), generateMnemonic(), backup) }
        assertTrue(other.what.isNotEmpty())

        val restored = VirtualChannels.restore(world.config("found"), words, backup)
        assertEquals(listOf(channel), restored.report.channels)
        assertEquals(listOf<RestoreWarning>(), restored.report.warnings)
        restored.wallet.use { payer ->
            assertEquals(50_000.sats, payer.balance().run { settled + preconfirmed })
            val needed = assertThrows<WalletException.CatchUpNeeded> { payer.pay(channel, 1_000.sats, "two") }
            assertEquals(channel, needed.channelId)
            assertEquals(5_000.sats, payer.catchUp(receiver.latestUpdate(channel).text))
            assertEquals(6_000.sats, receiver.receive(payer.pay(channel, 1_000.sats, "two").text).amount)
        }
        receiver.closeAndWait()
    }

    @Test
    fun withoutABackup() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = generateMnemonic()
        VirtualChannels.open(world.config("lost"), words).use { world.enrich(it, 30_000.sats) }
        val restored = VirtualChannels.restore(world.config("found"), words)
        assertEquals(listOf<RestoreWarning>(RestoreWarning.NoBackup), restored.report.warnings)
        assertEquals(listOf(30_000.sats), restored.report.vtxos.map { it.amount })
        restored.wallet.use { assertEquals(30_000.sats, it.balance().settled) }
    }
}
