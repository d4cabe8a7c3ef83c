package org.virtualchannels

import java.nio.file.Path
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** One mnemonic on two phones, each with a file of its own. */
class TwoPhonesTest {
    @TempDir
    lateinit var folder: Path

    private suspend fun told(wallet: Wallet): List<EventKind.SeedUsedElsewhere> {
        val events = wallet.pendingEvents(100u)
        events.mapNotNull { it.token }.forEach { wallet.acknowledgeEvent(it) }
        return events.mapNotNull { it.kind as? EventKind.SeedUsedElsewhere }
    }

    @Test
    fun whatTheOtherPhoneSpent() = runBlocking<Unit> {
        val world = World(World.shared, folder)
        val words = generateMnemonic()
        val friend = world.wallet("friend")
        val (first, second) = listOf("first", "second").map { VirtualChannels.open(world.config(it), words) }
        world.enrich(friend, 60_000.sats)
        assertEquals(first.arkAddress(), second.arkAddress(), "both count their keys from the start")
        friend.send(first.arkAddress(), 20_000.sats)
        for (phone in listOf(first, second)) eventually("the coin") { phone.balance().preconfirmed == 20_000.sats }
        val spentBy = first.send(friend.arkAddress(), 5_000.sats)
        val noticed = mutableListOf<EventKind.SeedUsedElsewhere>()
        eventually("the second phone to notice") {
            second.balance()
            noticed += told(second)
            noticed.isNotEmpty()
        }
        assertEquals(spentBy, noticed.single().spentBy)
        assertEquals(64, noticed.single().outpoint.substringBefore(":").length)
        // Once, and never by the phone that did it.
        repeat(2) { second.balance(); first.balance() }
        assertEquals(listOf<EventKind>() to listOf<EventKind>(), told(second) to told(first))
        listOf(first, second, friend).forEach { it.closeAndWait() }
    }
}
