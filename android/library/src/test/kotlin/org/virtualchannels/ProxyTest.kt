package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.ValueSource

/** A wallet behind a proxy: operator and chain server are reached through it, and nothing goes around it. */
class ProxyTest {
    @TempDir
    lateinit var folder: Path
    private val world get() = World(World.shared, folder)

    /** The servers under names that only the proxy can look up. */
    private val names = mapOf(OPERATOR to World.shared.operator.substringAfter("//"), CHAIN to World.shared.esplora.substringAfter("//"))

    private fun behind(proxy: String): WalletConfig =
        world.config("wallet").copy(operatorUrl = "http://$OPERATOR", esploraUrl = "http://$CHAIN", proxy = proxy)

    @ParameterizedTest
    @ValueSource(booleans = [true, false])
    fun everythingGoesThroughIt(socks: Boolean) = runBlocking<Unit> {
        ProxyServer(socks, names).use { proxy ->
            VirtualChannels.open(behind(proxy.url), generateMnemonic()).use { wallet ->
                world.enrich(wallet, 30_000.sats)
                world.wallet("shop").use { shop ->
                    wallet.send(shop.arkAddress(), 5_000.sats)
                    eventually("the payment") { shop.balance().preconfirmed == 5_000.sats }
                }
            }
            assertEquals(setOf(OPERATOR, CHAIN), proxy.asked.toSet(), "both by their names, which only it knows")
        }
    }

    @ParameterizedTest
    @ValueSource(strings = ["socks5", "http"])
    fun nothingGoesAroundIt(scheme: String) = runBlocking<Unit> {
        val config = world.config("lonely").copy(proxy = "$scheme://127.0.0.1:1")
        assertThrows<WalletException.OperatorUnreachable> { VirtualChannels.open(config, generateMnemonic()) }
        ProxyServer(scheme == "socks5", names - CHAIN).use { proxy ->
            VirtualChannels.open(behind(proxy.url), generateMnemonic()).use { wallet ->
                wallet.boardingAddress()
                assertThrows<WalletException.ChainUnreachable> { wallet.balance() }
            }
        }
    }

    @Test
    fun proxiesThatAreNone() = runBlocking<Unit> {
        for (proxy in listOf("hello", "ftp://127.0.0.1:1", "socks5://", "socks5://user:secret@127.0.0.1:1")) {
            val error = assertThrows<WalletException.InvalidUrl> { VirtualChannels.open(behind(proxy), generateMnemonic()) }
            assertTrue(error.reason.isNotEmpty())
            assertFalse("secret" in error.toString(), error.toString())
        }
    }

    private companion object {
        const val OPERATOR = "operator.invalid:7070"
        const val CHAIN = "chain.invalid:80"
    }
}
