package org.virtualchannels.sample.screens

import android.content.Context
import kotlinx.coroutines.flow.combine
import kotlinx.coroutines.launch
import org.virtualchannels.Role
import org.virtualchannels.Sats
import org.virtualchannels.sample.Models
import org.virtualchannels.sample.SampleApp
import org.virtualchannels.viewmodel.ChannelAction
import org.virtualchannels.viewmodel.ChannelRow
import org.virtualchannels.viewmodel.ReceiverModel
import org.virtualchannels.viewmodel.ReceiverScreen
import org.virtualchannels.viewmodel.ReceiverState

/** The receiver: invites, takes payments, closes. */
class ReceiveScreen(context: Context, private val app: SampleApp, private val models: Models) : Screen {
    private val model = models.receiver
    private val column = Column(context)
    private val memo = Column.field(context, "What for")
    override val view = Column.scrolling(column)

    override suspend fun follow() = combine(model.state, models.channels.state, ::Pair).collect { (state, list) ->
        show(state, list.rows.orEmpty().filter { it.role == Role.RECEIVER && it.paid > Sats.ZERO })
    }

    private fun show(state: ReceiverState, earning: List<ChannelRow>) = column.renew {
        status(state)
        when (val screen = state.screen) {
            ReceiverScreen.Scan -> scan(earning)
            is ReceiverScreen.Invite -> {
                text("Show this to the payer, and take its offer")
                show(screen.text)
                scanner { act { scanned(it) } }
            }
            is ReceiverScreen.Accept -> {
                text("Show this to the payer now, and stay online")
                show(screen.text)
            }
            is ReceiverScreen.Opened -> text("The channel ${screen.channel.take(8)} is open")
            is ReceiverScreen.Received -> {
                text("Received ${screen.increase}, in all ${screen.total}")
                screen.memo?.let { text("“$it”") }
            }
            is ReceiverScreen.CatchUp -> {
                text("The payer's phone has lost a payment. Let it take this, and pay again")
                show(screen.text)
            }
            is ReceiverScreen.Receipt -> {
                text("Show this to the payer: its payments are shorter from then on")
                show(screen.text)
            }
            is ReceiverScreen.Closed -> {
                text("Closed. Settle, so that the money is final")
                button("Settle") { act { settle() } }
            }
        }
        state.settled?.let { text("Settled ${it.amount}") }
        if (state.screen != ReceiverScreen.Scan) button("Done") { model.next() }
    }

    private fun Column.scan(earning: List<ChannelRow>) {
        scanner { act { scanned(it) } }
        put(memo)
        button("Invite a payer") { act { invite(memo.text.toString().ifBlank { null }) } }
        for (channel in earning) {
            if (channel.isOpen) button("Receipt for ${channel.paid} in ${channel.shortId}") { act { receipt(channel.id) } }
            if (ChannelAction.CLOSE in channel.actions) button("Close ${channel.shortId}") { act { close(channel.id) } }
        }
    }

    private fun act(action: suspend ReceiverModel.() -> Unit) {
        app.scope.launch { model.action() }
    }
}
