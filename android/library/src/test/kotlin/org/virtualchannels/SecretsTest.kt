package org.virtualchannels

import java.nio.file.Path
import java.util.concurrent.ConcurrentLinkedQueue
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** No secret in what the library gives out as text: log records, `toString`, exceptions, messages. */
class SecretsTest {
    @TempDir
    lateinit var folder: Path

    private val told = ConcurrentLinkedQueue<String>()

    private fun tell(what: Any?) {
        told.add(what.toString())
        if (what is Throwable) told.add(what.stackTraceToString())
    }

    @Test
    fun noneIsTold() = runBlocking<Unit> {
        val logged = ConcurrentLinkedQueue<LogRecord>()
        setLogSink(LogSink { logged.add(it) }, LogLevel.DEBUG)
        val words = listOf(generateMnemonic(), generateMnemonic())
        try {
            val world = World(World.shared, folder)
            val (payer, receiver) = listOf("payer", "receiver").zip(words).map { (name, words) ->
                world.config(name).also(::tell).let { VirtualChannels.open(it, words) }
            }
            life(world, payer, receiver)
            failures(world, payer, receiver, words)
            listOf(payer, receiver).forEach { it.closeAndWait(); tell(it) }
            eventually("log records") { logged.isNotEmpty() }
        } finally {
            setLogSink(null, LogLevel.ERROR)
        }
        logged.forEach { tell(it) }
        assertTrue(told.size > 60, "${told.size} texts")
        for (secret in words.flatMap { Secrets.of(it) }) {
            val found = told.filter { text -> secret.forms.any { it in text } }
            assertTrue(found.isEmpty(), "${secret.name} in $found")
        }
    }

    /** Everything that has a `toString`, over a whole life. */
    private suspend fun life(world: World, payer: Wallet, receiver: Wallet) {
        world.enrich(payer, 100_000.sats)
        val invite = receiver.createInvite(InviteRequest(memo = "coffee").also(::tell))
        val request = ProposeRequest(50_000.sats, FundingChoice.Batch).also(::tell)
        tell(payer.quoteOpen(invite, request))
        val proposal = payer.propose(invite, request).also(::tell)
        val accepted = (receiver.accept(proposal.offer) as Acceptance.Accepted).also(::tell)
        val channel = payer.openChannel(accepted.accept)
        world.regtest.mine(1)
        world.confirm(payer, receiver, channel)
        val payment = payer.pay(channel, 1_000.sats, "one").also(::tell)
        tell(receiver.receive(payment.text))
        tell(receiver.receiveMany(listOf(payment.text, "garbage")))
        val receipt = receiver.receipt(channel)
        payer.acknowledge(receipt)
        for (text in listOf(invite, proposal.offer, accepted.accept, payment.text, receipt, payer.arkAddress(), payer.boardingAddress())) {
            tell(text)
            tell(payer.parse(text))
        }
        receiver.closeChannel(channel)
        for (wallet in listOf(payer, receiver)) {
            tell(wallet)
            tell(wallet.watch(channel))
            tell(wallet.channels())
            tell(wallet.balance())
            tell(wallet.resume())
            tell(wallet.maintain())
            wallet.pendingEvents(1_000u).forEach(::tell)
        }
        tell(runCatching { receiver.settle() })
    }

    private suspend fun failures(world: World, payer: Wallet, receiver: Wallet, words: List<String>) {
        val nearly = words[0].split(" ").let { it.dropLast(1) + it.first() }.joinToString(" ")
        val calls = listOf<suspend () -> Any>(
            { VirtualChannels.open(world.config("payer"), words[1]) },
            { VirtualChannels.open(world.config("payer"), nearly) },
            { VirtualChannels.open(world.config("payer"), words[0].reversed()) },
            { VirtualChannels.open(world.config("x").copy(operatorUrl = words[0].take(3)), words[0]) },
            { VirtualChannels.open(world.config("x").copy(network = Network.BITCOIN), words[0]) },
            { VirtualChannels.open(world.config("x").copy(operatorUrl = "http://127.0.0.1:1"), words[0]) },
            { payer.parse("garbage") },
            { payer.channel("00".repeat(32)) },
            { payer.send(receiver.arkAddress(), 100_000_000.sats) },
        )
        for (call in calls) tell(runCatching { call() }.exceptionOrNull() ?: throw AssertionError("it worked"))
    }

    /** What is looked for would be found. */
    @Test
    fun theSearchFinds() {
        val words = generateMnemonic()
        val secrets = Secrets.of(words)
        assertTrue(secrets.size > 14)
        assertTrue(secrets.all { secret -> secret.forms.all { form -> secrets.any { it.forms.any { f -> f in "before $form after" } } } })
        assertTrue(secrets.first { it.name == "words" }.forms.any { it in "config($words)" })
    }
}
