package org.virtualchannels.viewmodel

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir
import org.virtualchannels.FundingChoice
import org.virtualchannels.RegtestProcess

/** A channel off chain, and the payer that takes it back. */
class RefundTest {
    @TempDir
    lateinit var folder: Path

    /** With a regtest of its own: the chain's clock moves on by a day. */
    @Test
    fun afterTheLocktime() = RegtestProcess.start("--unit", "second", "--session", "1").use { regtest ->
        runBlocking<Unit> {
            val payer = App.start(folder.resolve("payer.db"), regtest)
            val receiver = App.start(folder.resolve("receiver.db"), regtest)
            payer.board()
            val offer = offer(payer, receiver, FundingChoice.Offchain)
            val channel = checkNotNull(payer.payer.shows<PayerScreen.Offer>().channel)
            // The receiver has not seen the offer when the payer's app is killed: it is shown again.
            val restarted = payer.killed()
            restarted.payer.showOffer(channel)
            assertEquals(PayerScreen.Offer(offer, channel), restarted.payer.ok().screen)
            receiver.receiver.scanned(offer)
            assertEquals(ReceiverScreen.Opened(channel), receiver.receiver.ok().screen)
            assertEquals("open", receiver.row(channel)?.state)

            restarted.channels.act(ChannelAction.REFUND, channel)
            val early = restarted.channels.state.value.problem
            assertTrue(early != null && early.startsWith("The locktime ") && early.endsWith("."), early)
            val locktime = checkNotNull(restarted.wallet.wallet).channel(channel).locktime.toLong()
            // The chain's clock is the median of eleven blocks.
            regtest.mine(1, locktime - System.currentTimeMillis() / 1_000 + 60)
            regtest.mine(11)
            restarted.channels.act(ChannelAction.REFUND, channel)
            val row = checkNotNull(restarted.channels.ok().rows).single()
            assertEquals("taken back", row.state)
            assertNull(row.deadline)
        }
    }
}
