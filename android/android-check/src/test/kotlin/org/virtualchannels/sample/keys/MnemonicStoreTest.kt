package org.virtualchannels.sample.keys

import java.io.File
import java.io.IOException
import java.nio.file.Path
import java.security.KeyStore
import java.security.UnrecoverableKeyException
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import org.junit.jupiter.api.Assertions.assertArrayEquals
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class MnemonicStoreTest {
    @TempDir
    lateinit var folder: Path
    private val file get() = File(folder.toFile(), "mnemonic")

    /** An ordinary key store of the JVM in place of the phone's. */
    private class JvmKey : WrappingKey {
        private val store = KeyStore.getInstance("PKCS12").apply { load(null) }
        private val password = "password".toCharArray()

        override fun find() = store.getKey("mnemonic", password) as SecretKey?

        override fun create(): SecretKey {
            val key = KeyGenerator.getInstance("AES").apply { init(256) }.generateKey()
            store.setEntry("mnemonic", KeyStore.SecretKeyEntry(key), KeyStore.PasswordProtection(password))
            return key
        }

        override fun delete() = store.deleteEntry("mnemonic")
    }

    private val key = JvmKey()

    /** What the folder held when it was written to the disk. */
    private val synced = mutableListOf<List<String>>()
    private val store get() = MnemonicStore(file, key) { synced += it.list()!!.toList() }

    @Test
    fun whatWasStoredComesBack() {
        assertNull(store.load())
        assertFalse(store.exists())
        store.save(WORDS)
        assertTrue(store.exists())
        assertEquals(WORDS, store.load())
        assertEquals(listOf("mnemonic"), folder.toFile().list()!!.toList())
    }

    /** Who was told that they are stored has them also after a power loss. */
    @Test
    fun theNewNameIsOnTheDiskBeforeItReturns() {
        store.save(WORDS)
        assertEquals(listOf(listOf("mnemonic")), synced)
        store.delete()
        val error = assertThrows(IOException::class.java) { MnemonicStore(file, key) { throw IOException("no disk") }.save(WORDS) }
        assertEquals("no disk", error.message)
        // They may be on the disk all the same, so no others take their place.
        assertEquals(WORDS, store.load())
    }

    @Test
    fun theFileDoesNotShowIt() {
        store.save(WORDS)
        val first = file.readBytes()
        for (word in WORDS.split(" ")) assertFalse(word in String(first, Charsets.ISO_8859_1))
        store.delete()
        store.save(WORDS)
        assertEquals(first.size, file.readBytes().size)
        assertNotEquals(first.toList(), file.readBytes().toList())
    }

    @Test
    fun anotherMnemonicDoesNotTakeItsPlace() {
        store.save(WORDS)
        val before = file.readBytes()
        assertThrows(IllegalStateException::class.java) { store.save("other words") }
        assertArrayEquals(before, file.readBytes())
        assertEquals(WORDS, store.load())
    }

    @Test
    fun everyChangedByteIsNoticed() {
        store.save(WORDS)
        val good = file.readBytes()
        for (index in good.indices) {
            file.writeBytes(good.clone().also { it[index] = (it[index] + 1).toByte() })
            assertThrows(MnemonicUnreadable::class.java, { store.load() }, "byte $index")
        }
        for (length in listOf(0, 1, 28, good.size - 1)) {
            file.writeBytes(good.copyOf(length))
            assertThrows(MnemonicUnreadable::class.java, { store.load() }, "$length bytes")
        }
        file.writeBytes(ByteArray(1 shl 20))
        assertThrows(MnemonicUnreadable::class.java) { store.load() }
        file.writeBytes(good)
        assertEquals(WORDS, store.load())
    }

    @Test
    fun aLostKeyIsSaid() {
        store.save(WORDS)
        key.delete()
        assertThrows(MnemonicUnreadable::class.java) { store.load() }
        val broken = object : WrappingKey by key {
            override fun find(): SecretKey = throw UnrecoverableKeyException("broken")
        }
        val error = assertThrows(MnemonicUnreadable::class.java) { MnemonicStore(file, broken) {}.load() }
        assertTrue(error.cause is UnrecoverableKeyException)
    }

    @Test
    fun deletedIsDeleted() {
        store.save(WORDS)
        store.delete()
        assertFalse(store.exists())
        assertNull(key.find())
        store.delete()
    }

    private companion object {
        const val WORDS = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
    }
}
