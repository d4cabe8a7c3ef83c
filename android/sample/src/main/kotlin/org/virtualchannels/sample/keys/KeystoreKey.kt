package org.virtualchannels.sample.keys

import android.os.Build
import android.security.keystore.KeyGenParameterSpec
import android.security.keystore.KeyProperties
import android.security.keystore.StrongBoxUnavailableException
import androidx.annotation.RequiresApi
import java.security.KeyStore
import javax.crypto.KeyGenerator
import javax.crypto.SecretKey
import kotlin.time.Duration

/**
 * A key in the Android Keystore, which never leaves the phone's secure hardware: in a chip of its own (StrongBox) where there is
 * one, else in the trusted execution environment.
 *
 * @param alias its name in the key store.
 * @param authenticated how long after the user unlocked the phone or confirmed it's them the key may be used; outside of that
 *   time using it throws `UserNotAuthenticatedException`, upon which an app asks (`KeyguardManager`, `BiometricPrompt`) and
 *   tries again. Null: whenever the phone has been unlocked once since it started, which is what work in the background needs.
 */
class KeystoreKey(private val alias: String = "virtual-channels-mnemonic", private val authenticated: Duration? = null) : WrappingKey {
    private val store = KeyStore.getInstance(PROVIDER).apply { load(null) }

    override fun find(): SecretKey? = store.getKey(alias, null) as SecretKey?

    override fun create(): SecretKey {
        delete()
        val own = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) inAChipOfItsOwn() else null
        return own ?: generate(specification())
    }

    /** Null where the phone has no such chip. */
    @RequiresApi(Build.VERSION_CODES.P)
    private fun inAChipOfItsOwn(): SecretKey? = try {
        generate(specification().setIsStrongBoxBacked(true))
    } catch (_: StrongBoxUnavailableException) {
        null
    }

    override fun delete() = store.deleteEntry(alias)

    private fun generate(specification: KeyGenParameterSpec.Builder): SecretKey =
        KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, PROVIDER).apply { init(specification.build()) }.generateKey()

    private fun specification(): KeyGenParameterSpec.Builder {
        val purposes = KeyProperties.PURPOSE_ENCRYPT or KeyProperties.PURPOSE_DECRYPT
        val builder = KeyGenParameterSpec.Builder(alias, purposes)
            .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
            .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
            .setKeySize(256)
        if (authenticated != null) askForTheUser(builder, authenticated.inWholeSeconds.toInt())
        return builder
    }

    private fun askForTheUser(builder: KeyGenParameterSpec.Builder, seconds: Int) {
        builder.setUserAuthenticationRequired(true)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.R) {
            byFaceFingerOrCode(builder, seconds)
        } else {
            @Suppress("DEPRECATION")
            builder.setUserAuthenticationValidityDurationSeconds(seconds)
        }
    }

    @RequiresApi(Build.VERSION_CODES.R)
    private fun byFaceFingerOrCode(builder: KeyGenParameterSpec.Builder, seconds: Int) {
        builder.setUserAuthenticationParameters(seconds, KeyProperties.AUTH_BIOMETRIC_STRONG or KeyProperties.AUTH_DEVICE_CREDENTIAL)
    }

    private companion object {
        const val PROVIDER = "AndroidKeyStore"
    }
}
