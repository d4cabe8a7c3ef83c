package org.virtualchannels.viewmodel

import java.util.UUID
import org.virtualchannels.FundingChoice
import org.virtualchannels.Parsed
import org.virtualchannels.Payment
import org.virtualchannels.ProposeRequest
import org.virtualchannels.Quote
import org.virtualchannels.Role
import org.virtualchannels.Sats
import org.virtualchannels.WalletException
import org.virtualchannels.WalletInterface

/** An invite that was scanned. */
data class ScannedInvite(
    /** The invite itself. */
    val text: String,
    /** What the receiver wrote on it. */
    val memo: String?,
    /** The smallest channel the receiver takes. */
    val minimum: Sats,
    /** The largest channel the receiver takes. */
    val maximum: Sats,
)

/** Which of the payer's screens is on. Texts to be shown are in upper case, which makes the smallest QR codes. */
sealed interface PayerScreen {
    /** Waits for an invite, an accept or a receipt to be scanned. */
    data object Scan : PayerScreen

    /** Asks for the capacity. [quote] is that of the [capacity] asked for last. */
    data class Invite(
        /** What was scanned. */
        val invite: ScannedInvite,
        /** What was asked for last. */
        val capacity: Sats? = null,
        /** What that would cost. */
        val quote: Quote? = null,
    ) : PayerScreen

    /** Show [text] as a QR code to the receiver. A channel funded off chain is there already. */
    data class Offer(
        /** The offer. */
        val text: String,
        /** The channel, where it is funded off chain. */
        val channel: String?,
    ) : PayerScreen

    /** The channel is there, and takes payments once it is open. */
    data class Opened(
        /** The channel. */
        val channel: String,
    ) : PayerScreen

    /** Show [text] as a QR code to the receiver. [paid] is all so far, [remaining] what can still be paid. */
    data class Paid(
        /** The channel. */
        val channel: String,
        /** The payment. */
        val text: String,
        /** All that was paid so far. */
        val paid: Sats,
        /** What can still be paid. */
        val remaining: Sats,
    ) : PayerScreen
}

/** What the payer's screen shows. */
data class PayerState(
    /** Which of the payer's screens is on. */
    val screen: PayerScreen = PayerScreen.Scan,
    /** Good news to be shown once, such as that a receipt was right. */
    val notice: String? = null,
    /** The id of the next payment. It stays the same until [PayerModel.next]: who presses twice pays once. */
    val paymentId: String = UUID.randomUUID().toString(),
    override val problem: String? = null,
    override val busy: Boolean = false,
) : ScreenState<PayerState> {
    override fun marked(problem: String?, busy: Boolean): PayerState = copy(problem = problem, busy = busy)
}

/**
 * The payer's screens: scan an invite, open a channel, pay.
 *
 * Everything of worth is in the wallet, nothing in the model: one that is thrown away at any moment and made again goes on.
 */
class PayerModel(private val wallet: WalletInterface) : Model<PayerState>(PayerState()) {
    /**
     * Takes whatever the scanner has read: an invite, an accept, a receipt, or the latest payment that a receiver shows to a payer
     * that lost some.
     */
    suspend fun scanned(text: String) = act("scanned") {
        val read = text.trim()
        when (val parsed = wallet.parse(read)) {
            is Parsed.Invite ->
                show(PayerScreen.Invite(ScannedInvite(read, parsed.memo, parsed.minCapacity, parsed.maxCapacity)))
            is Parsed.Accept -> open(read)
            is Parsed.Receipt -> {
                wallet.acknowledge(read)
                tell("The receiver confirms ${parsed.amount}")
            }
            is Parsed.Payment -> catchUp(parsed.channelId, read)
            is Parsed.Offer -> throw Problem("This is an offer: the receiver scans it. A payer scans the receiver's invite or accept")
            is Parsed.CloseRequest, is Parsed.CloseGrant ->
                throw Problem("This closes a channel together, which this app leaves to the receiver")
            is Parsed.Backup -> throw Problem("This is a backup: it is for setting up a wallet again")
            is Parsed.ArkAddress, is Parsed.ChainAddress ->
                throw Problem("This is an address. A payer scans the receiver's invite to open a channel")
        }
    }

    /** Asks what a channel of this capacity would cost, and how long it would take payments. Spends nothing. */
    suspend fun quote(capacity: Sats, funding: FundingChoice = FundingChoice.Batch) = act("quote") {
        val screen = state.value.screen as? PayerScreen.Invite ?: throw Problem("Scan an invite first")
        val asked = PayerScreen.Invite(screen.invite, capacity)
        show(asked)
        val quote = wallet.quoteOpen(screen.invite.text, ProposeRequest(capacity, funding))
        // The figures may have been changed meanwhile.
        change { if (it.screen == asked) it.copy(screen = asked.copy(quote = quote)) else it }
    }

    /**
     * Makes the offer for the capacity that was quoted. Off chain the channel is funded with that; in a batch nothing is spent
     * yet.
     */
    suspend fun propose(funding: FundingChoice = FundingChoice.Batch) = act("propose") {
        val screen = state.value.screen
        // Pressed again, the offer is on the screen already.
        if (screen is PayerScreen.Offer) return@act
        val invite = screen as? PayerScreen.Invite
        val capacity = invite?.capacity ?: throw Problem("Choose a capacity first")
        val proposal = wallet.propose(invite.invite.text, ProposeRequest(capacity, funding))
        show(PayerScreen.Offer(proposal.offer.uppercase(), proposal.channelId))
    }

    /** Shows the offer of a channel funded off chain again, for a receiver that has not got it: also after a restart. */
    suspend fun showOffer(channel: String) = act("showOffer") {
        show(PayerScreen.Offer(wallet.offer(channel).uppercase(), channel))
    }

    /**
     * Pays, offline. Pressed again, it shows the same payment; [next] comes before another one.
     *
     * @param channel its id.
     * @param amount what is added to what has been paid.
     * @param memo what the receiver reads beside it.
     * @param paymentId for an app that had kept [PayerState.paymentId] when it was killed, and does not know whether that payment
     *   was made. Only the wallet's own file knows it: after a restore a kept id pays once more.
     */
    suspend fun pay(channel: String, amount: Sats, memo: String? = null, paymentId: String? = null) = act("pay") {
        paymentId?.let { kept -> change { it.copy(paymentId = kept) } }
        show(wallet.pay(channel, amount, state.value.paymentId, memo))
    }

    /** Shows the latest payment again, for a receiver that has not got it: also after a restart. */
    suspend fun showLatest(channel: String) = act("showLatest") { show(wallet.latestUpdate(channel)) }

    /** The payment was handed over: what is paid from now on is another one. */
    fun next() = change { it.copy(screen = PayerScreen.Scan, notice = null, paymentId = UUID.randomUUID().toString()) }

    private suspend fun open(accept: String) {
        val channel = try {
            wallet.openChannel(accept)
        } catch (_: WalletException.NotFound) {
            throw Problem("No offer waits for this accept. Perhaps its channel is open already: look at the list of channels")
        }
        show(PayerScreen.Opened(channel))
    }

    /** The receiver has a later payment than this wallet: one of its own, from a phone or a database that is gone. */
    private suspend fun catchUp(channel: String, text: String) {
        val own = wallet.channels().any { it.id == channel && it.role == Role.PAYER }
        if (!own) throw Problem("This is a payment: the receiver scans it. A payer scans the receiver's invite or accept")
        tell("The next payment goes on from ${wallet.catchUp(text)}")
    }

    private fun show(payment: Payment) =
        show(PayerScreen.Paid(payment.channelId, payment.text.uppercase(), payment.amount, payment.remaining))

    private fun show(screen: PayerScreen) = change { it.copy(screen = screen, notice = null) }

    private fun tell(notice: String) = change { it.copy(notice = notice) }
}
