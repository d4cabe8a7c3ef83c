package org.virtualchannels.sample

import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import kotlinx.coroutines.withContext
import org.virtualchannels.VirtualChannels
import org.virtualchannels.sample.keys.MnemonicStore
import org.virtualchannels.viewmodel.MnemonicSource

/** The twelve words from the store; made and kept the first time. */
class StoredMnemonic(private val store: MnemonicStore) : MnemonicSource {
    private val one = Mutex()

    override suspend fun mnemonic(): String = one.withLock {
        withContext(Dispatchers.IO) { store.load() ?: VirtualChannels.newMnemonic().also { store.save(it) } }
    }
}
