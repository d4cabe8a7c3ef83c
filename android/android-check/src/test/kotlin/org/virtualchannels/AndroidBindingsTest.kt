package org.virtualchannels

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import java.nio.file.Path
import kotlinx.coroutines.runBlocking

/** The bindings as they are made for Android reach the library. */
class AndroidBindingsTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun theyAreTheAndroidOnes() {
        assertTrue(Class.forName("org.virtualchannels.AndroidSystemCleaner").isAnnotationPresent(Metadata::class.java))
    }

    @Test
    fun theyCallTheLibrary() {
        assertEquals(12, generateMnemonic().split(" ").size)
        val config = WalletConfig(folder.resolve("wallet.db").toString(), Network.REGTEST, "http://127.0.0.1:1", "http://127.0.0.1:1")
        val error = assertThrows(WalletException::class.java) { runBlocking { Wallet.open(config, "not a mnemonic") } }
        assertTrue(error is WalletException.InvalidMnemonic, error.toString())
    }
}
