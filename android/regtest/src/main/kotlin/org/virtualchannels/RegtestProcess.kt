package org.virtualchannels

import java.io.File
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.time.Duration
import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread

/**
 * A regtest of one's own: bitcoind, Esplora, a faucet and an Ark operator, on free ports of this machine.
 *
 * It is the program `regtest` of the workspace; the environment variable REGTEST (or the system property `regtest`) says where
 * it is. What it logs is in `target/regtest.log`.
 */
class RegtestProcess private constructor(private val process: Process, ready: Map<String, String>) : AutoCloseable {
    /** The operator's gRPC address. */
    val operator: String = ready.getValue("operator")

    /** The Esplora API's address. */
    val esplora: String = ready.getValue("esplora")

    private val admin: String = ready.getValue("admin")

    /** Pays so many satoshis to the address; they confirm with the next block that is mined. */
    fun pay(address: String, sats: ULong) = post("$esplora/faucet/$address/$sats")

    /** Mines blocks, the first of them so many seconds after the chain's clock. */
    fun mine(blocks: Int, afterSeconds: Long = 0) = post("$esplora/mine/$blocks?after=$afterSeconds")

    /** How Esplora behaves: `answer`, `hang` or `fail`. */
    fun esplora(mode: String) = post("$admin/esplora/$mode")

    /** Stops the operator, or starts it again: `stop`, `start`. */
    fun operator(what: String) = post("$admin/operator/$what")

    /** Whatever else its admin address takes, such as `fault/SubmitTx/drop`, `set/fee/200` and `clear`: see `regtest --help`. */
    fun admin(path: String) = post("$admin/$path")

    private fun post(url: String) {
        val request = HttpRequest.newBuilder(URI(url)).timeout(CALL_LIMIT).POST(HttpRequest.BodyPublishers.noBody()).build()
        val answer = http.send(request, HttpResponse.BodyHandlers.ofString())
        check(answer.statusCode() == 200) { "$url answered ${answer.statusCode()}: ${answer.body()}" }
    }

    /** Ends the program and all that it started. */
    override fun close() {
        // It ends when its standard input does, as it would if this process were killed.
        process.outputStream.close()
        if (!process.waitFor(20, TimeUnit.SECONDS)) process.destroyForcibly()
    }

    companion object {
        private val START_LIMIT = Duration.ofSeconds(120)
        private val CALL_LIMIT = Duration.ofSeconds(60)
        private val http: HttpClient = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()

        /** Starts one, and returns once it takes calls. The arguments are those of `regtest --help`. */
        fun start(vararg arguments: String): RegtestProcess {
            val program = System.getProperty("regtest") ?: System.getenv("REGTEST") ?: error("REGTEST must name the program regtest")
            val log = File("target/regtest.log").apply { absoluteFile.parentFile.mkdirs() }
            val process = ProcessBuilder(program, "--with-parent", *arguments).redirectError(log).start()
            val first = CompletableFuture<String?>()
            // Reading on keeps a program that prints more from standing still at a full pipe.
            thread(isDaemon = true) { process.inputReader().useLines { lines -> lines.forEach { first.complete(it) } }; first.complete(null) }
            try {
                val line = first.get(START_LIMIT.toSeconds(), TimeUnit.SECONDS) ?: error("$program ended with ${process.waitFor()}; see target/regtest.log")
                return RegtestProcess(process, addresses(line))
            } catch (failure: Exception) {
                process.destroyForcibly()
                throw failure
            }
        }

        /** The line is one flat JSON object of strings. */
        private fun addresses(line: String): Map<String, String> =
            Regex("\"(\\w+)\"\\s*:\\s*\"([^\"]*)\"").findAll(line).associate { it.groupValues[1] to it.groupValues[2] }
    }
}
