package org.virtualchannels.demo

import java.nio.file.Files
import kotlin.system.exitProcess
import kotlinx.coroutines.runBlocking

/**
 * The main job, for real: two wallets, a channel opened in a batch, a hundred offline payments, closed, settled.
 *
 * Without settings it runs against a bitcoind on regtest and an Ark operator of the project's own. With `OPERATOR` and `ESPLORA`
 * (and `NETWORK`, `regtest` unless given) it runs against any arkd; `FAUCET` names a server with `/faucet/{address}/{sats}` and
 * `/mine/{n}`.
 */
fun main() {
    val folder = Files.createTempDirectory("kotlin-demo-")
    val screen = Screen()
    val ended = try {
        Place.fromEnvironment(System.getenv()).use { place -> runBlocking { Story(place, folder, screen).run() } }
        "kotlin-demo: ok"
    } catch (failure: Exception) {
        "kotlin-demo: FAILED: ${failure.message ?: failure}"
    } finally {
        folder.toFile().deleteRecursively()
    }
    println("\ntook ${screen.seconds()}\n$ended")
    exitProcess(if (ended.endsWith("ok")) 0 else 1)
}
