package org.virtualchannels

import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.time.Duration
import kotlinx.coroutines.runBlocking

/** One side of a channel: its file and its words. */
class Side(val file: Path, val words: String) {
    /** Opens it; nobody needs to be reached for that. */
    suspend fun open(clock: Clock? = null, file: Path = this.file): Wallet = VirtualChannels.open(config(file), words, clock)

    /** How it is set up. */
    fun config(file: Path = this.file): WalletConfig =
        WalletConfig(file.toString(), Network.REGTEST, World.shared.operator, World.shared.esplora)
}

/**
 * A channel that is open on both sides, in a folder of the test's own.
 *
 * It is opened for real, and again when some time has passed: a wallet takes no payments when it last saw the chain too
 * long ago. Each test gets copies of the two files as they were then.
 */
class ReadyChannel(folder: Path) {
    private val template = template()
    val id: String get() = template.id
    val payer: Side = copy(folder, "payer", template.payer)
    val receiver: Side = copy(folder, "receiver", template.receiver)

    private class Template(val id: String, val payer: Side, val receiver: Side)

    companion object {
        /** What can be paid in it. */
        val CAPACITY: Sats = 100_000_000.sats

        /** What the payer has left beside it. */
        private val CHANGE: Sats = 1_000_000.sats

        private fun copy(folder: Path, name: String, side: Side): Side {
            val file = folder.resolve("$name.db")
            Files.copy(side.file, file, StandardCopyOption.REPLACE_EXISTING)
            return Side(file, side.words)
        }

        /** How long a channel is ready for: a quarter of how long its receiver may be blind. */
        private val FRESH = Duration.ofSeconds(128)

        private var made: Pair<Template, Long>? = null

        @Synchronized
        private fun template(): Template {
            made?.let { (template, at) -> if (System.nanoTime() - at < FRESH.toNanos()) return template }
            val at = System.nanoTime()
            return runBlocking { make() }.also { made = it to at }
        }

        private suspend fun make(): Template {
            val folder = Files.createTempDirectory("virtual-channels-")
            folder.toFile().deleteOnExit()
            val world = World(World.shared, folder)
            val sides = listOf("payer", "receiver").map { name ->
                val file = folder.resolve("$name.db")
                listOf("", "-wal", "-shm").forEach { Path.of("$file$it").toFile().deleteOnExit() }
                Side(file, VirtualChannels.newMnemonic())
            }
            val (payer, receiver) = sides.map { it.open() }
            world.enrich(payer, CAPACITY + CHANGE)
            val id = world.open(payer, receiver, CAPACITY)
            // The events of the opening are not what tests wait for.
            for (wallet in listOf(payer, receiver)) {
                wallet.pendingEvents(100u).mapNotNull { it.token }.forEach { wallet.acknowledgeEvent(it) }
                wallet.closeAndWait()
            }
            return Template(id, sides[0], sides[1])
        }
    }
}
