package org.virtualchannels.demo

import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.time.Duration
import org.virtualchannels.Network
import org.virtualchannels.RegtestProcess
import org.virtualchannels.Sats

/** Where the demo runs: operator, chain, and perhaps a faucet. */
abstract class Place(
    /** The operator's gRPC address. */
    val operator: String,
    /** An Esplora API. */
    val esplora: String,
    /** The chain. */
    val network: Network,
) : AutoCloseable {
    /** Whether money and blocks come by themselves. */
    open val hasFaucet: Boolean get() = true

    /** Pays to the address, and mines it; or asks for it. */
    abstract fun fund(address: String, amount: Sats)

    /** Mines a block; where there is no faucet, the chain goes on by itself. */
    abstract fun mine()

    /** Takes the operator away, where it is ours; answers whether it was. */
    open fun stopOperator(): Boolean = false

    /** Brings it back. */
    open fun startOperator() = Unit

    override fun close() = Unit

    companion object {
        /** As OPERATOR, ESPLORA, FAUCET, NETWORK and UNIT say; without OPERATOR a regtest of our own. */
        fun fromEnvironment(settings: Map<String, String>): Place {
            val address = { name: String -> settings[name]?.trim()?.trimEnd('/')?.ifEmpty { null } }
            // An OPERATOR that is set and empty is a mistake: nothing falls back to our own.
            if ("OPERATOR" !in settings) return Own(settings["UNIT"]?.ifEmpty { null } ?: "second")
            val operator = address("OPERATOR") ?: throw Failure("OPERATOR is set, but names no operator")
            val esplora = address("ESPLORA") ?: throw Failure("OPERATOR needs ESPLORA beside it: the address of an Esplora API")
            val name = settings["NETWORK"]?.ifEmpty { null } ?: "regtest"
            val network = Network.entries.find { it.name.equals(name, ignoreCase = true) }
                ?: throw Failure("NETWORK is $name, expected one of ${Network.entries.joinToString { it.name.lowercase() }}")
            val faucet = address("FAUCET")
            return if (faucet == null) Bare(operator, esplora, network) else WithFaucet(operator, esplora, network, faucet)
        }
    }
}

/** The program `regtest`. */
private class Own private constructor(private val regtest: RegtestProcess) :
    Place(regtest.operator, regtest.esplora, Network.REGTEST) {
    constructor(unit: String) : this(RegtestProcess.start("--unit", unit, "--session", "3"))

    override fun fund(address: String, amount: Sats) {
        regtest.pay(address, amount.value)
        mine()
    }

    override fun mine() = regtest.mine(1)

    override fun stopOperator(): Boolean {
        regtest.operator("stop")
        return true
    }

    override fun startOperator() = regtest.operator("start")

    override fun close() = regtest.close()
}

/** Any operator, with a server that takes `POST /faucet/{address}/{sats}` and `/mine/{n}`. */
private class WithFaucet(operator: String, esplora: String, network: Network, private val faucet: String) :
    Place(operator, esplora, network) {
    private val http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build()

    override fun fund(address: String, amount: Sats) {
        post("faucet/$address/${amount.value}")
        mine()
    }

    override fun mine() = post("mine/1")

    private fun post(path: String) {
        val request = HttpRequest.newBuilder(URI("$faucet/$path")).timeout(Duration.ofSeconds(60))
            .POST(HttpRequest.BodyPublishers.noBody()).build()
        val answer = http.send(request, HttpResponse.BodyHandlers.ofString())
        if (answer.statusCode() != 200) throw Failure("$faucet/$path: status ${answer.statusCode()}: ${answer.body()}")
    }
}

/** Any operator. */
private class Bare(operator: String, esplora: String, network: Network) : Place(operator, esplora, network) {
    override val hasFaucet: Boolean get() = false

    override fun fund(address: String, amount: Sats) = println("\nplease pay exactly $amount to\n\n    $address\n\nwaiting …")

    override fun mine() = Unit
}
