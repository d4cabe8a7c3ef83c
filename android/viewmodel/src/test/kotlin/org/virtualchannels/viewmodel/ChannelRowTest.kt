package org.virtualchannels.viewmodel

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.virtualchannels.ChannelInfo
import org.virtualchannels.ChannelState
import org.virtualchannels.FundingKind
import org.virtualchannels.Role
import org.virtualchannels.Sats
import org.virtualchannels.TimeUnit
import org.virtualchannels.sats

/** A channel in words. */
class ChannelRowTest {
    @Test
    fun whatTheReceiverShouldDo() {
        val states = ChannelState.entries.associateWith { info(Role.RECEIVER, it).row() }
        assertEquals(
            listOf(
                "waits for confirmation: Wait for the block that confirms it [LOOK] close before 2027-01-15 08:00 UTC",
                "open: Scan payments, and close in time [CLOSE, LOOK] close before 2027-01-15 08:00 UTC",
                "is being closed: Go on closing [CLOSE, LOOK] close before 2027-01-15 08:00 UTC",
                "closed, not final yet: Settle, so that the money is final [SETTLE, LOOK] settle before 2027-01-16 11:46 UTC",
                "settled: Nothing [] null",
            ),
            states.entries.filter { it.key in RECEIVERS }.map { line(it.value) },
        )
        assertEquals("Scan a payment", info(Role.RECEIVER, ChannelState.OPEN, Sats.ZERO).row().next)
    }

    @Test
    fun whatThePayerShouldDo() {
        val states = ChannelState.entries.map { info(Role.PAYER, it).row() }
        assertEquals(
            listOf(
                "waits for confirmation: Wait for the block that confirms it [LOOK] pays until 2027-01-15 08:00 UTC, can be taken back from 2027-01-15 10:46 UTC",
                "open: Pay, or take it back after its locktime [LOOK, REFUND] pays until 2027-01-15 08:00 UTC, can be taken back from 2027-01-15 10:46 UTC",
                "is being closed: The receiver is closing it [LOOK] close before 2027-01-15 08:00 UTC",
                "closed, not final yet: Settle, so that the rest is final [SETTLE, LOOK] settle before 2027-01-16 11:46 UTC",
                "settled: Nothing [] null",
                "is being taken back: Go on taking it back [REFUND, LOOK] settle before 2027-01-16 11:46 UTC",
                "taken back: Settle, so that the money is final [SETTLE] null",
                "on its way on chain: Look at it again after the next blocks [LOOK] must be on chain by 2027-01-15 21:53 UTC",
                "lost: Nothing [] null",
            ),
            states.map(::line),
        )
    }

    @Test
    fun outOfABackup() {
        val (payer, receiver) = listOf(Role.PAYER, Role.RECEIVER).map { info(it, ChannelState.OPEN, Sats.ZERO).copy(awaitsUpdate = true).row() }
        assertEquals("Scan the latest payment that the receiver shows, then pay" to listOf(ChannelAction.LOOK, ChannelAction.REFUND), payer.next to payer.actions)
        assertEquals("Scan the payer's latest payment: until then nothing in it is yours" to listOf(ChannelAction.LOOK), receiver.next to receiver.actions)
    }

    @Test
    fun theRest() {
        val row = info(Role.PAYER, ChannelState.OPEN).row()
        assertEquals("0123456789abcdef" to "01234567", row.id to row.shortId)
        assertEquals(listOf(300.sats, 700.sats, 1_000.sats), listOf(row.paid, row.remaining, row.capacity))
        assertTrue(row.isOpen)
        assertFalse(info(Role.PAYER, ChannelState.CLOSING).row().isOpen)
        assertEquals("block 812", moment(812u, TimeUnit.BLOCKS))
        // From outside, and no date at all.
        assertTrue(moment(ULong.MAX_VALUE, TimeUnit.SECONDS).endsWith("UTC"))
    }

    private fun line(row: ChannelRow) = "${row.state}: ${row.next} ${row.actions} ${row.deadline}"

    private companion object {
        val RECEIVERS = setOf(
            ChannelState.CONFIRMING, ChannelState.OPEN, ChannelState.CLOSING, ChannelState.CLOSED, ChannelState.SETTLED,
        )
    }
}

/** A channel, of which no test depends on more than it says. */
internal fun info(role: Role, state: ChannelState, amount: Sats = 300.sats) = ChannelInfo(
    id = "0123456789abcdef",
    role = role,
    state = state,
    fundingKind = FundingKind.BATCH,
    funding = "00".repeat(32) + ":0",
    unit = TimeUnit.SECONDS,
    capacity = 1_000.sats,
    amount = amount,
    highest = amount,
    remaining = 1_000.sats - amount,
    locktime = 1_800_010_000uL,
    expiry = 1_800_100_000uL,
    closeBy = 1_800_000_000uL,
    exitBy = 1_800_050_000uL,
    payerExitBy = 1_800_060_000uL,
    receiverDelay = 86_016uL,
    payerDelay = 172_032uL,
    takesMoneyUntil = null,
    levels = 2u,
    exitVbytes = 400uL,
    exitTime = 2uL,
    watchBy = null,
    awaitsUpdate = false,
    onClose = false,
    acknowledged = false,
    resultTxid = null,
    createdAt = 1_799_000_000uL,
)
