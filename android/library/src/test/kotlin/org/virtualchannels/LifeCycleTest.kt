package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** What the demo does, as an app does it: a channel from its opening in a batch to money that is final. */
class LifeCycleTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun aChannelFromOpeningToSettling() = runBlocking<Unit> {
        RegtestProcess.start("--unit", "second", "--session", "3").use { regtest ->
            wallet(regtest, "payer").use { payer ->
                wallet(regtest, "receiver").use { receiver ->
                    board(regtest, payer)
                    val channel = open(regtest, payer, receiver)
                    refusals(payer, receiver, channel)
                    payAHundred(payer, receiver, channel)
                    closeAndSettle(regtest, payer, receiver, channel)
                    receiver.shutdown()
                    assertThrows<WalletException.Closed> { receiver.channels() }
                }
            }
        }
    }

    private suspend fun wallet(regtest: RegtestProcess, name: String): Wallet {
        val config = WalletConfig(
            databasePath = folder.resolve("$name.db").toString(),
            network = Network.REGTEST,
            operatorUrl = regtest.operator,
            esploraUrl = regtest.esplora,
        )
        return Wallet.open(config, generateMnemonic())
    }

    private suspend fun board(regtest: RegtestProcess, payer: Wallet) {
        regtest.pay(payer.boardingAddress(), FUNDING)
        regtest.mine(1)
        eventually("the coins") { payer.balance().boarding == FUNDING }
        assertEquals(0.sats, payer.settle().fee)
        regtest.mine(1)
        eventually("the batch") { payer.balance().settled == FUNDING }
    }

    private suspend fun open(regtest: RegtestProcess, payer: Wallet, receiver: Wallet): String {
        val invite = receiver.createInvite(InviteRequest(memo = "Coffee"))
        val scanned = payer.parse(invite) as Parsed.Invite
        assertEquals("Coffee", scanned.memo)
        val request = ProposeRequest(capacity = CAPACITY, funding = FundingChoice.BATCH)
        val quote = payer.quoteOpen(invite, request)
        assertEquals(CAPACITY, quote.amount)
        assertNotNull(quote.closeBy)
        assertTrue(quote.trust.isNotEmpty())

        val proposal = payer.propose(invite, request)
        val acceptance = receiver.accept(proposal.offer) as Acceptance.Accepted
        val channel = payer.openChannel(acceptance.accept)
        assertEquals(ChannelState.CONFIRMING, payer.channel(channel).state)
        regtest.mine(1)
        eventually("the payer's channel") { payer.watch(channel).state == ChannelState.OPEN }
        eventually("the receiver's channel") {
            receiver.channels().any { it.id == channel } && receiver.watch(channel).state == ChannelState.OPEN
        }
        assertEquals(Role.RECEIVER, receiver.channel(channel).role)
        return channel
    }

    /** Each refusal names the figures, and leaves the channel as it was. */
    private suspend fun refusals(payer: Wallet, receiver: Wallet, channel: String) {
        val dust = assertThrows<WalletException.ImpossibleAmount> { payer.pay(channel, 1.sats, "too little") }
        assertEquals(1.sats, dust.amount)
        assertEquals(CAPACITY, dust.capacity)
        assertTrue(dust.above!! > 1.sats)
        assertTrue(dust.toString().contains("is not possible"), dust.toString())
        val tooMuch = assertThrows<WalletException.OverCapacity> { payer.pay(channel, CAPACITY + 1.sats, "too much") }
        assertEquals(CAPACITY, tooMuch.capacity)
        assertThrows<WalletException.WrongRole> { receiver.pay(channel, FIRST, "wrong side") }
        assertThrows<WalletException.InvalidText> { payer.parse("hello") }
        assertThrows<WalletException.NotFound> { payer.channel("00".repeat(32)) }
        assertEquals(0.sats, payer.channel(channel).amount)
    }

    private suspend fun payAHundred(payer: Wallet, receiver: Wallet, channel: String) {
        val first = payer.pay(channel, FIRST, "order 0", "a memo")
        val taken = receiver.receive(first.text)
        assertEquals(FIRST, taken.increase)
        assertEquals("a memo", taken.memo)
        payer.acknowledge(receiver.receipt(channel, "a memo"))
        for (number in 1..<PAYMENTS) {
            val payment = payer.pay(channel, EACH, "order $number")
            assertTrue(payment.text.length < 300, "an update of ${payment.text.length} characters")
            assertEquals(EACH, receiver.receive(payment.text).increase)
        }
        val again = payer.pay(channel, EACH, "order ${PAYMENTS - 1}")
        assertTrue(again.repeated)
        assertEquals(PAID, again.amount)
        assertEquals(0.sats, receiver.receive(again.text).increase)
        val stale = assertThrows<WalletException.Stale> { receiver.receive(first.text) }
        assertEquals(FIRST, stale.amount)
        assertEquals(PAID, stale.storedAmount)
        assertEquals(PAID, payer.catchUp(stale.storedPayment))
        assertEquals(PAID, receiver.channel(channel).amount)
    }

    private suspend fun closeAndSettle(regtest: RegtestProcess, payer: Wallet, receiver: Wallet, channel: String) {
        val txid = receiver.closeChannel(channel)
        assertEquals(txid, receiver.channel(channel).resultTxid)
        eventually("the payer to see it") { payer.watch(channel).state == ChannelState.CLOSED }
        val closed = withTimeout(WAIT) { closedEvent(payer) }
        assertEquals(txid, closed.txid)

        assertEquals(PAID, receiver.settle().amount)
        payer.settle()
        regtest.mine(1)
        eventually("the receiver's money") { receiver.balance().settled == PAID }
        eventually("the payer's money") { payer.balance().settled == FUNDING - PAID }
        eventually("the channel to be settled") { receiver.watch(channel).state == ChannelState.SETTLED }
        assertEquals(FUNDING, payer.balance().total + receiver.balance().total)
    }

    /** Events come in their order, and again until they are acknowledged. */
    private suspend fun closedEvent(wallet: Wallet): EventKind.ChannelClosed {
        while (true) {
            val event = wallet.nextEvent()
            event.token?.let { wallet.acknowledgeEvent(it) }
            (event.kind as? EventKind.ChannelClosed)?.let { return it }
        }
    }

    private suspend fun eventually(what: String, condition: suspend () -> Boolean) {
        val end = System.nanoTime() + WAIT * 1_000_000
        while (!condition()) {
            check(System.nanoTime() < end) { "waited ${WAIT / 1000} s for $what" }
            delay(200)
        }
    }

    /** JUnit's own takes no suspending function. */
    private inline fun <reified E : Throwable> assertThrows(call: () -> Unit): E {
        try {
            call()
        } catch (thrown: Throwable) {
            if (thrown is E) return thrown
            throw AssertionError("expected ${E::class.simpleName}, got $thrown", thrown)
        }
        throw AssertionError("expected ${E::class.simpleName}, nothing was thrown")
    }

    private companion object {
        val FUNDING = 200_000.sats
        val CAPACITY = 100_000.sats
        val FIRST = 1_000.sats
        val EACH = 50.sats
        const val PAYMENTS = 100
        val PAID = FIRST + EACH * (PAYMENTS - 1)
        /** Milliseconds. */
        const val WAIT = 60_000L
    }
}
