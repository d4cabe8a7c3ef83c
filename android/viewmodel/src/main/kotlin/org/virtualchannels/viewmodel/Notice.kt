package org.virtualchannels.viewmodel

import org.virtualchannels.Event
import org.virtualchannels.EventKind
import org.virtualchannels.Sats

/** Something that a person must act upon. It stays, also when the app is killed, until it is dismissed ([WalletModel.dismiss]). */
data class Notice(
    /** The token of the library's event. */
    val id: String,
    /** The channel it is about, if it is about one. */
    val channelId: String?,
    /** What happened, as the library says it. */
    val kind: EventKind,
    /** What happened and what to do, in sentences for people. */
    val text: String,
    /** Set where fees are to be paid. */
    val fees: Fees?,
) {
    /** What is missing for the fees of an exit, and where it is to be paid to. */
    data class Fees(
        /** How much is missing. */
        val missing: Sats,
        /** The address of this wallet, on chain. */
        val address: String,
    )

    internal companion object {
        /** Null for events that ask nothing of a person: good news, and what passes by itself. */
        fun of(event: Event): Notice? {
            val token = event.token ?: return null
            val kind = event.kind
            val text = when (kind) {
                is EventKind.ExitNeedsFees ->
                    "Leaving on chain costs fees. Pay ${kind.missing} to ${kind.address}, and it goes on by itself."
                is EventKind.SeedUsedElsewhere ->
                    "Somebody else uses your words: a coin was spent that this phone did not spend. If it was not you on another " +
                        "phone, move your money to a wallet with new words now."
                is EventKind.ChannelLost ->
                    "${kind.amount} of a channel can not be claimed any more: it was spent before this phone looked. Ask the other side."
                else -> return null
            }
            return Notice(token, event.channelId, kind, text, (kind as? EventKind.ExitNeedsFees)?.let { Fees(it.missing, it.address) })
        }
    }
}
