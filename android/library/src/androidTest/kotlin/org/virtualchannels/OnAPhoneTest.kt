package org.virtualchannels

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import java.io.File
import java.net.HttpURLConnection
import java.net.URL
import kotlin.time.Duration.Companion.minutes
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.delay
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.virtualchannels.android.LogcatSink
import org.virtualchannels.android.WalletFiles

/**
 * The life of a channel on an emulator or a phone, against a regtest that the instrumentation arguments `operator` and `esplora`
 * name (scripts/android-test.sh).
 */
@RunWith(AndroidJUnit4::class)
class OnAPhoneTest {
    private val arguments = InstrumentationRegistry.getArguments()
    private val context = InstrumentationRegistry.getInstrumentation().targetContext
    private val esplora = checkNotNull(arguments.getString("esplora")) { "the argument esplora is missing" }
    private val operator = checkNotNull(arguments.getString("operator")) { "the argument operator is missing" }

    @Test
    fun aChannelFromOpeningToSettling() = runBlocking {
        setLogSink(LogcatSink(), LogLevel.INFO)
        wallet("payer").use { payer -> wallet("receiver").use { receiver -> live(payer, receiver) } }
    }

    private suspend fun live(payer: Wallet, receiver: Wallet) {
        post("faucet/${payer.boardingAddress()}/${FUNDING.value}")
        mine()
        eventually("the coins") { payer.balance().boarding == FUNDING }
        payer.settle()
        mine()
        eventually("the batch") { payer.balance().settled == FUNDING }

        val proposal = payer.propose(receiver.createInvite(InviteRequest()), ProposeRequest(CAPACITY, FundingChoice.Batch))
        val accepted = receiver.accept(proposal.offer) as Acceptance.Accepted
        val channel = payer.openChannel(accepted.accept)
        mine()
        eventually("the payer's channel") { payer.watch(channel).state == ChannelState.OPEN }
        eventually("the receiver's channel") {
            receiver.channels().any { it.id == channel } && receiver.watch(channel).state == ChannelState.OPEN
        }

        for (number in 1..20) assertEquals(EACH, receiver.receive(payer.pay(channel, EACH, "order $number").text).increase)
        assertEquals(PAID, receiver.channel(channel).amount)
        val refused = runCatching { payer.pay(channel, CAPACITY, "too much") }.exceptionOrNull()
        assertTrue("$refused", refused is WalletException.OverCapacity)

        receiver.closeChannel(channel)
        assertEquals(PAID, receiver.settle().amount)
        mine()
        eventually("the receiver's money") { receiver.balance().settled == PAID }
    }

    private suspend fun wallet(name: String): Wallet {
        val path = WalletFiles.database(context, "$name-${System.nanoTime()}")
        assertTrue(path, File(path).parentFile!!.isDirectory)
        return Wallet.open(WalletConfig(path, Network.REGTEST, operator, esplora), generateMnemonic())
    }

    private fun mine() = post("mine/1?after=0")

    private fun post(path: String) {
        val connection = URL("$esplora/$path").openConnection() as HttpURLConnection
        connection.requestMethod = "POST"
        connection.readTimeout = 60_000
        check(connection.responseCode == 200) { "$path answered ${connection.responseCode}" }
        connection.disconnect()
    }

    private suspend fun eventually(what: String, condition: suspend () -> Boolean) = try {
        withTimeout(1.minutes) { while (!condition()) delay(200) }
    } catch (late: TimeoutCancellationException) {
        throw AssertionError("waited a minute for $what", late)
    }

    private companion object {
        val FUNDING = Sats(200_000u)
        val CAPACITY = Sats(100_000u)
        val EACH = Sats(1_000u)
        val PAID = Sats(20_000u)
    }
}
