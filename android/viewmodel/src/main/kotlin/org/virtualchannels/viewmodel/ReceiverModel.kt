package org.virtualchannels.viewmodel

import org.virtualchannels.Acceptance
import org.virtualchannels.ChannelState
import org.virtualchannels.InviteRequest
import org.virtualchannels.Parsed
import org.virtualchannels.Sats
import org.virtualchannels.Settlement
import org.virtualchannels.WalletException
import org.virtualchannels.WalletInterface

/** Which of the receiver's screens is on. Texts to be shown are in upper case, which makes the smallest QR codes. */
sealed interface ReceiverScreen {
    /** Waits for an offer or a payment to be scanned. */
    data object Scan : ReceiverScreen

    /** Show [text] as a QR code to the payer, and then scan the offer. [memo] is what is written on it. */
    data class Invite(
        /** The invite. */
        val text: String,
        /** What is written on it. */
        val memo: String?,
    ) : ReceiverScreen

    /** Show [text] as a QR code to the payer at once: it is good until [validUntil] (unix seconds), while both are online. */
    data class Accept(
        /** The accept. */
        val text: String,
        /** Until when it is good, in unix seconds. */
        val validUntil: ULong,
    ) : ReceiverScreen

    /** A channel that was funded off chain: it takes payments. */
    data class Opened(
        /** The channel. */
        val channel: String,
    ) : ReceiverScreen

    /** A payment: what it brought, and all so far. Nothing new where it was scanned before. */
    data class Received(
        /** The channel. */
        val channel: String,
        /** What it brought. */
        val increase: Sats,
        /** All so far. */
        val total: Sats,
        /** What the payer wrote on it. */
        val memo: String?,
    ) : ReceiverScreen

    /** The payer shows an old payment. Let it scan this one, and pay again. */
    data class CatchUp(
        /** The latest payment, for the payer's wallet. */
        val text: String,
    ) : ReceiverScreen

    /** Show [text] as a QR code to the payer: its payments are shorter from then on. */
    data class Receipt(
        /** The receipt. */
        val text: String,
    ) : ReceiverScreen

    /** Closed by this ark transaction; settling makes the money final. */
    data class Closed(
        /** The channel. */
        val channel: String,
        /** The ark transaction. */
        val txid: String,
    ) : ReceiverScreen
}

/** What the receiver's screen shows. */
data class ReceiverState(
    /** Which of the receiver's screens is on. */
    val screen: ReceiverScreen = ReceiverScreen.Scan,
    /** What the last settling brought. */
    val settled: Settlement? = null,
    override val problem: String? = null,
    override val busy: Boolean = false,
) : ScreenState<ReceiverState> {
    override fun marked(problem: String?, busy: Boolean): ReceiverState = copy(problem = problem, busy = busy)
}

/**
 * The receiver's screens: invite, take payments, close.
 *
 * Everything of worth is in the wallet, nothing in the model: one that is thrown away at any moment and made again goes on.
 */
class ReceiverModel(private val wallet: WalletInterface) : Model<ReceiverState>(ReceiverState()) {
    /** Makes an invite for one channel. Pressed again with the same memo while it is shown, the same one stays. */
    suspend fun invite(memo: String? = null) = act("invite") {
        val shown = state.value.screen
        if (shown is ReceiverScreen.Invite && shown.memo == memo) return@act
        val text = wallet.createInvite(InviteRequest(memo = memo))
        show(ReceiverScreen.Invite(text.uppercase(), memo))
    }

    /** Takes whatever the scanner has read: an offer or a payment. */
    suspend fun scanned(text: String) = act("scanned") {
        val read = text.trim()
        when (wallet.parse(read)) {
            is Parsed.Offer -> accept(read)
            is Parsed.Payment -> receive(read)
            is Parsed.Invite -> throw Problem("This is an invite: the payer scans it. $RECEIVER_SCANS")
            is Parsed.Accept -> throw Problem("This is an accept: the payer scans it. $RECEIVER_SCANS")
            is Parsed.Receipt -> throw Problem("This is a receipt: the payer scans it. $RECEIVER_SCANS")
            is Parsed.CloseRequest, is Parsed.CloseGrant ->
                throw Problem("This closes a channel together, which this app does alone. $RECEIVER_SCANS")
            is Parsed.Backup -> throw Problem("This is a backup: it is for setting up a wallet again")
            is Parsed.ArkAddress, is Parsed.ChainAddress -> throw Problem("This is an address. $RECEIVER_SCANS")
        }
    }

    /** Makes a receipt of all that was received in the channel. */
    suspend fun receipt(channel: String, memo: String? = null) = act("receipt") {
        show(ReceiverScreen.Receipt(wallet.receipt(channel, memo).uppercase()))
    }

    /** Closes the channel at its latest payment. Of one that is closed it shows how it was. */
    suspend fun close(channel: String) = act("close") {
        val known = wallet.channel(channel)
        val closed = known.resultTxid.takeIf { known.state == ChannelState.CLOSED || known.state == ChannelState.SETTLED }
        show(ReceiverScreen.Closed(channel, closed ?: wallet.closeChannel(channel)))
    }

    /** Moves what was received into a batch: from then on it is final. Takes as long as the operator's next batch. */
    suspend fun settle() = act("settle") {
        val settlement = wallet.settleAfter(state.value.settled)
        change { it.copy(settled = settlement) }
    }

    /** Back to the scanner. */
    fun next() = show(ReceiverScreen.Scan)

    private suspend fun accept(offer: String) = when (val answer = wallet.accept(offer)) {
        is Acceptance.Accepted -> show(ReceiverScreen.Accept(answer.accept.uppercase(), answer.validUntil))
        is Acceptance.Open -> show(ReceiverScreen.Opened(answer.channelId))
    }

    private suspend fun receive(payment: String) {
        try {
            val taken = wallet.receive(payment)
            show(ReceiverScreen.Received(taken.channelId, taken.increase, taken.amount, taken.memo))
        } catch (old: WalletException.Stale) {
            show(ReceiverScreen.CatchUp(old.storedPayment.uppercase()))
            throw old
        } catch (forked: WalletException.Forked) {
            show(ReceiverScreen.CatchUp(forked.storedPayment.uppercase()))
            throw forked
        }
    }

    private fun show(screen: ReceiverScreen) = change { it.copy(screen = screen) }

    private companion object {
        const val RECEIVER_SCANS = "A receiver scans the payer's offer or payment"
    }
}
