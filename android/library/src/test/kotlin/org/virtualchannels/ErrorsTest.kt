package org.virtualchannels

import java.net.ServerSocket
import java.nio.file.Files
import java.nio.file.Path
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.io.TempDir

/** Errors as they really come, with their figures. Those of the database are in [FilesTest], the texts of all in [ErrorTextsTest]. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ErrorsTest {
    @TempDir
    lateinit var folder: Path

    /** Another operator than the shared one; it and its Esplora are stopped here. */
    private lateinit var regtest: RegtestProcess
    private val shared get() = World(World.shared, folder)

    @BeforeAll
    fun start() {
        regtest = RegtestProcess.start("--unit", "second", "--session", "1")
    }

    @AfterAll
    fun stop() = regtest.close()

    private fun folder(name: String): Path = Files.createDirectories(folder.resolve(name))

    @Test
    fun texts() = runBlocking<Unit> {
        shared.wallet("texts").use { wallet ->
            val invite = wallet.createInvite(InviteRequest())
            assertTrue(assertThrows<WalletException.InvalidText> { wallet.parse("hello") }.reason.isNotEmpty())
            val wrong = assertThrows<WalletException.WrongMessage> { wallet.receive(invite) }
            assertNotEquals(wrong.expected, wrong.got)
            assertTrue("invite" in wrong.got, wrong.got)
            val (prefix, bytes) = Bech32m.bytes(invite)
            val newer = Bech32m.text(prefix, bytes.also { it[1] = 7 })
            assertEquals(7u, assertThrows<WalletException.UnknownVersion> { wallet.parse(newer) }.version)
            assertThrows<WalletException.InvalidAddress> { wallet.send("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", 1_000.sats) }
            assertThrows<WalletException.InvalidAddress> { wallet.withdraw("nowhere") }
            assertThrows<WalletException.NotFound> { wallet.channel("00".repeat(32)) }
            assertThrows<WalletException.NotFound> { wallet.cancelProposal("00".repeat(32)) }
        }
    }

    @Test
    fun openingTheWallet() = runBlocking<Unit> {
        val config = shared.config("opening")
        val words = generateMnemonic()
        val network = assertThrows<WalletException.WrongNetwork> { VirtualChannels.open(config.copy(network = Network.SIGNET), words) }
        assertEquals("signet" to "regtest", network.expected to network.got)
        val url = assertThrows<WalletException.InvalidUrl> { VirtualChannels.open(config.copy(operatorUrl = "nonsense"), words) }
        assertEquals("nonsense", url.url)
        assertTrue(url.reason.isNotEmpty())
        val nobody = assertThrows<WalletException.OperatorUnreachable> { VirtualChannels.open(config.copy(operatorUrl = NOWHERE), words) }
        assertTrue(NOWHERE.substringAfter("//") in nobody.url, nobody.url)
        assertTrue(!Files.exists(Path.of(config.databasePath)), "nothing is created")
    }

    /** Somebody takes the call and never answers. */
    @Test
    fun anOperatorThatDoesNotAnswer() = runBlocking<Unit>(Dispatchers.IO) {
        ServerSocket(0).use { silent ->
            val config = shared.config("silent").copy(operatorUrl = "http://127.0.0.1:${silent.localPort}")
            val answer = async { assertThrows<WalletException.OperatorTimeout> { VirtualChannels.open(config, generateMnemonic()) } }
            silent.accept().use {
                val error = answer.await()
                assertEquals("GetInfo", error.call)
                assertTrue(error.seconds in 1uL..60uL)
            }
        }
    }

    @Test
    fun money() = runBlocking<Unit> {
        shared.wallet("money").use { wallet ->
            val address = wallet.arkAddress()
            assertThrows<WalletException.NothingToSettle> { wallet.settle() }
            val funds = assertThrows<WalletException.InsufficientFunds> { wallet.send(address, 5_000.sats) }
            assertTrue(funds.needed >= 5_000.sats)
            assertEquals(Sats.ZERO, funds.available)
            val small = assertThrows<WalletException.AmountTooSmall> { wallet.send(address, 1.sats) }
            assertEquals(1.sats, small.amount)
            assertTrue(small.minimum > 1.sats)
            val large = InviteRequest(minCapacity = 20_000.sats, maxCapacity = 10_000.sats)
            val bounds = assertThrows<WalletException.AmountTooLarge> { wallet.createInvite(large) }
            assertEquals(20_000.sats to 10_000.sats, bounds.amount to bounds.maximum)
        }
    }

    @Test
    fun inviting() = runBlocking<Unit> {
        val (payer, receiver, stranger) = listOf("inviting", "invited", "stranger").map { shared.wallet(it) }
        val invite = receiver.createInvite(InviteRequest(minCapacity = 10_000.sats, maxCapacity = 20_000.sats, offchainFunding = false))
        val request = ProposeRequest(15_000.sats, FundingChoice.Batch)
        shared.enrich(payer, 100_000.sats)
        val capacity = assertThrows<WalletException.CapacityOutOfBounds> { payer.propose(invite, request.copy(capacity = 9_999.sats)) }
        assertEquals(listOf(9_999.sats, 10_000.sats, 20_000.sats), listOf(capacity.capacity, capacity.minimum, capacity.maximum))
        assertThrows<WalletException.InvalidTerms> { payer.propose(invite, request.copy(funding = FundingChoice.Offchain)) }
        val any = receiver.createInvite(InviteRequest(minLifetime = 100_000u))
        val short = assertThrows<WalletException.LocktimeOutOfBounds> { payer.propose(any, request.copy(lifetime = 5_000u)) }
        assertTrue(short.ahead < short.minimum && short.minimum < short.maximum)
        val open = receiver.createInvite(InviteRequest())
        assertThrows<WalletException.DeadlinesDoNotFit> { payer.propose(open, request.copy(lifetime = 600_000u)) }
        assertThrows<WalletException.InsufficientFunds> { payer.propose(open, request.copy(funding = FundingChoice.BatchFromBoarding)) }

        val offer = payer.propose(invite, request).offer
        assertThrows<WalletException.OtherInvite> { stranger.accept(offer) }
        receiver.accept(offer)
        shared.enrich(stranger, 100_000.sats)
        assertThrows<WalletException.InviteUsed> { receiver.accept(stranger.propose(invite, request).offer) }
        listOf(payer, receiver, stranger).forEach { it.closeAndWait() }
    }

    @Test
    fun whatEndedMeanwhile() = runBlocking<Unit> {
        val clock = ManualClock()
        val (payer, receiver) = listOf("early", "late").map { VirtualChannels.open(shared.config(it), generateMnemonic(), clock) }
        shared.enrich(payer, 100_000.sats)
        val request = ProposeRequest(15_000.sats, FundingChoice.Batch)
        val invite = receiver.createInvite(InviteRequest())
        val accept = (receiver.accept(payer.propose(invite, request).offer) as Acceptance.Accepted).accept
        val ended = receiver.createInvite(InviteRequest(validSeconds = 100u))
        clock.advance(3_600)
        val expired = assertThrows<WalletException.InviteExpired> { payer.propose(ended, request) }
        assertTrue(expired.now > expired.expiredAt)
        val late = assertThrows<WalletException.AcceptExpired> { payer.openChannel(accept) }
        assertTrue(late.now > late.validUntil)
        listOf(payer, receiver).forEach { it.closeAndWait() }
    }

    /** An invite of another operator's wallet; the test operators all have one key, so it is written into the invite. */
    @Test
    fun anotherOperator() = runBlocking<Unit> {
        val (payer, other) = shared.wallet("ours") to shared.wallet("theirs")
        shared.enrich(payer, 100_000.sats)
        val (prefix, bytes) = Bech32m.bytes(other.createInvite(InviteRequest()))
        // Field 3 is the operator's key, field 4 begins with the receiver's: a key of somebody else.
        val at = bytes.toList().windowed(2).indexOf(listOf<Byte>(0x1a, 0x20)) + 2
        bytes.copyInto(bytes, at, at + 32 + 4, at + 32 + 4 + 32)
        val error = assertThrows<WalletException.WrongOperator> {
            payer.propose(Bech32m.text(prefix, bytes), ProposeRequest(15_000.sats, FundingChoice.Batch))
        }
        assertEquals(setOf(64), setOf(error.expected.length, error.got.length))
        assertNotEquals(error.expected, error.got)
        listOf(payer, other).forEach { it.closeAndWait() }
    }

    @Test
    fun offChain() = runBlocking<Unit> {
        val payer = shared.wallet("offchain payer")
        val receiver = VirtualChannels.open(shared.config("careful").copy(maxPreconfirmed = 10_000.sats), generateMnemonic())
        shared.enrich(payer, 100_000.sats)
        val request = ProposeRequest(20_000.sats, FundingChoice.Offchain)
        val offer = payer.propose(receiver.createInvite(InviteRequest()), request).offer
        val large = assertThrows<WalletException.PreconfirmedTooLarge> { receiver.accept(offer) }
        assertEquals(20_000.sats to 10_000.sats, large.capacity to large.limit)
        // The change of that opening is preconfirmed.
        assertThrows<WalletException.NeedsSettledVtxos> { payer.propose(receiver.createInvite(InviteRequest()), request) }
        listOf(payer, receiver).forEach { it.closeAndWait() }
    }

    @Test
    fun paying() = runBlocking<Unit> {
        val ready = ReadyChannel(folder("paying"))
        val (payer, receiver) = ready.payer.open() to ready.receiver.open()
        val id = ready.id
        assertThrows<WalletException.NothingPaid> { payer.latestUpdate(id) }
        assertThrows<WalletException.NothingPaid> { receiver.receipt(id) }
        assertThrows<WalletException.NothingPaid> { receiver.closeChannel(id) }
        assertThrows<WalletException.ZeroPayment> { payer.pay(id, Sats.ZERO, "zero") }
        val full = assertThrows<WalletException.OverCapacity> { payer.pay(id, ReadyChannel.CAPACITY + 1.sats, "full") }
        assertEquals(ReadyChannel.CAPACITY + 1.sats to ReadyChannel.CAPACITY, full.amount to full.capacity)
        val dust = assertThrows<WalletException.ImpossibleAmount> { payer.pay(id, 1.sats, "dust") }
        assertEquals(listOf(1.sats, ReadyChannel.CAPACITY, null), listOf(dust.amount, dust.capacity, dust.below))
        for (paymentId in listOf("", "x".repeat(10_000))) assertThrows<WalletException.InvalidPaymentId> { payer.pay(id, 1_000.sats, paymentId) }
        assertEquals(Role.PAYER, assertThrows<WalletException.WrongRole> { payer.closeChannel(id) }.role)
        assertEquals(Role.RECEIVER, assertThrows<WalletException.WrongRole> { receiver.pay(id, 1_000.sats, "x") }.role)
        val early = assertThrows<WalletException.LocktimeNotReached> { payer.refund(id) }
        assertTrue(early.channelId == id && early.now < early.locktime)
        assertEquals(Sats.ZERO, payer.channel(id).amount)
        listOf(payer, receiver).forEach { it.closeAndWait() }
    }

    @Test
    fun receiving() = runBlocking<Unit> {
        val ready = ReadyChannel(folder("receiving"))
        // A payer that was restored from a backup forgets what it paid.
        val restored = Files.copy(ready.payer.file, folder.resolve("restored.db"))
        val (payer, receiver) = ready.payer.open() to ready.receiver.open()
        val first = payer.pay(ready.id, 1_000.sats, "one").text
        val second = payer.pay(ready.id, 1_000.sats, "two").text
        val (prefix, bytes) = Bech32m.bytes(second)
        val refusals = bytes.indices.toList().takeLast(300).mapNotNull { at ->
            val text = Bech32m.text(prefix, bytes.clone().also { it[at] = (it[at] + 1).toByte() })
            runCatching { receiver.receive(text) }.exceptionOrNull() as? WalletException.InvalidSignature
        }
        assertTrue(refusals.any { "signature" in it.what }, "${refusals.map { it.what }.toSet()}")
        assertEquals(2_000.sats, receiver.receive(second).amount)
        val stale = assertThrows<WalletException.Stale> { receiver.receive(first) }
        assertEquals(1_000.sats to 2_000.sats, stale.amount to stale.storedAmount)
        assertTrue(payer.parse(stale.storedPayment) is Parsed.Payment)
        ready.payer.open(file = restored).use { old ->
            val forked = assertThrows<WalletException.Forked> { receiver.receive(old.pay(ready.id, 5_000.sats, "three").text) }
            assertEquals(listOf(5_000.sats, Sats.ZERO, 2_000.sats), listOf(forked.amount, forked.previous, forked.storedAmount))
            assertEquals(2_000.sats, old.catchUp(forked.storedPayment))
            assertEquals(5_000.sats, receiver.receive(old.pay(ready.id, 3_000.sats, "four").text).amount)
        }
        assertEquals(10_000uL, assertThrows<WalletException.TooMany> { receiver.receiveMany(List(10_001) { first }) }.limit)
        listOf(payer, receiver).forEach { it.closeAndWait() }
    }

    @Test
    fun timeGoesBy() = runBlocking<Unit> {
        val ready = ReadyChannel(folder("time"))
        val clock = ManualClock()
        val (payer, receiver) = ready.payer.open(clock) to VirtualChannels.open(ready.receiver.config().copy(maxBlindSeconds = 600u), ready.receiver.words, clock)
        receiver.receive(payer.pay(ready.id, 1_000.sats, "one").text)
        val next = payer.pay(ready.id, 1_000.sats, "two").text
        clock.advance(3_600)
        val blind = assertThrows<WalletException.Blind> { receiver.receive(next) }
        assertTrue(blind.channelId == ready.id && blind.blindSeconds >= 3_600u)
        assertEquals(600uL, blind.maxBlindSeconds)
        clock.advance(86_400)
        val over = assertThrows<WalletException.PastCloseBy> { payer.pay(ready.id, 1_000.sats, "three") }
        assertTrue(over.now > over.closeBy)
        listOf(payer, receiver).forEach { it.closeAndWait() }
    }

    /** In its order: the operator is stopped, then the chain's server fails. */
    @Test
    fun nobodyThere() = runBlocking<Unit> {
        World(regtest, folder).wallet("alone").use { wallet ->
            wallet.boardingAddress()
            regtest.operator("stop")
            val operator = assertThrows<WalletException.OperatorUnreachable> { wallet.settle() }
            assertTrue(regtest.operator.substringAfter("//") in operator.url, operator.url)
            regtest.operator("start")
            regtest.esplora("fail")
            try {
                assertThrows<WalletException.ChainAnswer> { wallet.balance() }
            } finally {
                regtest.esplora("answer")
            }
            val config = World(regtest, folder).config("elsewhere").copy(esploraUrl = NOWHERE)
            VirtualChannels.open(config, generateMnemonic()).use { lost ->
                lost.boardingAddress()
                val chain = assertThrows<WalletException.ChainUnreachable> { lost.balance() }
                assertTrue(NOWHERE in chain.url, chain.url)
            }
            assertEquals(Sats.ZERO, wallet.balance().total)
        }
    }

    private companion object {
        const val NOWHERE = "http://127.0.0.1:1"
    }
}
