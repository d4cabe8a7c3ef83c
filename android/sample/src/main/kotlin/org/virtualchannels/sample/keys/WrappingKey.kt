package org.virtualchannels.sample.keys

import javax.crypto.SecretKey

/** An AES key that encrypts the mnemonic; where it lies is the implementation's matter. */
interface WrappingKey {
    /** The key, or null where there is none (any more). */
    fun find(): SecretKey?

    /** Makes a new key in place of the one there is. */
    fun create(): SecretKey

    /** Deletes the key: what it encrypted is lost. */
    fun delete()
}
