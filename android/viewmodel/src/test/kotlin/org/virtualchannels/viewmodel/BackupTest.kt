package org.virtualchannels.viewmodel

import java.nio.file.Files
import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Network
import org.virtualchannels.RestoreWarning
import org.virtualchannels.VirtualChannels
import org.virtualchannels.WalletConfig

/** The backup that the screen shows makes the channels again. */
class BackupTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun whatIsShownRestoresTheWallet() = runBlocking<Unit> {
        val words = VirtualChannels.newMnemonic()
        val early = WalletModel(config("early")) { words }
        early.backUp()
        assertEquals("The wallet is not open.", early.state.value.problem)
        assertNull(early.state.value.backup)

        val payer = App.start(folder.resolve("payer.db"), words = words)
        val receiver = App.start(folder.resolve("receiver.db"))
        payer.board()
        val channel = openOffchain(payer, receiver)
        assertNull(payer.wallet.ok().backup, "only when it is asked for")
        payer.wallet.backUp()
        val backup = checkNotNull(payer.wallet.ok().backup)
        val logged = payer.wallet.ok().toString()
        assertFalse(backup in logged)
        // All else that it has is there.
        for (field in WalletState::class.java.declaredFields.map { it.name } - "backup") assertTrue("$field=" in logged, "$field: $logged")
        payer.wallet.hideBackup()
        assertNull(payer.wallet.ok().backup)
        payer.wallet.shutdown()

        // The same words on a phone without the database: what is no backup changes nothing.
        val found = WalletModel(config("found")) { words }
        found.restore("tea")
        assertNotNull(found.state.value.problem)
        assertNull(found.wallet)
        assertFalse(Files.exists(folder.resolve("found.db")))
        found.restore("\n$backup ")
        val restored = checkNotNull(found.ok().restored)
        assertEquals(listOf(channel), restored.channels)
        assertEquals(listOf<RestoreWarning>(), restored.warnings)
        assertEquals(WalletPhase.OPEN, found.ok().phase)
        val list = ChannelListModel(checkNotNull(found.wallet))
        list.refresh()
        assertEquals(listOf(channel), list.ok().rows?.map { it.id })
        found.restore(backup)
        assertEquals("The wallet is open already.", found.state.value.problem)
        found.shutdown()
        receiver.wallet.shutdown()
    }

    private fun config(name: String) =
        WalletConfig(folder.resolve("$name.db").toString(), Network.REGTEST, App.regtest.operator, App.regtest.esplora)
}
