package org.virtualchannels.viewmodel

import kotlinx.coroutines.test.runTest
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Test
import org.virtualchannels.ChannelInfo
import org.virtualchannels.ChannelState
import org.virtualchannels.NoHandle
import org.virtualchannels.Role
import org.virtualchannels.Wallet
import org.virtualchannels.WalletException
import org.virtualchannels.WalletInterface
import org.virtualchannels.WatchReport

/** A look at all channels. */
class LookingTest {
    /** A wallet with a channel for each state, of which some cannot be looked at. */
    private class FakeWallet(vararg states: ChannelState) : WalletInterface by Wallet(NoHandle) {
        private val channels = states.mapIndexed { number, state -> info(Role.PAYER, state).copy(id = "channel $number") }.toMutableList()
        val broken = mutableMapOf<String, WalletException>()
        val watched = mutableListOf<String>()

        override suspend fun channels(): List<ChannelInfo> = channels.toList()

        /** Whoever looks sees the channel closed. */
        override suspend fun watch(channelId: String): WatchReport {
            watched += channelId
            broken[channelId]?.let { throw it }
            channels.replaceAll { if (it.id == channelId) it.copy(state = ChannelState.CLOSED) else it }
            return WatchReport(channelId, ChannelState.CLOSED, 1u, unrolled = false, spentBy = null, operatorSeen = true)
        }
    }

    @Test
    fun aLookThatFailsHidesNoOtherChannel() = runTest {
        val wallet = FakeWallet(ChannelState.OPEN, ChannelState.OPEN, ChannelState.SETTLED, ChannelState.CLOSING, ChannelState.OPEN)
        val (away, gone) = WalletException.ChainUnreachable("http://127.0.0.1:1", "it is away") to WalletException.DatabaseBusy()
        wallet.broken["channel 0"] = away
        wallet.broken["channel 3"] = gone
        val list = ChannelListModel(wallet)
        list.refresh()
        assertEquals(listOf("channel 0", "channel 1", "channel 3", "channel 4"), wallet.watched, "all that have not ended")
        assertEquals(sentence(away), list.state.value.problem, "the first of the problems")
        assertEquals(listOf("channel 0"), open(list), "the youngest and the second are closed in the list, too")

        wallet.broken.clear()
        list.refresh()
        assertNull(list.ok().problem)
        assertEquals(listOf<String>(), open(list))
    }

    private fun open(list: ChannelListModel): List<String>? = list.state.value.rows?.filter { it.isOpen }?.map { it.id }
}
