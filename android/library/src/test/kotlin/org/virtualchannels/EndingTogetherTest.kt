package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** One side asks, the other grants: closing with the payer online, and giving back what nothing was paid in. */
class EndingTogetherTest {
    @TempDir
    lateinit var folder: Path

    /** The payer keeps what closing needs until it is asked. */
    @Test
    fun aPayerThatAuthorisesOnCloseOnly() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val (payer, receiver) = listOf("payer", "receiver").map { world.wallet(it) }
        world.enrich(payer, FUNDING)
        val wish = ProposeRequest(CAPACITY, FundingChoice.Offchain, onClose = true)
        assertThrows<WalletException.InvalidTerms> { payer.propose(receiver.createInvite(InviteRequest()), wish) }
        val proposal = payer.propose(receiver.createInvite(InviteRequest(onClose = true)), wish)
        val channel = (receiver.accept(proposal.offer) as Acceptance.Open).channelId
        assertTrue(listOf(payer, receiver).all { it.channel(channel).onClose })
        receiver.receive(payer.pay(channel, 5_000.sats, "one").text)

        val alone = assertThrows<WalletException.MissingAuthorisation> { receiver.closeChannel(channel) }
        assertEquals(channel, alone.channelId)
        val request = receiver.requestClose(channel)
        assertEquals(Parsed.CloseRequest(channel), payer.parse(request))
        assertEquals(ChannelState.OPEN, receiver.channel(channel).state, "asking binds nobody")
        // On its way when the payer grants: the grant brings it.
        payer.pay(channel, 500.sats, "lost")
        val grant = payer.grantClose(request)
        assertEquals(Parsed.CloseGrant(channel), receiver.parse(grant.uppercase()))
        assertEquals(ChannelState.CLOSING, payer.channel(channel).state)
        assertThrows<WalletException.WrongState> { payer.pay(channel, 1.sats, "too late") }

        val txid = receiver.closeWith(grant)
        assertEquals(ChannelState.CLOSED to txid, receiver.channel(channel).let { it.state to it.resultTxid })
        assertEquals(5_500.sats, receiver.balance().preconfirmed)
        eventually("the payer to see it") { payer.watch(channel).state == ChannelState.CLOSED }
        assertEquals(FUNDING - 5_500.sats, payer.balance().total)
        for (wallet in listOf(payer, receiver)) wallet.closeAndWait()
    }

    /** Asked by the payer, or unasked: everything comes back before the locktime. */
    @Test
    fun aChannelInWhichNothingWasPaid() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val (payer, receiver) = listOf("payer", "receiver").map { world.wallet(it) }
        for (asked in listOf(true, false)) {
            world.enrich(payer, FUNDING)
            val before = payer.balance().total
            val channel = world.openOffchain(payer, receiver, CAPACITY)
            val grant = if (asked) receiver.grantClose(payer.requestClose(channel)) else receiver.releaseChannel(channel)
            assertEquals(ChannelState.CLOSED, receiver.channel(channel).state)
            val txid = payer.closeWith(grant)
            assertEquals(ChannelState.CLOSED to txid, payer.channel(channel).let { it.state to it.resultTxid })
            val balance = payer.balance()
            assertEquals(before to Sats.ZERO, balance.total to balance.inChannels)
        }
        for (wallet in listOf(payer, receiver)) wallet.closeAndWait()
    }

    @Test
    fun oneInWhichSomethingWasPaidIsNotGivenBack() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            ready.receiver.open().use { receiver ->
                receiver.receive(payer.pay(ready.id, 1_000.sats, "one").text)
                assertThrows<WalletException.WrongState> { receiver.releaseChannel(ready.id) }
                assertThrows<WalletException.WrongState> { receiver.grantClose(payer.requestClose(ready.id)) }
                assertThrows<WalletException.WrongRole> { payer.releaseChannel(ready.id) }
                assertEquals(ChannelState.OPEN, receiver.channel(ready.id).state)
            }
        }
    }

    @Test
    fun aRequestIsGoodForADay() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val clock = ManualClock()
        ready.payer.open(clock).use { payer ->
            ready.receiver.open().use { receiver ->
                receiver.receive(payer.pay(ready.id, 1_000.sats, "one").text)
                val request = receiver.requestClose(ready.id)
                clock.advance(25 * 3_600)
                val old = assertThrows<WalletException.CloseRequestExpired> { payer.grantClose(request) }
                assertTrue(old.now > old.expiredAt, old.toString())
                assertEquals(ChannelState.OPEN, payer.channel(ready.id).state)
            }
        }
    }

    /** The chain's time is moved on: a regtest of its own. */
    @Test
    fun aRefundStraightIntoANewChannel() = runBlocking<Unit> {
        RegtestProcess.start("--unit", "second", "--session", "1").use { regtest ->
            val world = World(regtest, folder)
            val (payer, receiver) = listOf("payer", "receiver").map { world.wallet(it) }
            world.enrich(payer, FUNDING)
            // Short enough that its VTXO lives for another one.
            val first = ProposeRequest(CAPACITY, FundingChoice.Offchain, lifetime = LIFETIME)
            val old = payer.propose(receiver.createInvite(InviteRequest()), first).let { receiver.accept(it.offer) as Acceptance.Open }
            val into = ProposeRequest(40_000.sats, FundingChoice.Refund(old.channelId))
            val early = assertThrows<WalletException.LocktimeNotReached> { payer.propose(receiver.createInvite(InviteRequest()), into) }
            // Eleven blocks carry the median.
            regtest.mine(11, afterSeconds = (early.locktime - early.now).toLong() + 600)
            val invite = receiver.createInvite(InviteRequest())
            assertEquals(Sats.ZERO, payer.quoteOpen(invite, into).fee)
            val proposal = payer.propose(invite, into)
            assertEquals(ChannelState.REFUNDED, payer.channel(old.channelId).state)
            val channel = (receiver.accept(proposal.offer) as Acceptance.Open).channelId
            assertEquals(proposal.channelId, channel)
            assertEquals(6_000.sats, receiver.receive(payer.pay(channel, 6_000.sats, "in the new one").text).amount)
            receiver.closeChannel(channel)
            assertEquals(6_000.sats, receiver.balance().preconfirmed)
            eventually("the payer to see it") { payer.watch(channel).state == ChannelState.CLOSED }
            assertEquals(FUNDING - 6_000.sats, payer.balance().total)
            for (wallet in listOf(payer, receiver)) wallet.closeAndWait()
        }
    }

    /** A scanner that reads a backup says what it is, and refuses one of another wallet. */
    @Test
    fun aBackupThatIsScanned() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            ready.receiver.open().use { receiver ->
                val text = payer.backup()
                val read = payer.parse(" ${text.uppercase()}\n") as Parsed.Backup
                assertEquals(1UL, read.channels)
                assertTrue(read.madeAt <= (System.currentTimeMillis() / 1_000 + 60).toULong(), "$read")
                val other = assertThrows<WalletException.OtherBackup> { receiver.parse(text) }
                assertEquals("mnemonic", other.what)
                assertFalse(payer.channel(ready.id).awaitsUpdate)
            }
        }
    }

    private companion object {
        val FUNDING = 200_000.sats
        val CAPACITY = 100_000.sats
        const val LIFETIME: ULong = 30_000u
    }
}
