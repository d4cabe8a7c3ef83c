package org.virtualchannels.sample.screens

import android.content.Context
import android.widget.EditText
import android.widget.Toast
import java.io.IOException
import kotlinx.coroutines.flow.combine
import kotlinx.coroutines.launch
import org.virtualchannels.FundingChoice
import org.virtualchannels.Role
import org.virtualchannels.Sats
import org.virtualchannels.sample.Asked
import org.virtualchannels.sample.Models
import org.virtualchannels.sample.SampleApp
import org.virtualchannels.sats
import org.virtualchannels.viewmodel.ChannelRow
import org.virtualchannels.viewmodel.PayerModel
import org.virtualchannels.viewmodel.PayerScreen
import org.virtualchannels.viewmodel.PayerState

/** The payer: scans an invite, opens a channel, pays. */
class PayScreen(context: Context, private val app: SampleApp, private val models: Models) : Screen {
    private val model = models.payer
    private val column = Column(context)
    private val amount = Column.amount(context, "sats")
    private val memo = Column.field(context, "What for")
    private val capacity = Column.amount(context, "Capacity in sats")
    override val view = Column.scrolling(column)

    override suspend fun follow() = combine(model.state, models.channels.state, ::Pair).collect { (state, list) ->
        show(state, list.rows.orEmpty().filter { it.role == Role.PAYER && it.isOpen })
    }

    private fun show(state: PayerState, open: List<ChannelRow>) = column.renew {
        status(state)
        state.notice?.let(::text)
        when (val screen = state.screen) {
            PayerScreen.Scan -> scan(open)
            is PayerScreen.Invite -> invite(screen)
            is PayerScreen.Offer -> {
                text("Show this to the receiver, and take its answer")
                show(screen.text)
                scanner { act { scanned(it) } }
            }
            is PayerScreen.Opened -> text("The channel ${screen.channel.take(8)} is made. It takes payments once it is confirmed")
            is PayerScreen.Paid -> {
                text("Show this to the receiver. Paid so far: ${screen.paid}; left: ${screen.remaining}")
                show(screen.text)
            }
        }
        if (state.screen != PayerScreen.Scan) button("Done") { done(state.screen) }
    }

    private fun Column.scan(open: List<ChannelRow>) {
        scanner { act { scanned(it) } }
        if (open.isEmpty()) return text("Scan a receiver's invite to open a channel")
        app.pending.load()?.let { asked ->
            button("Go on with the payment of ${asked.amount}") { act { pay(asked.channel, asked.amount, asked.memo, asked.paymentId) } }
            button("Forget that payment") {
                app.pending.forget(asked.paymentId)
                model.next()
            }
        }
        put(amount)
        put(memo)
        for (channel in open) {
            button("Pay in ${channel.shortId}: ${channel.remaining} left") {
                val note = memo.text.toString().ifBlank { null }
                amount.sats()?.let { payOnce(channel.id, it, note) }
            }
            if (channel.paid > Sats.ZERO) button("Show the latest payment again") { act { showLatest(channel.id) } }
        }
    }

    private fun Column.invite(screen: PayerScreen.Invite) {
        screen.invite.memo?.let(::text)
        text("The receiver takes channels of ${screen.invite.minimum} to ${screen.invite.maximum}")
        put(capacity)
        button("What would it cost?") { capacity.sats()?.let { act { quote(it) } } }
        val quote = screen.quote ?: return
        text("A channel of ${screen.capacity} costs ${quote.fee}. Whom to trust:")
        quote.trust.forEach { text("• $it") }
        button("Open it in the next batch") { act { propose() } }
        button("Open it at once, off chain") { act { propose(FundingChoice.Offchain) } }
    }

    private fun done(screen: PayerScreen) {
        if (screen is PayerScreen.Paid) app.pending.forget(model.state.value.paymentId)
        model.next()
    }

    private fun payOnce(channel: String, amount: Sats, memo: String?) = act {
        try {
            app.pending.keep(Asked(channel, amount, memo, state.value.paymentId))
        } catch (full: IOException) {
            return@act Toast.makeText(view.context, full.message, Toast.LENGTH_LONG).show()
        }
        pay(channel, amount, memo)
    }

    private fun act(action: suspend PayerModel.() -> Unit) {
        app.scope.launch { model.action() }
    }

    private fun EditText.sats(): Sats? = text.toString().toLongOrNull()?.takeIf { it > 0 }?.sats
}
