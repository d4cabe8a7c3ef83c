package org.virtualchannels.viewmodel

import java.nio.file.Path
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Deferred
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.Network
import org.virtualchannels.VirtualChannels
import org.virtualchannels.Wallet
import org.virtualchannels.WalletConfig

/** A wallet that two ask for at once: the screen, and a worker that has started the app. */
class OpeningTest {
    @TempDir
    lateinit var folder: Path

    /** A key store that takes its time. */
    private class SlowWords(private val words: String) : MnemonicSource {
        private val asking = Channel<Unit>(Channel.UNLIMITED)
        val given = CompletableDeferred<Unit>()
        val count = AtomicInteger()

        override suspend fun mnemonic(): String {
            count.incrementAndGet()
            asking.send(Unit)
            given.await()
            return words
        }

        /** Waits until somebody asks. */
        suspend fun asked() = withTimeout(PATIENCE) { asking.receive() }
    }

    private class Opening(val model: WalletModel, val words: SlowWords)

    private suspend fun opening(): Opening {
        val words = SlowWords(VirtualChannels.newMnemonic())
        val config = WalletConfig(folder.resolve("wallet.db").toString(), Network.REGTEST, App.regtest.operator, App.regtest.esplora)
        return Opening(WalletModel(config, words), words)
    }

    /** Has run as far as it comes when this returns. */
    private fun <T> CoroutineScope.begin(work: suspend () -> T): Deferred<T> = async(start = CoroutineStart.UNDISPATCHED) { work() }

    private fun CoroutineScope.open(model: WalletModel): Deferred<Wallet?> = begin { model.open().let { model.wallet } }

    @Test
    fun whoComesSecondWaitsForTheFirst() = runBlocking<Unit> {
        val (model, words) = opening().let { it.model to it.words }
        val first = open(model)
        words.asked()
        val others = List(8) { open(model) }
        assertTrue(others.none { it.isCompleted }, "it waits")
        words.given.complete(Unit)
        val wallets = withTimeout(PATIENCE) { (others + first).awaitAll() }
        assertNotNull(wallets.first())
        assertTrue(wallets.all { it === wallets.first() }, "another wallet, or none: $wallets")
        assertEquals(1, words.count.get())
        assertEquals(WalletPhase.OPEN, model.ok().phase)
        model.shutdown()
    }

    /** The first goes away, as a screen does: the next one opens it, and the others have it from that one. */
    @Test
    fun whoWaitsIsNotLeftAlone() = runBlocking<Unit> {
        val (model, words) = opening().let { it.model to it.words }
        val first = open(model)
        words.asked()
        val others = List(2) { open(model) }
        first.cancelAndJoin()
        words.asked()
        words.given.complete(Unit)
        val wallets = withTimeout(PATIENCE) { others.awaitAll() }
        assertNotNull(wallets[0])
        assertTrue(wallets[0] === wallets[1])
        assertEquals(2, words.count.get())
        model.shutdown()
    }

    @Test
    fun whoEndsItMeanwhileEndsWhatIsOpened() = runBlocking<Unit> {
        val (model, words) = opening().let { it.model to it.words }
        val open = open(model)
        words.asked()
        val end = begin { model.shutdown() }
        words.given.complete(Unit)
        withTimeout(PATIENCE) { listOf(open, end).awaitAll() }
        assertEquals(WalletPhase.CLOSED, model.ok().phase)
        assertNull(model.wallet)
    }

    @Test
    fun whoLetsGoOfTheDatabaseMeanwhile() = runBlocking<Unit> {
        val (model, words) = opening().let { it.model to it.words }
        val open = open(model)
        words.asked()
        val rest = begin { model.rest() }
        words.given.complete(Unit)
        withTimeout(PATIENCE) { listOf(open, rest).awaitAll() }
        assertEquals(WalletPhase.RESTING, model.ok().phase, "it would hold the database")
        model.wake()
        assertEquals(WalletPhase.OPEN, model.ok().phase)
        model.shutdown()
    }

    @Test
    fun whatFailedIsTriedAgain() = runBlocking<Unit> {
        val (model, words) = opening().let { it.model to it.words }
        words.given.complete(Unit)
        App.regtest.operator("stop")
        try {
            withTimeout(PATIENCE) { List(2) { open(model) }.awaitAll() }
            assertNotNull(model.state.value.problem, "the first time it needs the operator")
            assertNull(model.wallet)
        } finally {
            App.regtest.operator("start")
        }
        model.open()
        assertEquals(WalletPhase.OPEN, model.ok().phase)
        model.shutdown()
    }

    private companion object {
        const val PATIENCE = 60_000L
    }
}
