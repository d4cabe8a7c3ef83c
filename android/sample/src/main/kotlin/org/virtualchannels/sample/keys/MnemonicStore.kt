package org.virtualchannels.sample.keys

import java.io.DataInputStream
import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.security.GeneralSecurityException
import javax.crypto.Cipher
import javax.crypto.SecretKey
import javax.crypto.spec.GCMParameterSpec

/** The stored words are there and cannot be read: the key is gone, or the file was changed. Only the user's copy helps. */
class MnemonicUnreadable(cause: Exception) : Exception("the stored mnemonic cannot be read", cause)

/**
 * Keeps the mnemonic in a file, encrypted with AES-256-GCM by a key that is elsewhere.
 *
 * The file holds a version byte, the 12 bytes of the nonce, and the ciphertext with its tag. It belongs into
 * `context.noBackupFilesDir`: the key does not move to another phone, so the file is of no use there.
 *
 * @param syncFolder has the entries of a folder written to the disk; tests on a JVM have another.
 */
class MnemonicStore(private val file: File, private val key: WrappingKey, private val syncFolder: (File) -> Unit = ::syncFolder) {
    /** Whether a mnemonic was stored. */
    fun exists(): Boolean = file.exists()

    /**
     * Stores the mnemonic with a new key, in place of the one before. When it returns, the words are on the disk.
     *
     * @throws IllegalStateException where one is stored already: it may be the only copy of somebody's money. [delete] it first.
     */
    fun save(mnemonic: String) {
        check(!exists()) { "a mnemonic is stored already" }
        val words = mnemonic.encodeToByteArray()
        val sealed = try {
            seal(key.create(), words)
        } finally {
            words.fill(0)
        }
        val next = File(file.path + ".new")
        FileOutputStream(next).use {
            it.write(sealed)
            it.fd.sync()
        }
        if (!next.renameTo(file)) throw IOException("$next cannot be renamed to $file")
        // Without it the words may be there only under the other name after a power loss.
        syncFolder(file.absoluteFile.parentFile!!)
    }

    /**
     * The mnemonic, or null where none was stored.
     *
     * @throws MnemonicUnreadable where the key is gone or the file is not what was stored.
     */
    fun load(): String? {
        if (!exists()) return null
        val sealed = readAll()
        val found = try {
            key.find() ?: throw GeneralSecurityException("the key is gone")
        } catch (problem: GeneralSecurityException) {
            throw MnemonicUnreadable(problem)
        }
        val words = open(found, sealed)
        return try {
            words.decodeToString()
        } finally {
            words.fill(0)
        }
    }

    /** Deletes mnemonic and key. */
    fun delete() {
        key.delete()
        if (!file.delete() && file.exists()) throw IOException("$file cannot be deleted")
    }

    private fun readAll(): ByteArray {
        val length = file.length()
        if (length !in SHORTEST..LONGEST) throw MnemonicUnreadable(IOException("$length bytes"))
        return ByteArray(length.toInt()).also { bytes -> DataInputStream(file.inputStream()).use { it.readFully(bytes) } }
    }

    private fun seal(secret: SecretKey, words: ByteArray): ByteArray {
        val cipher = Cipher.getInstance(CIPHER)
        // The nonce is the provider's: the Android Keystore takes no other.
        cipher.init(Cipher.ENCRYPT_MODE, secret)
        cipher.updateAAD(byteArrayOf(VERSION))
        val body = cipher.doFinal(words)
        check(cipher.iv.size == NONCE) { "a nonce of ${cipher.iv.size} bytes" }
        return byteArrayOf(VERSION) + cipher.iv + body
    }

    private fun open(secret: SecretKey, sealed: ByteArray): ByteArray {
        val cipher = Cipher.getInstance(CIPHER)
        // That the user must show it's them, or that the key is no longer valid, is for the app to tell apart: it is thrown here.
        cipher.init(Cipher.DECRYPT_MODE, secret, GCMParameterSpec(TAG_BITS, sealed, 1, NONCE))
        return try {
            cipher.updateAAD(byteArrayOf(sealed[0]))
            cipher.doFinal(sealed, 1 + NONCE, sealed.size - 1 - NONCE)
        } catch (problem: GeneralSecurityException) {
            throw MnemonicUnreadable(problem)
        }
    }

    private companion object {
        const val CIPHER = "AES/GCM/NoPadding"
        const val VERSION: Byte = 1
        const val NONCE = 12
        const val TAG_BITS = 128
        const val SHORTEST = 1L + NONCE + TAG_BITS / 8
        const val LONGEST = 1024L
    }
}
