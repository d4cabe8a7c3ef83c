package org.virtualchannels

import java.nio.file.Files
import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** The words: whose they are, and whether they are any. */
class MnemonicTest {
    @TempDir
    lateinit var folder: Path

    @Test
    fun twelveWordsOfTheirOwn() = runBlocking<Unit> {
        val (one, other) = listOf(VirtualChannels.newMnemonic(), generateMnemonic())
        assertEquals(listOf(12, 12), listOf(one, other).map { it.split(" ").size })
        assertNotEquals(one, other)
    }

    @Test
    fun othersWords() = runBlocking<Unit> {
        val ready = ReadyChannel(folder)
        val bytes = Files.readAllBytes(ready.payer.file)
        for (words in listOf(ready.receiver.words, generateMnemonic())) {
            val error = assertThrows<WalletException.OtherWallet> { VirtualChannels.open(ready.payer.config(), words) }
            assertFalse(words.split(" ").zipWithNext().any { (one, next) -> "$one $next" in error.message }, error.message)
        }
        assertEquals(bytes.size, Files.readAllBytes(ready.payer.file).size)
        ready.payer.open().use { assertEquals(ready.id, it.channels().single().id) }
    }

    @Test
    fun noWordsOfAMnemonic() = runBlocking<Unit> {
        val words = generateMnemonic()
        val config = World(World.shared, folder).config("new")
        val wrong = listOf("", "abandon", words.reversed(), words.replace(" ", ","), "$words $words", words.substringBeforeLast(' '), "\u0000")
        for (text in wrong) {
            val error = assertThrows<WalletException.InvalidMnemonic> { VirtualChannels.open(config, text) }
            assertFalse(text.length > 20 && text in error.toString())
        }
        assertFalse(Files.exists(Path.of(config.databasePath)), "nothing is created for them")
        VirtualChannels.open(config, " ${words.uppercase()}  ".lowercase()).use { assertEquals(0, it.channels().size) }
    }
}
