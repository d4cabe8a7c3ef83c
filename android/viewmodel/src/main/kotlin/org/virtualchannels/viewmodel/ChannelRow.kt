package org.virtualchannels.viewmodel

import java.text.SimpleDateFormat
import java.util.Date
import java.util.Locale
import java.util.TimeZone
import org.virtualchannels.ChannelInfo
import org.virtualchannels.ChannelState
import org.virtualchannels.Role
import org.virtualchannels.Sats
import org.virtualchannels.TimeUnit

/** What can be done with a channel from the list. */
enum class ChannelAction(
    /** What the button says. */
    val title: String,
) {
    /** Looks at chain and operator. */
    LOOK("Look again"),

    /** Receiver: closes it at its latest payment. */
    CLOSE("Close"),

    /** Moves what it left into a batch. */
    SETTLE("Settle"),

    /** Payer: takes it back, after its locktime. */
    REFUND("Take back"),
}

/** A channel as a line of a list. */
data class ChannelRow(
    /** The channel's whole id. */
    val id: String,
    /** Enough of the id to tell channels apart. */
    val shortId: String,
    /** Whether this wallet pays or is paid in it. */
    val role: Role,
    /** Whether payments can be made or taken. */
    val isOpen: Boolean,
    /** What state it is in, in words. */
    val state: String,
    /** All that has been paid in it. */
    val paid: Sats,
    /** What can still be paid. */
    val remaining: Sats,
    /** The most that can ever be paid in it. */
    val capacity: Sats,
    /** What ends when, in words; null where nothing does any more. */
    val deadline: String?,
    /** What to do next, in words. */
    val next: String,
    /** The buttons, the most likely one first. */
    val actions: List<ChannelAction>,
)

internal fun ChannelInfo.row(): ChannelRow {
    val (next, actions) = advice()
    return ChannelRow(
        id = id,
        shortId = id.take(8),
        role = role,
        isOpen = state == ChannelState.OPEN,
        state = state.words,
        paid = amount,
        remaining = remaining,
        capacity = capacity,
        deadline = deadline(),
        next = next,
        actions = actions,
    )
}

/** The state, as people say it. */
internal val ChannelState.words: String
    get() = when (this) {
        ChannelState.CONFIRMING -> "waits for confirmation"
        ChannelState.OPEN -> "open"
        ChannelState.CLOSING -> "is being closed"
        ChannelState.CLOSED -> "closed, not final yet"
        ChannelState.SETTLED -> "settled"
        ChannelState.REFUNDING -> "is being taken back"
        ChannelState.REFUNDED -> "taken back"
        ChannelState.EXITING -> "on its way on chain"
        ChannelState.LOST -> "lost"
    }

private fun ChannelInfo.deadline(): String? = when (state) {
    ChannelState.CONFIRMING, ChannelState.OPEN ->
        if (role == Role.RECEIVER) {
            "close before ${moment(closeBy, unit)}"
        } else {
            "pays until ${moment(closeBy, unit)}, can be taken back from ${moment(locktime, unit)}"
        }
    ChannelState.CLOSING -> "close before ${moment(closeBy, unit)}"
    ChannelState.REFUNDING, ChannelState.CLOSED -> "settle before ${moment(expiry, unit)}"
    ChannelState.EXITING -> "must be on chain by ${moment(exitBy, unit)}"
    ChannelState.SETTLED, ChannelState.REFUNDED, ChannelState.LOST -> null
}

private fun ChannelInfo.advice(): Pair<String, List<ChannelAction>> {
    val receiver = role == Role.RECEIVER
    if (awaitsUpdate) return restored(receiver)
    return when (state) {
        ChannelState.CONFIRMING -> "Wait for the block that confirms it" to listOf(ChannelAction.LOOK)
        ChannelState.OPEN -> when {
            !receiver -> "Pay, or take it back after its locktime" to listOf(ChannelAction.LOOK, ChannelAction.REFUND)
            amount == Sats.ZERO -> "Scan a payment" to listOf(ChannelAction.LOOK)
            else -> "Scan payments, and close in time" to listOf(ChannelAction.CLOSE, ChannelAction.LOOK)
        }
        ChannelState.CLOSING ->
            if (receiver) {
                "Go on closing" to listOf(ChannelAction.CLOSE, ChannelAction.LOOK)
            } else {
                "The receiver is closing it" to listOf(ChannelAction.LOOK)
            }
        ChannelState.CLOSED ->
            (if (receiver) "Settle, so that the money is final" else "Settle, so that the rest is final") to
                listOf(ChannelAction.SETTLE, ChannelAction.LOOK)
        ChannelState.REFUNDING -> "Go on taking it back" to listOf(ChannelAction.REFUND, ChannelAction.LOOK)
        ChannelState.REFUNDED -> "Settle, so that the money is final" to listOf(ChannelAction.SETTLE)
        ChannelState.EXITING -> "Look at it again after the next blocks" to listOf(ChannelAction.LOOK)
        ChannelState.SETTLED, ChannelState.LOST -> "Nothing" to emptyList()
    }
}

/** Out of a backup, which knows no payment. */
private fun restored(receiver: Boolean): Pair<String, List<ChannelAction>> =
    if (receiver) {
        "Scan the payer's latest payment: until then nothing in it is yours" to listOf(ChannelAction.LOOK)
    } else {
        "Scan the latest payment that the receiver shows, then pay" to listOf(ChannelAction.LOOK, ChannelAction.REFUND)
    }

/** A moment in words: a date, or a height where the operator counts in blocks. */
internal fun moment(value: ULong, unit: TimeUnit): String = when (unit) {
    TimeUnit.BLOCKS -> "block $value"
    // java.time is not on Android 7, and a formatter is no thing to be shared by threads.
    TimeUnit.SECONDS ->
        SimpleDateFormat("yyyy-MM-dd HH:mm 'UTC'", Locale.ROOT)
            .apply { timeZone = TimeZone.getTimeZone("UTC") }
            .format(Date(value.coerceAtMost(LATEST).toLong() * 1_000))
}

/** As milliseconds it still fits. */
private const val LATEST: ULong = 1_000_000_000_000_000UL
