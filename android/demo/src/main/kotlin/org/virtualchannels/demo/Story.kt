package org.virtualchannels.demo

import java.nio.file.Path
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import org.virtualchannels.Sats
import org.virtualchannels.sats
import org.virtualchannels.viewmodel.PayerScreen
import org.virtualchannels.viewmodel.ReceiverScreen

private val FUNDING = 200_000.sats
private val CAPACITY = 100_000.sats
private val FIRST = 1_000.sats
private val EACH = 50.sats
private const val PAYMENTS = 100

/** What happens, step by step; every step is verified. All of it goes through the models that the sample app shows. */
class Story(private val place: Place, private val folder: Path, private val screen: Screen) {
    private var fees = Sats.ZERO

    /** From the first coins to money that is final on both sides. */
    suspend fun run() {
        screen.say("operator ${place.operator}, esplora ${place.esplora}")
        val payer = Phone.open(place, folder.resolve("payer.db"))
        val receiver = Phone.open(place, folder.resolve("receiver.db"))
        board(payer)
        val channel = open(payer, receiver)
        val paid = pay(payer, receiver, channel)
        close(payer, receiver, channel)
        settle(payer, receiver, channel, paid)
        for (phone in listOf(payer, receiver)) {
            phone.wallet.shutdown()
            phone.wallet.ok()
        }
    }

    private suspend fun board(payer: Phone) {
        screen.step("1. the payer boards: coins on chain become a settled VTXO")
        val address = payer.wallet.ok().boardingAddress ?: throw Failure("no boarding address")
        screen.say("boarding address $address")
        place.fund(address, FUNDING)
        payer.waitFor("the coins") { balance().boarding >= FUNDING }
        fees += payer.settle()
        place.mine()
        payer.waitFor("the batch") { balance().settled + fees >= FUNDING }
    }

    private suspend fun open(payer: Phone, receiver: Phone): String {
        screen.step("2. both open a channel in a batch")
        receiver.receiver.invite("Coffee")
        val invite = shown<ReceiverScreen.Invite>(receiver.receiver.ok().screen).text
        screen.show("the receiver shows its invite", invite)

        payer.payer.scanned(invite)
        val scanned = shown<PayerScreen.Invite>(payer.payer.ok().screen).invite
        screen.say("the payer reads: ${scanned.memo}, ${scanned.minimum} to ${scanned.maximum}")
        payer.payer.quote(CAPACITY)
        val quote = shown<PayerScreen.Invite>(payer.payer.ok().screen).quote ?: throw Failure("no quote")
        screen.say("a channel of $CAPACITY costs ${quote.fee}; whom to trust:")
        quote.trust.forEach { screen.say("  - $it") }
        payer.payer.propose()
        fees += quote.fee
        val offer = shown<PayerScreen.Offer>(payer.payer.ok().screen).text
        screen.show("the payer shows its offer", offer)

        receiver.receiver.scanned(offer)
        val accept = shown<ReceiverScreen.Accept>(receiver.receiver.ok().screen).text
        screen.show("the receiver shows its accept", accept)

        screen.say("both join the operator's next batch …")
        payer.payer.scanned(accept)
        val channel = shown<PayerScreen.Opened>(payer.payer.ok().screen).channel
        place.mine()
        payer.waitFor("the payer's channel") { channel(channel)?.isOpen == true }
        receiver.waitFor("the receiver's channel") { channel(channel)?.isOpen == true }
        for ((name, phone) in listOf("payer" to payer, "receiver" to receiver)) {
            phone.channel(channel)?.let { screen.say("$name: channel ${it.shortId} is ${it.state}; ${it.deadline}") }
        }
        return channel
    }

    private suspend fun pay(payer: Phone, receiver: Phone, channel: String): Sats {
        screen.step("3. $PAYMENTS payments, offline")
        if (place.stopOperator()) screen.say("the operator is stopped")
        payer.payer.pay(channel, FIRST, "one coffee")
        // A finger that trembles.
        payer.payer.pay(channel, FIRST, "one coffee")
        val first = shown<PayerScreen.Paid>(payer.payer.ok().screen)
        expect("after pressing twice", first.paid, FIRST)
        screen.show("the payer shows its first payment, $FIRST", first.text)
        receiver.receiver.scanned(first.text)
        val taken = shown<ReceiverScreen.Received>(receiver.receiver.ok().screen)
        screen.say("the receiver took ${taken.increase}: ${taken.memo}")
        payer.payer.next()
        receipt(payer, receiver, channel)

        val began = System.nanoTime()
        var paid = FIRST
        var length = 0
        repeat(PAYMENTS - 1) {
            payer.payer.pay(channel, EACH)
            val payment = shown<PayerScreen.Paid>(payer.payer.ok().screen)
            length = payment.text.length
            receiver.receiver.scanned(payment.text)
            paid += EACH
            expect("received so far", shown<ReceiverScreen.Received>(receiver.receiver.ok().screen).total, paid)
            payer.payer.next()
        }
        val millis = (System.nanoTime() - began) / 1_000_000
        screen.say("${PAYMENTS - 1} more in $millis ms, both sides durable; $length characters each; paid in all: $paid")
        receipt(payer, receiver, channel)
        place.startOperator()
        return paid
    }

    private suspend fun receipt(payer: Phone, receiver: Phone, channel: String) {
        receiver.receiver.receipt(channel)
        val receipt = shown<ReceiverScreen.Receipt>(receiver.receiver.ok().screen).text
        payer.payer.scanned(receipt)
        screen.say(payer.payer.ok().notice ?: throw Failure("the receipt was not taken"))
    }

    private suspend fun close(payer: Phone, receiver: Phone, channel: String) {
        screen.step("4. the receiver closes")
        receiver.receiver.close(channel)
        screen.say("ark transaction ${shown<ReceiverScreen.Closed>(receiver.receiver.ok().screen).txid}")
        payer.waitFor("the payer to see it") { channel(channel)?.state == "closed, not final yet" }
    }

    private suspend fun settle(payer: Phone, receiver: Phone, channel: String, paid: Sats) {
        screen.step("5. both settle in a batch")
        fees += coroutineScope { listOf(payer, receiver).map { async { it.settle() } }.awaitAll() }.fold(Sats.ZERO, Sats::plus)
        place.mine()
        for (phone in listOf(payer, receiver)) phone.waitFor("the batch") { balance().let { it.settled == it.total } }
        receiver.waitFor("the channel") { channel(channel)?.state == "settled" }
        val (left, earned) = payer.balance() to receiver.balance()
        screen.table("who holds what", mapOf("payer" to left, "receiver" to earned))
        expect("all money and fees", left.total + earned.total + fees, FUNDING)
        if (fees == Sats.ZERO) {
            expect("payer", left.total, FUNDING - paid)
            expect("receiver", earned.total, paid)
        }
        println("\npaid $paid, fees $fees, all adds up to $FUNDING")
    }

    private inline fun <reified T : Any> shown(screen: Any): T =
        screen as? T ?: throw Failure("the screen shows ${screen::class.simpleName}, expected ${T::class.simpleName}")

    private fun expect(what: String, got: Sats, expected: Sats) {
        if (got != expected) throw Failure("$what: $got, expected $expected")
    }
}
