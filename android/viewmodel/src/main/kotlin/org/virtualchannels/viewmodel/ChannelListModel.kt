package org.virtualchannels.viewmodel

import org.virtualchannels.ChannelInfo
import org.virtualchannels.ChannelState
import org.virtualchannels.Settlement
import org.virtualchannels.WalletException
import org.virtualchannels.WalletInterface
import org.virtualchannels.channelStates

/** What the list of channels shows. */
data class ChannelListState(
    /** The channels, the youngest first; null until they are known. */
    val rows: List<ChannelRow>? = null,
    override val problem: String? = null,
    override val busy: Boolean = false,
) : ScreenState<ChannelListState> {
    override fun marked(problem: String?, busy: Boolean): ChannelListState = copy(problem = problem, busy = busy)
}

/** The list of all channels, and what can be done with one. It shows nothing yet; [follow] fills it. */
class ChannelListModel(private val wallet: WalletInterface) : Model<ChannelListState>(ChannelListState()) {
    @Volatile
    private var settled: Settlement? = null

    /**
     * Keeps the rows as the wallet has them until the coroutine is cancelled or the wallet shut down: launch it while the screen
     * is shown.
     */
    suspend fun follow() = accompany { wallet.channelStates().collect { show(it) } }

    /** Looks at chain and operator for every channel that has not ended. */
    suspend fun refresh() = act("refresh") {
        show(wallet.channels())
        try {
            wallet.watchAll()
        } finally {
            // What was seen of the others is shown all the same.
            show(wallet.channels())
        }
    }

    /** Does what one of a row's buttons says. */
    suspend fun act(action: ChannelAction, channel: String) = act("$action $channel") {
        when (action) {
            ChannelAction.LOOK -> wallet.watch(channel)
            ChannelAction.CLOSE -> wallet.closeChannel(channel)
            ChannelAction.REFUND -> wallet.refund(channel)
            ChannelAction.SETTLE -> {
                settled = wallet.settleAfter(settled)
                wallet.watch(channel)
            }
        }
        show(wallet.channels())
    }

    private fun show(channels: List<ChannelInfo>) = change { state -> state.copy(rows = channels.asReversed().map { it.row() }) }
}

private val ENDED = setOf(ChannelState.SETTLED, ChannelState.REFUNDED, ChannelState.LOST)

/** Looks at every channel that has not ended; one that cannot be looked at keeps none from its turn. Throws the first problem. */
internal suspend fun WalletInterface.watchAll() {
    var problem: WalletException? = null
    for (channel in channels().filterNot { it.state in ENDED }) {
        try {
            watch(channel.id)
        } catch (failure: WalletException) {
            problem = problem ?: failure
        }
    }
    problem?.let { throw it }
}
