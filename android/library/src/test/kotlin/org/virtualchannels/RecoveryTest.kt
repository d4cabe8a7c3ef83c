package org.virtualchannels

import java.nio.file.Files
import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A file that is lost, or old: what the other side knows brings the channel back. */
class RecoveryTest {
    @TempDir
    lateinit var folder: Path

    /** Words alone find the coins; with the backup the channel comes back, too, and goes on with the latest payment. */
    @Test
    fun aReceiverThatLostItsPhone() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = generateMnemonic()
        val payer = world.wallet("payer")
        world.enrich(payer, 100_000.sats)
        val lost = VirtualChannels.open(world.config("lost"), words)
        world.enrich(lost, 30_000.sats)
        world.regtest.pay(lost.onchainAddress(), 7_000.sats)
        world.regtest.mine(1)
        val channel = world.open(payer, lost, CAPACITY)
        val backup = lost.backup()
        lost.receive(payer.pay(channel, 5_000.sats, "one").text)
        lost.closeAndWait()

        val wordsOnly = restoreWallet(world.config("words only"), words)
        assertEquals(listOf<RestoreWarning>(RestoreWarning.NoBackup), wordsOnly.report.warnings)
        assertEquals(listOf(30_000.sats), wordsOnly.report.vtxos.map { it.amount })
        assertEquals(7_000.sats, wordsOnly.report.onchain.confirmed)
        assertEquals(listOf<ChannelInfo>(), wordsOnly.wallet.channels())
        wordsOnly.wallet.closeAndWait()

        val restored = restoreWallet(world.config("found"), words, backup)
        assertEquals(listOf(channel), restored.report.channels)
        assertEquals(listOf<RestoreWarning>(), restored.report.warnings)
        restored.wallet.use { receiver ->
            assertEquals(Sats.ZERO, receiver.channel(channel).amount, "no payment is in a backup")
            assertTrue(receiver.channel(channel).awaitsUpdate)
            assertEquals(5_000.sats, receiver.receive(payer.latestUpdate(channel).text).amount)
            assertFalse(receiver.channel(channel).awaitsUpdate)
            assertEquals(6_000.sats, receiver.receive(payer.pay(channel, 1_000.sats, "two").text).amount)
            receiver.closeChannel(channel)
            eventually("what was paid") { receiver.balance().preconfirmed == 6_000.sats }
        }
        payer.closeAndWait()
    }

    /** Without a backup the other side describes the channel. */
    @Test
    fun aChannelThatTheOtherSideDescribes() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = generateMnemonic()
        val payer = world.wallet("payer")
        world.enrich(payer, 100_000.sats)
        val lost = VirtualChannels.open(world.config("lost"), words)
        val channel = world.open(payer, lost, CAPACITY)
        lost.receive(payer.pay(channel, 5_000.sats, "one").text)
        lost.closeAndWait()
        restoreWallet(world.config("found"), words).wallet.use { receiver ->
            val description = payer.describeChannel(channel)
            assertEquals(channel, receiver.recoverChannel(description))
            assertEquals(5_000.sats, receiver.receive(payer.latestUpdate(channel).text).amount)
            world.wallet("stranger").use { stranger -> assertThrows<WalletException> { stranger.recoverChannel(description) } }
        }
        payer.closeAndWait()
    }

    /** It pays less than the receiver has: the receiver shows what it has. */
    @Test
    fun aPayerWithAnOldFileIsStale() = aPayerWithAnOldFile { payer, receiver, channel ->
        val refused = assertThrows<WalletException.Stale> { receiver.receive(payer.pay(channel, 2_000.sats, "again").text) }
        assertEquals(7_000.sats to 20_000.sats, refused.amount to refused.storedAmount)
        assertEquals(20_000.sats, payer.catchUp(refused.storedPayment))
    }

    /** It pays more than the receiver has, but on top of what it had long ago. */
    @Test
    fun aPayerWithAnOldFileForks() = aPayerWithAnOldFile { payer, receiver, channel ->
        val refused = assertThrows<WalletException.Forked> { receiver.receive(payer.pay(channel, 18_000.sats, "again").text) }
        assertEquals(listOf(23_000.sats, 5_000.sats, 20_000.sats), listOf(refused.amount, refused.previous, refused.storedAmount))
        assertEquals(20_000.sats, payer.catchUp(refused.storedPayment))
        assertEquals(23_000.sats, payer.channel(channel).highest, "what it has signed is not forgotten")
    }

    /** 5 000 were paid when the copy was made, 20 000 when it came back. Whatever [refusal] is, it goes on from there. */
    private fun aPayerWithAnOldFile(refusal: suspend (payer: Wallet, receiver: Wallet, channel: String) -> Unit) = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val receiver = ready.receiver.open()
        ready.payer.open().let { payer ->
            receiver.receive(payer.pay(ready.id, 5_000.sats, "one").text)
            payer.closeAndWait()
        }
        val copy = Files.copy(ready.payer.file, folder.resolve("copy.db"))
        ready.payer.open().let { payer ->
            receiver.receive(payer.pay(ready.id, 15_000.sats, "two").text)
            payer.closeAndWait()
        }
        ready.payer.open(file = copy).use { payer ->
            assertEquals(5_000.sats, payer.channel(ready.id).amount)
            refusal(payer, receiver, ready.id)
            assertEquals(20_000.sats, payer.channel(ready.id).amount)
            assertEquals(24_000.sats, receiver.receive(payer.pay(ready.id, 4_000.sats, "three").text).amount)
        }
        receiver.closeAndWait()
    }

    private companion object {
        val CAPACITY = 50_000.sats
    }
}
