package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
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
        val world = World(World.shared, folder)
        world.wallet("payer").use { payer ->
            world.wallet("receiver").use { receiver ->
                board(world, payer)
                val channel = open(world, payer, receiver)
                refusals(payer, receiver, channel)
                payAHundred(payer, receiver, channel)
                closeAndSettle(world, payer, receiver, channel)
                leave(world, payer, receiver)
                receiver.shutdown()
                assertThrows<WalletException.Closed> { receiver.channels() }
            }
        }
    }

    private suspend fun board(world: World, payer: Wallet) {
        assertThrows<WalletException.NothingToSettle> { payer.settle() }
        world.fund(payer, FUNDING)
        assertEquals(Sats.ZERO, world.settle(payer).fee)
        assertEquals(FUNDING, payer.balance().settled)
    }

    private suspend fun open(world: World, payer: Wallet, receiver: Wallet): String {
        val invite = receiver.createInvite(InviteRequest(memo = "Coffee"))
        val scanned = payer.parse(invite) as Parsed.Invite
        assertEquals("Coffee", scanned.memo)
        val request = ProposeRequest(capacity = CAPACITY, funding = FundingChoice.Batch)
        val quote = payer.quoteOpen(invite, request)
        assertEquals(CAPACITY, quote.amount)
        assertNotNull(quote.closeBy)
        assertTrue(quote.trust.isNotEmpty())

        val proposal = payer.propose(invite, request)
        val acceptance = receiver.accept(proposal.offer) as Acceptance.Accepted
        val channel = payer.openChannel(acceptance.accept)
        assertEquals(ChannelState.CONFIRMING, payer.channel(channel).state)
        val early = assertThrows<WalletException.WrongState> { payer.pay(channel, FIRST, "too early") }
        assertEquals(ChannelState.CONFIRMING, early.state)
        world.regtest.mine(1)
        world.confirm(payer, receiver, channel)
        assertEquals(Role.RECEIVER, receiver.channel(channel).role)
        return channel
    }

    /** Each refusal names the figures, and leaves the channel as it was. */
    private suspend fun refusals(payer: Wallet, receiver: Wallet, channel: String) {
        val dust = assertThrows<WalletException.ImpossibleAmount> { payer.pay(channel, 1.sats, "too little") }
        assertEquals(1.sats, dust.amount)
        assertEquals(CAPACITY, dust.capacity)
        assertTrue(dust.above!! > 1.sats)
        val tooMuch = assertThrows<WalletException.OverCapacity> { payer.pay(channel, CAPACITY + 1.sats, "too much") }
        assertEquals(CAPACITY, tooMuch.capacity)
        assertThrows<WalletException.WrongRole> { receiver.pay(channel, FIRST, "wrong side") }
        assertThrows<WalletException.NotFound> { payer.channel("00".repeat(32)) }
        assertEquals(Sats.ZERO, payer.channel(channel).amount)
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
        assertEquals(Sats.ZERO, receiver.receive(again.text).increase)
        val stale = assertThrows<WalletException.Stale> { receiver.receive(first.text) }
        assertEquals(FIRST, stale.amount)
        assertEquals(PAID, stale.storedAmount)
        assertEquals(PAID, payer.catchUp(stale.storedPayment))
        assertEquals(PAID, receiver.channel(channel).amount)
        assertEquals(PAID, payer.latestUpdate(channel).amount)
    }

    private suspend fun closeAndSettle(world: World, payer: Wallet, receiver: Wallet, channel: String) {
        val txid = receiver.closeChannel(channel)
        assertEquals(txid, receiver.channel(channel).resultTxid)
        eventually("the payer to see it") { payer.watch(channel).state == ChannelState.CLOSED }
        assertEquals(txid, closedEvent(payer).txid)

        assertEquals(PAID, receiver.settle().amount)
        payer.settle()
        world.regtest.mine(1)
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

    /** Money sent to another wallet, and money on chain again. */
    private suspend fun leave(world: World, payer: Wallet, receiver: Wallet) {
        payer.send(receiver.arkAddress(), SENT)
        eventually("what was sent") { receiver.balance().preconfirmed == SENT }
        val boarding = receiver.boardingAddress()
        assertEquals(Sats.ZERO, payer.quoteWithdraw(boarding, WITHDRAWN).fee)
        assertEquals(WITHDRAWN, payer.withdraw(boarding, WITHDRAWN).amount)
        world.regtest.mine(1)
        eventually("what was withdrawn") { receiver.balance().boarding == WITHDRAWN }
        assertEquals(FUNDING, payer.balance().total + receiver.balance().total)
    }

    @Test
    fun aChannelOpenedOffChain() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        world.wallet("payer").use { payer ->
            world.wallet("receiver").use { receiver ->
                world.enrich(payer, FUNDING)
                val channel = world.openOffchain(payer, receiver, CAPACITY)
                assertEquals(FundingKind.OFFCHAIN, receiver.channel(channel).fundingKind)
                assertEquals(channel, (receiver.accept(payer.offer(channel)) as Acceptance.Open).channelId, "the offer again")
                receiver.receive(payer.pay(channel, FIRST, "one").text)
                val received = receiver.pendingEvents(100u).map { it.kind }.filterIsInstance<EventKind.PaymentReceived>()
                assertEquals(listOf(EventKind.PaymentReceived(FIRST, FIRST)), received)
                receiver.closeChannel(channel)
                eventually("the payer to see it") { payer.watch(channel).state == ChannelState.CLOSED }
                assertEquals(FUNDING - FIRST, payer.balance().total)
            }
        }
    }

    /** The chain's time is moved on: a regtest of its own. */
    @Test
    fun aRefundAfterTheLocktime() = runBlocking<Unit> {
        RegtestProcess.start("--unit", "second", "--session", "1").use { regtest ->
            val world = World(regtest, folder)
            world.wallet("payer").use { payer ->
                world.wallet("receiver").use { receiver ->
                    world.enrich(payer, FUNDING)
                    val channel = world.openOffchain(payer, receiver, CAPACITY)
                    receiver.receive(payer.pay(channel, FIRST, "one").text)
                    val quote = payer.quoteRefund(channel)
                    assertEquals(Sats.ZERO to payer.channel(channel).capacity, quote.fee to quote.amount)
                    val early = assertThrows<WalletException.LocktimeNotReached> { payer.refund(channel) }
                    val locktime = payer.channel(channel).locktime
                    assertEquals(locktime, early.locktime)
                    assertTrue(early.now < locktime)
                    // Eleven blocks carry the median.
                    regtest.mine(11, afterSeconds = (locktime - early.now).toLong() + 3_600)
                    eventually("the chain's time") { payer.watch(channel); refunded(payer, channel) }
                    val txid = payer.channel(channel).resultTxid
                    assertEquals(ChannelState.REFUNDED, payer.channel(channel).state)
                    assertEquals(FUNDING, payer.balance().total)
                    // Who has not looked hears it from the operator, who has is told by its own books.
                    val late = assertThrows<WalletException.AlreadySpent> { receiver.closeChannel(channel) }
                    assertEquals(channel to txid, late.channelId to late.spentBy)
                    eventually("the refund to be verified") { receiver.watch(channel).state == ChannelState.LOST }
                    val lost = assertThrows<WalletException.WrongState> { receiver.closeChannel(channel) }
                    assertEquals(channel to ChannelState.LOST, lost.channelId to lost.state)
                }
            }
        }
    }

    private suspend fun refunded(payer: Wallet, channel: String): Boolean =
        try {
            payer.refund(channel)
            true
        } catch (_: WalletException.LocktimeNotReached) {
            false
        }

    private companion object {
        val FUNDING = 200_000.sats
        val CAPACITY = 100_000.sats
        val FIRST = 1_000.sats
        val EACH = 50.sats
        const val PAYMENTS = 100
        val PAID = 5_950.sats
        val SENT = 20_000.sats
        val WITHDRAWN = 30_000.sats
    }
}
