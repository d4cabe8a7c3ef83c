package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** Out of Ark without the operator: what is owned becomes money on chain. Each story has an operator of its own, to stop it. */
class ExitTest {
    @TempDir
    lateinit var folder: Path

    /** Nothing needs the operator any more once the channel is open and paid in. */
    @Test
    fun theReceiverLeavesWithTheOperatorDead() = inAWorld { world ->
        val (payer, receiver, friend) = listOf("payer", "receiver", "friend").map { world.wallet(it) }
        world.enrich(payer, FUNDING)
        val channel = world.open(payer, receiver, CAPACITY)
        receiver.receive(payer.pay(channel, PAID, "one").text)
        world.regtest.operator("stop")

        val quote = receiver.exitQuote(channel)
        assertEquals(PAID to Sats.ZERO, quote.claimed to quote.has)
        assertTrue(quote.missing > Sats.ZERO && quote.levels > 0u && quote.net < PAID, "$quote")
        val poor = receiver.exitChannel(channel)
        assertEquals(Triple(channel, ExitReason.ASKED, PAID), Triple(poor.channelId, poor.reason, poor.amount))
        val problem = poor.problem as ExitProblem.NeedsFees
        assertEquals(receiver.onchainAddress(), problem.address)
        assertEquals(ChannelState.EXITING, receiver.channel(channel).state)
        assertTrue(kinds(receiver).any { it is EventKind.ExitNeedsFees && it.address == problem.address })

        bringFees(world, receiver)
        val left = leave(world, receiver)
        assertEquals(ChannelState.SETTLED, receiver.channel(channel).state)
        assertEquals(left.claimTxid, receiver.channel(channel).resultTxid)
        val claimed = kinds(receiver).filterIsInstance<EventKind.ExitClaimed>()
        assertEquals(listOf(EventKind.ExitClaimed(left.outpoint, left.claimTxid!!, left.amount)), claimed)
        assertEquals(listOf<ExitInfo>(), receiver.exits())
        sendAllTo(world, receiver, friend, atLeast = FEES + quote.net - 500.sats)
        listOf(payer, receiver, friend).forEach { it.closeAndWait() }
    }

    /** The wallet's own coins, by the branches that it has stored. */
    @Test
    fun ownCoins() = inAWorld { world ->
        world.wallet("wallet").use { wallet ->
            world.enrich(wallet, FUNDING)
            bringFees(world, wallet)
            world.regtest.operator("stop")
            val begun = wallet.exitCoins().single()
            assertEquals(null to FUNDING, begun.channelId to begun.amount)
            val left = leave(world, wallet)
            assertTrue(left.amount > FUNDING - 1_000.sats && left.amount < FUNDING, "${left.amount}")
            assertTrue(wallet.onchainBalance().confirmed > FUNDING)
        }
    }

    /** The payer puts the channel on chain; the receiver's app stays closed, and its background job answers in time. */
    @Test
    fun maintenanceAlone() = inAWorld { world ->
        val (payer, words) = world.wallet("payer") to generateMnemonic()
        world.enrich(payer, FUNDING)
        bringFees(world, payer)
        val channel = VirtualChannels.open(world.config("receiver"), words).use { receiver ->
            val channel = world.open(payer, receiver, CAPACITY)
            receiver.receive(payer.pay(channel, PAID, "one").text)
            // What came of the opening is not what is told later.
            kinds(receiver)
            channel
        }
        payer.exitChannel(channel)
        while (payer.continueExits().first { it.channelId == channel }.stage is ExitStage.Unrolling) world.regtest.mine(1)

        val stages = mutableListOf<ExitStage>()
        while (stages.lastOrNull() !is ExitStage.Done) {
            check(stages.size < ROUNDS) { "$ROUNDS runs are not enough: $stages" }
            val done = Maintenance.run(world.config("receiver")) { words } as MaintenanceOutcome.Done
            val exit = done.report.exits.single()
            assertEquals(channel to ExitReason.UNROLLED, exit.channelId to exit.reason)
            assertTrue(exit.stage is ExitStage.Done || done.report.nextRun != null, "it comes back while it is under way")
            stages += exit.stage
            goOn(world, exit.stage)
        }
        assertTrue(stages.any { it is ExitStage.Waiting }, "$stages")
        VirtualChannels.open(world.config("receiver"), words).use { receiver ->
            assertEquals(ChannelState.SETTLED, receiver.channel(channel).state)
            val told = kinds(receiver)
            assertEquals(1, told.count { it == EventKind.ChannelUnrolled }, "$told")
            val claimed = told.filterIsInstance<EventKind.ExitClaimed>().single()
            // The claim paid for itself: there were no other coins.
            assertEquals(claimed.amount, receiver.onchainBalance().confirmed)
            assertTrue(claimed.amount > PAID - 1_500.sats && claimed.amount < PAID, "$claimed")
        }
        payer.closeAndWait()
    }

    /** One exit, as far as it goes now, and the chain a little further, until the money is there. */
    private suspend fun leave(world: World, wallet: Wallet): ExitInfo {
        repeat(ROUNDS) {
            val exit = wallet.continueExits().single()
            assertEquals(null, exit.problem)
            check(exit.stage != ExitStage.Lost) { "$exit" }
            if (exit.stage == ExitStage.Done) return exit
            goOn(world, exit.stage)
        }
        error("$ROUNDS rounds are not enough: ${wallet.exits()}")
    }

    private fun goOn(world: World, stage: ExitStage) = world.regtest.mine(if (stage is ExitStage.Waiting) A_WHILE else 1)

    private suspend fun bringFees(world: World, wallet: Wallet) {
        world.regtest.pay(wallet.onchainAddress(), FEES)
        world.regtest.mine(1)
        eventually("the coins for fees") { wallet.onchainBalance().confirmed == FEES }
    }

    private suspend fun sendAllTo(world: World, wallet: Wallet, friend: Wallet, atLeast: Sats) {
        val address = friend.onchainAddress()
        val quote = wallet.quoteOnchain(address)
        assertTrue(quote.amount > atLeast, "$quote")
        assertEquals(64, wallet.sendOnchain(address).length)
        world.regtest.mine(1)
        eventually("what was sent") { friend.onchainBalance().confirmed == quote.amount }
        assertEquals(OnchainBalance(Sats.ZERO, Sats.ZERO), wallet.onchainBalance())
    }

    /** What waits to be dealt with, and is dealt with. */
    private suspend fun kinds(wallet: Wallet): List<EventKind> {
        val events = wallet.pendingEvents(100u)
        events.mapNotNull { it.token }.forEach { wallet.acknowledgeEvent(it) }
        return events.map { it.kind }
    }

    private fun inAWorld(story: suspend (World) -> Unit) = runBlocking<Unit> {
        RegtestProcess.start("--unit", "block", "--session", "1").use { story(World(it, folder)) }
    }

    private companion object {
        val FUNDING = 100_000.sats
        val CAPACITY = 50_000.sats
        val PAID = 12_000.sats
        val FEES = 20_000.sats
        const val ROUNDS = 60

        /** Blocks of a wait. */
        const val A_WHILE = 5
    }
}
