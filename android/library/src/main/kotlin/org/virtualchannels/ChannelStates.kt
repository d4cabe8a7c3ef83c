package org.virtualchannels

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.conflate
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.flow

/**
 * All channels, oldest first: at once, and again after each change, until the wallet is closed.
 *
 * A slow collector gets the latest and not all of those between. While the database is released it waits. Throws what else
 * [Wallet.channels] throws, but for [WalletException.Closed], which ends the flow.
 */
fun WalletInterface.channelStates(): Flow<List<ChannelInfo>> = afterEachChange { channels() }

/**
 * One channel: at once, and again after each change of it, until the wallet is closed. As [channelStates]; a channel that does
 * not exist is [WalletException.NotFound].
 */
fun WalletInterface.channelState(channelId: String): Flow<ChannelInfo> = afterEachChange { channel(channelId) }

internal fun <T : Any> WalletInterface.afterEachChange(look: suspend () -> T): Flow<T> =
    flow {
        var seen = 0UL
        while (true) {
            seen = openOrNull { nextChange(seen) } ?: return@flow
            emit(openOrNull { acrossRelease(look) } ?: return@flow)
        }
    }.distinctUntilChanged().conflate()
