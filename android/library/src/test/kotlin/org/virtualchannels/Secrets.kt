package org.virtualchannels

import java.security.MessageDigest
import java.util.Base64
import javax.crypto.Mac
import javax.crypto.SecretKeyFactory
import javax.crypto.spec.PBEKeySpec
import javax.crypto.spec.SecretKeySpec

/** A secret, in the forms in which a text could hold it. */
class Secret(val name: String, val forms: List<String>) {
    constructor(name: String, bytes: ByteArray) : this(name, forms(bytes))

    private companion object {
        @OptIn(ExperimentalStdlibApi::class)
        fun forms(bytes: ByteArray): List<String> = listOf(
            bytes.toHexString(), bytes.toHexString(HexFormat.UpperCase),
            Base64.getEncoder().withoutPadding().encodeToString(bytes),
            bytes.joinToString(", "), bytes.joinToString(", ") { it.toUByte().toString() },
        )
    }
}

/** What a mnemonic leads to. Derived keys are looked for in the Rust tests, which know all of them. */
object Secrets {
    fun of(words: String): List<Secret> {
        val list = words.split(" ")
        val seed = SecretKeyFactory.getInstance("PBKDF2WithHmacSHA512")
            .generateSecret(PBEKeySpec(words.toCharArray(), "mnemonic".toByteArray(), 2048, 512)).encoded
        val master = Mac.getInstance("HmacSHA512").run { init(SecretKeySpec("Bitcoin seed".toByteArray(), "HmacSHA512")); doFinal(seed) }
        val pairs = list.zipWithNext { one, next -> Secret("two words", listOf("$one $next", "$one, $next", "$one,$next")) }
        return pairs + listOf(
            Secret("words", listOf(words)),
            Secret("seed", seed),
            Secret("master key", master.copyOf(32)),
            Secret("chain code", master.copyOfRange(32, 64)),
            Secret("hash of the words", MessageDigest.getInstance("SHA-256").digest(words.toByteArray())),
        )
    }
}
