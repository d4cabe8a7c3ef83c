package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.AfterEach
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.io.TempDir

/** Errors of an operator that says no, does wrong, changes its settings or goes away in the middle; and what then goes on. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class OperatorFaultsTest {
    @TempDir
    lateinit var folder: Path
    private lateinit var regtest: RegtestProcess
    private val world get() = World(regtest, folder)

    @BeforeAll
    fun start() {
        regtest = RegtestProcess.start("--unit", "second", "--session", "1")
    }

    @AfterAll
    fun stop() = regtest.close()

    /** All is well again. */
    @AfterEach
    fun clear() {
        regtest.admin("clear")
        mapOf("fee" to 0, "clock-shift" to 0, "checkpoint-delay" to 512, "other-checkpoint-key" to 0)
            .forEach { (setting, value) -> regtest.admin("set/$setting/$value") }
    }

    /** A channel of 20 000 sats in which 5 000 have been paid. */
    private class Paid(val payer: Wallet, val receiver: Wallet, val id: String) {
        suspend fun close() = listOf(payer, receiver).forEach { it.closeAndWait() }
    }

    private suspend fun paid(name: String, clock: Clock? = null): Paid {
        val payer = world.wallet("$name payer")
        val receiver = VirtualChannels.open(world.config("$name receiver"), generateMnemonic(), clock)
        world.enrich(payer, 100_000.sats)
        val id = world.openOffchain(payer, receiver, 20_000.sats)
        assertEquals(PAID, receiver.receive(payer.pay(id, PAID, "one").text).amount)
        return Paid(payer, receiver, id)
    }

    @Test
    fun aCloseThatIsRefused() = runBlocking<Unit> {
        val paid = paid("refused")
        regtest.admin("fault/SubmitTx/refuse?code=VTXO_BANNED")
        val banned = assertThrows<WalletException.OperatorRefused> { paid.receiver.closeChannel(paid.id) }
        assertEquals(listOf("SubmitTx", 29, "VTXO_BANNED"), listOf(banned.call, banned.code, banned.name))
        assertTrue("as the test wants it" in banned.reason, banned.reason)
        assertEquals(mapOf<String, String>(), banned.figures)
        val wrong = assertThrows<WalletException.WrongState> { paid.receiver.receive(paid.payer.pay(paid.id, PAID, "two").text) }
        assertEquals(paid.id to ChannelState.CLOSING, wrong.channelId to wrong.state)
        assertTrue(wrong.what.isNotEmpty())
        regtest.admin("fault/SubmitTx/refuse?code=VTXO_ALREADY_UNROLLED")
        assertEquals(paid.id, assertThrows<WalletException.Unrolled> { paid.receiver.closeChannel(paid.id) }.channelId)
        regtest.admin("set/clock-shift/${10 * 24 * 3600}")
        val expired = assertThrows<WalletException.Expired> { paid.receiver.closeChannel(paid.id) }
        assertEquals(paid.id to PAID, expired.channelId to expired.amount)
        regtest.admin("set/clock-shift/0")
        assertEquals(64, paid.receiver.closeChannel(paid.id).length)
        paid.close()
    }

    @Test
    fun anAnswerThatIsLost() = runBlocking<Unit> {
        val paid = paid("lost")
        regtest.admin("fault/SubmitTx/lose-answer")
        regtest.admin("fault/GetPendingTx/drop")
        val unknown = assertThrows<WalletException.OutcomeUnknown> { paid.receiver.closeChannel(paid.id) }
        var closed: String? = null
        eventually("the close") {
            closed = runCatching { paid.receiver.closeChannel(paid.id) }.getOrNull()
            closed != null
        }
        assertEquals(unknown.txid, closed, "the same transaction goes on")
        paid.close()
    }

    @Test
    fun anOperatorThatDoesNotFinish() = runBlocking<Unit> {
        val clock = ManualClock()
        val paid = paid("unfinished", clock)
        regtest.admin("fault/FinalizeTx/status?times=100")
        val first = assertThrows<WalletException.OutcomeUnknown> { paid.receiver.closeChannel(paid.id) }
        clock.advance(61)
        val failed = assertThrows<WalletException.FinalizeFailed> { paid.receiver.closeChannel(paid.id) }
        assertEquals(first.txid, failed.txid)
        assertTrue("as the test wants it" in failed.reason, failed.reason)
        regtest.admin("clear")
        assertEquals(first.txid, paid.receiver.closeChannel(paid.id))
        paid.close()
    }

    @Test
    fun anotherCheckpointScript() = runBlocking<Unit> {
        val paid = paid("script")
        regtest.admin("set/checkpoint-delay/1024")
        val again = paid.payer.reauthorise(paid.id)
        assertTrue(again.repeated)
        val unknown = assertThrows<WalletException.UnknownCheckpointScript> { paid.receiver.receive(again.text) }
        assertEquals(paid.id, unknown.channelId)
        val needed = assertThrows<WalletException.ReauthorisationNeeded> { paid.receiver.closeChannel(paid.id) }
        assertEquals(paid.id, needed.channelId)
        assertEquals(PAID, paid.receiver.receive(again.text).amount)
        paid.receiver.closeChannel(paid.id)
        paid.close()
    }

    /** A receiver whose file is older than its first payment gets one that leaves out what the receipt had confirmed. */
    @Test
    fun aPaymentThatLeavesTooMuchOut() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val old = java.nio.file.Files.copy(ready.receiver.file, folder.resolve("old.db"))
        val payer = ready.payer.open()
        ready.receiver.open().use { receiver ->
            receiver.receive(payer.pay(ready.id, PAID, "one").text)
            payer.acknowledge(receiver.receipt(ready.id))
        }
        val short = payer.pay(ready.id, PAID, "two").text
        ready.receiver.open(file = old).use { receiver ->
            assertEquals(ready.id, assertThrows<WalletException.MissingAuthorisation> { receiver.receive(short) }.channelId)
            assertEquals(PAID * 2, receiver.receive(payer.reauthorise(ready.id).text).amount)
        }
        payer.closeAndWait()
    }

    @Test
    fun fundingThatIsNotWhatItShouldBe() = runBlocking<Unit> {
        val payer = world.wallet("funding")
        val receiver = world.wallet("funded")
        val patient = VirtualChannels.open(world.config("patient").copy(confirmations = 100u), generateMnemonic())
        world.enrich(payer, 100_000.sats)
        suspend fun offer(to: Wallet) = payer.propose(to.createInvite(InviteRequest()), ProposeRequest(20_000.sats, FundingChoice.Offchain))
        val proposal = offer(receiver)
        val (txid, vout) = payer.channel(proposal.channelId!!).funding.split(":")
        for ((claim, reason) in listOf("spent" to "is spent", "swept" to "is swept", "unrolled" to "is on chain")) {
            regtest.admin("claim/$txid/$vout/$claim")
            assertEquals(reason, assertThrows<WalletException.FundingNotUsable> { receiver.accept(proposal.offer) }.reason)
        }
        regtest.admin("clear")
        assertTrue(receiver.accept(proposal.offer) is Acceptance.Open)
        world.enrich(payer, 50_000.sats)
        val early = assertThrows<WalletException.NotConfirmed> { patient.accept(offer(patient).offer) }
        assertEquals(64 to 100u, early.txid.length to early.needed)
        assertTrue(early.confirmations in 1u..99u)
        listOf(payer, receiver, patient).forEach { it.closeAndWait() }
    }

    @Test
    fun aBatchThatComesToNothing() = runBlocking<Unit> {
        world.wallet("unlucky").use { wallet ->
            world.fund(wallet, 10_000.sats)
            regtest.admin("fail-batch")
            assertTrue(assertThrows<WalletException.BatchFailed> { wallet.settle() }.reason.isNotEmpty())
            regtest.admin("clear")
            world.settle(wallet)
            assertEquals(10_000.sats, wallet.balance().settled)
        }
    }

    @Test
    fun aReceiverThatWentAway() = runBlocking<Unit> {
        val (payer, receiver) = listOf("waiting", "gone").map { world.wallet(it) }
        world.enrich(payer, 100_000.sats)
        val proposal = payer.propose(receiver.createInvite(InviteRequest()), ProposeRequest(20_000.sats, FundingChoice.Batch))
        val accepted = receiver.accept(proposal.offer) as Acceptance.Accepted
        receiver.closeAndWait()
        val alone = assertThrows<WalletException.NotOpened> { payer.openChannel(accepted.accept) }
        assertTrue("nonces" in alone.reason, alone.reason)
        assertEquals(100_000.sats, payer.balance().settled)
        payer.closeAndWait()
    }

    @Test
    fun fees() = runBlocking<Unit> {
        world.wallet("poor").use { wallet ->
            world.fund(wallet, 700.sats)
            regtest.admin("set/fee/200")
            val little = assertThrows<WalletException.FeesLeaveTooLittle> { wallet.settle() }
            assertEquals(listOf(400.sats, 300.sats, 330.sats), listOf(little.fee, little.left, little.minimum))
        }
    }

    /** A payment that hangs has the coin; so an opening that was agreed on before cannot have it. */
    @Test
    fun aCoinThatIsTaken() = runBlocking<Unit> {
        val (payer, receiver) = listOf("one coin", "shop").map { world.wallet(it) }
        world.enrich(payer, 50_000.sats)
        val proposal = payer.propose(receiver.createInvite(InviteRequest()), ProposeRequest(20_000.sats, FundingChoice.Batch))
        val accepted = receiver.accept(proposal.offer) as Acceptance.Accepted
        regtest.admin("fault/SubmitTx/drop")
        regtest.admin("fault/GetPendingTx/drop")
        assertThrows<WalletException.OutcomeUnknown> { payer.send(receiver.arkAddress(), 1_000.sats) }
        val locked = assertThrows<WalletException.CoinLocked> { payer.openChannel(accepted.accept) }
        assertTrue(Regex("[0-9a-f]{64}:\\d+").matches(locked.outpoint), locked.outpoint)
        payer.resume()
        eventually("the payment") { receiver.balance().preconfirmed == 1_000.sats }
        listOf(payer, receiver).forEach { it.closeAndWait() }
    }

    @Test
    fun anOperatorThatTalksRubbish() = runBlocking<Unit> {
        regtest.admin("fault/GetInfo/garbage")
        assertTrue(assertThrows<WalletException.OperatorAnswer> { world.wallet("rubbish") }.reason.isNotEmpty())
        regtest.admin("set/other-checkpoint-key/1")
        val unsafe = assertThrows<WalletException.OperatorAnswer> { world.wallet("another key") }
        assertTrue("checkpoint script" in unsafe.reason, unsafe.reason)
    }

    private companion object {
        val PAID = 5_000.sats
    }
}
