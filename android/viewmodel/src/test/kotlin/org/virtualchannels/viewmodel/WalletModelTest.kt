package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Network
import org.virtualchannels.WalletConfig

class WalletModelTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun aWalletRestsAndWakes() = runBlocking<Unit> {
        val app = App.start(folder.resolve("wallet.db"))
        app.board()
        app.wallet.rest()
        assertEquals(WalletPhase.RESTING, app.wallet.ok().phase)
        app.wallet.settle()
        assertNotNull(app.wallet.state.value.problem)
        app.channels.refresh()
        assertNotNull(app.channels.state.value.problem)

        app.wallet.wake()
        assertEquals(WalletPhase.OPEN, app.wallet.ok().phase)
        app.wallet.wake()
        assertEquals(FUNDING, app.settled())
        assertEquals(emptyList<ChannelRow>(), app.channels.let { it.refresh(); it.ok().rows })
        // Nothing was let go of here.
        app.wallet.shutdown()
        app.wallet.rest()
        assertEquals(WalletPhase.CLOSED, app.wallet.ok().phase)
    }

    @Test
    fun maintenanceSettlesWhatCameInAndSaysWhenToComeBack() = runBlocking<Unit> {
        val app = App.start(folder.resolve("wallet.db"))
        App.regtest.pay(checkNotNull(app.wallet.ok().boardingAddress), FUNDING.value)
        App.regtest.mine(1)
        eventually("the coins") {
            app.wallet.maintain()
            app.wallet.ok().settled?.amount == FUNDING
        }
        assertTrue(checkNotNull(app.wallet.ok().nextRun).toLong() > System.currentTimeMillis() / 1_000)
        App.regtest.operator("stop")
        try {
            app.wallet.maintain()
            assertNotNull(app.wallet.state.value.problem)
        } finally {
            App.regtest.operator("start")
        }
    }

    @Test
    fun withoutANetworkItShowsWhatItSawLast() = runBlocking<Unit> {
        val app = App.start(folder.resolve("wallet.db"))
        assertNull(app.wallet.ok().balance)
        app.board()
        val at = checkNotNull(app.wallet.ok().balanceAt)
        App.regtest.operator("stop")
        try {
            val again = app.killed()
            assertEquals(FUNDING, again.wallet.ok().balance?.settled)
            assertTrue(checkNotNull(again.wallet.ok().balanceAt) <= at + 1u)
        } finally {
            App.regtest.operator("start")
        }
    }

    @Test
    fun aWalletThatCannotBeOpenedSaysWhy() = runBlocking<Unit> {
        val config = WalletConfig(folder.resolve("wallet.db").toString(), Network.REGTEST, App.regtest.operator, App.regtest.esplora)
        val wrong = WalletModel(config) { "twelve words that are none" }
        wrong.open()
        assertEquals(
            "These are not 12 to 24 words of a BIP39 mnemonic with a right checksum.",
            wrong.state.value.problem,
        )
        assertEquals(WalletPhase.CLOSED, wrong.state.value.phase)
        val locked = WalletModel(config) { throw IllegalStateException("the key store is locked") }
        locked.open()
        assertEquals("The key store is locked.", locked.state.value.problem)
        locked.refresh()
        assertEquals("The wallet is not open.", locked.state.value.problem)
        assertNull(locked.wallet)
    }
}
