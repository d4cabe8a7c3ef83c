package org.virtualchannels

import java.nio.file.Path
import kotlin.random.Random
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** A thousand mutations of every kind of message: a typed error each, and nothing is changed. */
class GarbageTest {
    @TempDir
    lateinit var folder: Path

    private class Kind(val name: String, val text: String, val take: suspend (String) -> Unit)

    @Test
    fun aThousandOfEveryKind() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            ready.receiver.open().use { receiver ->
                val invite = receiver.createInvite(InviteRequest(memo = "coffee"))
                val request = ProposeRequest(50_000.sats, FundingChoice.Batch)
                val offer = payer.propose(invite, request).offer
                val accept = (receiver.accept(offer) as Acceptance.Accepted).accept
                val payment = payer.pay(ready.id, 1_000.sats, "one")
                receiver.receive(payment.text)
                val receipt = receiver.receipt(ready.id)
                // From then on a payment is nothing but what is signed.
                payer.acknowledge(receipt)
                val next = payer.pay(ready.id, 1_000.sats, "two").text
                val kinds = listOf(
                    Kind("invite", invite) { payer.quoteOpen(it, ProposeRequest(1.sats, FundingChoice.Offchain)) },
                    Kind("offer", offer) { receiver.accept(it) },
                    Kind("accept", accept) { payer.openChannel(it) },
                    Kind("payment", next) { receiver.receive(it) },
                    Kind("receipt", receipt) { payer.acknowledge(it) },
                )
                val before = listOf(payer, receiver).map { state(it) }
                kinds.forEachIndexed { number, kind -> mutate(kind, payer, Random(number)) }
                assertEquals(before, listOf(payer, receiver).map { state(it) }, "nothing was changed")
                assertTrue(receiver.channel(ready.id).amount in listOf(1_000.sats, PAID))
                // The real ones are still good.
                payer.acknowledge(receipt)
                val last = payer.pay(ready.id, 1_000.sats, "three").text
                assertEquals(3_000.sats, receiver.receive(last).amount)
                assertTrue(payer.parse(invite) is Parsed.Invite)
            }
        }
    }

    /** A request that says the same may be granted, and such a grant be taken: so with a channel of its own. */
    @Test
    fun aThousandOfEveryKindThatEndsAChannel() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val (payer, receiver) = listOf("payer", "receiver").map { world.wallet(it) }
        world.enrich(payer, 100_000.sats)
        val id = world.openOffchain(payer, receiver, 50_000.sats)
        receiver.receive(payer.pay(id, 1_000.sats, "one").text)
        val request = receiver.requestClose(id)
        mutate(Kind("close request", request) { payer.grantClose(it) }, payer, Random(11))
        assertTrue(payer.channel(id).state in listOf(ChannelState.OPEN, ChannelState.CLOSING))
        val grant = payer.grantClose(request)
        mutate(Kind("close grant", grant) { receiver.closeWith(it) }, receiver, Random(12))
        assertTrue(receiver.channel(id).state in listOf(ChannelState.OPEN, ChannelState.CLOSED))
        // The real one is still good.
        val txid = receiver.closeWith(grant)
        assertEquals(Triple(ChannelState.CLOSED, txid, 1_000.sats), receiver.channel(id).let { Triple(it.state, it.resultTxid, it.amount) })
        assertEquals(1_000.sats, receiver.balance().preconfirmed)
        for (wallet in listOf(payer, receiver)) wallet.closeAndWait()
    }

    /** A damaged backup makes no wallet and no file, and changes none that is there. */
    @Test
    fun aThousandBackups() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = generateMnemonic()
        val (payer, receiver) = VirtualChannels.open(world.config("payer"), words) to world.wallet("receiver")
        world.enrich(payer, 100_000.sats)
        val id = world.openOffchain(payer, receiver, 50_000.sats)
        receiver.receive(payer.pay(id, 1_000.sats, "one").text)
        val backup = payer.backup()
        payer.closeAndWait()
        val (fresh, there) = listOf("fresh", "there").map { world.config(it) }
        VirtualChannels.restore(there, words, backup).wallet.closeAndWait()
        val before = files()
        var number = 0
        mutate(Kind("backup", backup) { text ->
            number += 1
            val restored = VirtualChannels.restore(if (number % 4 == 0) there else fresh, words, text)
            restored.wallet.closeAndWait()
            throw AssertionError("number $number made a wallet of ${restored.report.channels}: $text")
        }, receiver, Random(10))
        assertEquals(MUTATIONS, number)
        assertEquals(before, files(), "something was written")
        // The real one is still good, in both places.
        for (config in listOf(fresh, there)) {
            val restored = VirtualChannels.restore(config, words, backup)
            assertEquals(listOf(id) to listOf<RestoreWarning>(), restored.report.channels to restored.report.warnings)
            restored.wallet.closeAndWait()
        }
        receiver.closeAndWait()
    }

    /** The names of all files, and what is in the one that was restored. */
    private fun files(): List<Any> {
        val there = folder.toFile().listFiles()!!.sorted()
        return there.map { it.name } + there.filter { it.name.startsWith("there") }.map { it.readBytes().toList() }
    }

    /** All but what the one good payment changes. */
    private suspend fun state(wallet: Wallet): Any = wallet.channels().map { channel ->
        if (channel.role == Role.PAYER) channel else listOf(channel.id, channel.state, channel.capacity, channel.acknowledged, channel.resultTxid)
    } to wallet.pendingEvents(1_000u).map { it.kind }.filter { it !is EventKind.PaymentReceived }

    private suspend fun mutate(kind: Kind, scanner: Wallet, random: Random) {
        val refusals = mutableMapOf<String, Int>()
        repeat(MUTATIONS) { round ->
            val text = generateSequence { mutation(kind.text, random, round) }.first { !isSame(it, kind.text) }
            try {
                kind.take(text)
                // Then it is the same in other bytes: a number with bits that nobody reads, or a part that is not signed.
                assertEquals(scanner.parse(kind.text), scanner.parse(text), "this ${kind.name} was taken: $text, instead of ${kind.text}")
                refusals.merge(SAME, 1, Int::plus)
            } catch (error: WalletException) {
                refusals.merge(error.javaClass.simpleName, 1, Int::plus)
                assertTrue(error !is WalletException.Internal, "$error at $text")
            }
            // A scanner reads anything; what it cannot read has a type, too.
            runCatching { scanner.parse(text) }.onFailure { assertTrue(it is WalletException && it !is WalletException.Internal, "$it") }
        }
        assertEquals(MUTATIONS, refusals.values.sum())
        assertTrue((refusals[SAME] ?: 0) < MUTATIONS / 20, "${kind.name}: $refusals")
        assertTrue(refusals.size >= 2, "${kind.name}: damage only ever came to $refusals")
    }

    /** The last letter's unused bits make another text of the same message. */
    private fun isSame(one: String, other: String): Boolean {
        val (prefix, bytes) = runCatching { Bech32m.bytes(one) }.getOrNull() ?: return false
        val (expected, real) = Bech32m.bytes(other)
        return prefix.trim().lowercase() == expected && bytes.contentEquals(real)
    }

    /** In five of six the checksum is right again. */
    private fun mutation(real: String, random: Random, round: Int): String {
        val (prefix, groups) = Bech32m.split(real)
        val at = random.nextInt(groups.size)
        val other = groups.clone().also { it[at] = (it[at] + 1 + random.nextInt(31)) % 32 }
        return when (round % 6) {
            0 -> real.toCharArray().also { it[random.nextInt(it.size)] = Char(32 + random.nextInt(96)) }.concatToString()
            1 -> Bech32m.join(prefix, groups.copyOf(at))
            2 -> Bech32m.join(prefix, groups.copyOfRange(0, at) + IntArray(1 + random.nextInt(40)) { random.nextInt(32) } + groups.drop(at))
            3 -> Bech32m.join(listOf("vci", "vco", "vca", "vcu", "vcr", "vcq", "vcg", "vcb").filter { it != prefix }.random(random), groups)
            4 -> Bech32m.join(prefix, other.also { many -> repeat(random.nextInt(8)) { many[random.nextInt(many.size)] = random.nextInt(32) } })
            else -> Bech32m.join(prefix, other)
        }
    }

    @Test
    fun whatIsNoMessageAtAll() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        ready.payer.open().use { payer ->
            for (text in listOf("", " ", "hello", "\u0000", "vcu1", "1".repeat(100_000), "💸".repeat(1_000), "bitcoin:", "\uD800")) {
                assertThrows<WalletException> { payer.parse(text) }
                assertThrows<WalletException> { payer.receive(text) }
                assertThrows<WalletException> { payer.accept(text) }
                assertThrows<WalletException> { payer.channel(text) }
                assertThrows<WalletException> { payer.requestClose(text) }
                assertThrows<WalletException> { payer.grantClose(text) }
                assertThrows<WalletException> { payer.closeWith(text) }
                assertThrows<WalletException> { payer.releaseChannel(text) }
                assertThrows<WalletException> {
                    payer.quoteOpen(payer.createInvite(InviteRequest()), ProposeRequest(50_000.sats, FundingChoice.Refund(text)))
                }
                assertThrows<WalletException> { payer.acknowledgeEvent(text) }
                assertThrows<WalletException> { payer.send(text, 1_000.sats) }
            }
        }
    }

    private companion object {
        const val MUTATIONS = 1_000
        const val SAME = "taken, for it says the same"
        val PAID = 2_000.sats
    }
}
