package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Network
import org.virtualchannels.RestoreWarning
import org.virtualchannels.VirtualChannels
import org.virtualchannels.WalletConfig
import org.virtualchannels.closeAndWait

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

        val restored = VirtualChannels.restore(config("found"), words, backup)
        assertEquals(listOf(channel), restored.report.channels)
        assertEquals(listOf<RestoreWarning>(), restored.report.warnings)
        restored.wallet.closeAndWait()
        receiver.wallet.shutdown()
    }

    private fun config(name: String) =
        WalletConfig(folder.resolve("$name.db").toString(), Network.REGTEST, App.regtest.operator, App.regtest.esplora)
}
