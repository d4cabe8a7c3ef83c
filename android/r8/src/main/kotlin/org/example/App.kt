package org.example

import java.util.concurrent.CompletableFuture
import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger
import kotlinx.coroutines.runBlocking
import org.virtualchannels.Clock
import org.virtualchannels.InviteRequest
import org.virtualchannels.LogLevel
import org.virtualchannels.LogRecord
import org.virtualchannels.LogSink
import org.virtualchannels.Network
import org.virtualchannels.Parsed
import org.virtualchannels.Wallet
import org.virtualchannels.WalletConfig
import org.virtualchannels.WalletException
import org.virtualchannels.generateMnemonic
import org.virtualchannels.setLogSink

/**
 * What an app does with the library, in short: it is shrunk, renamed and run by the test.
 *
 * Arguments: the database file, the operator's and the Esplora's address. What it prints is the same before and after.
 */
fun main(arguments: Array<String>) = runBlocking {
    val (database, operator, esplora) = arguments
    val config = WalletConfig(database, Network.REGTEST, operator, esplora)
    println("words: ${generateMnemonic().split(" ").size}")
    val clock = CountingClock()
    val log = FirstRecord()
    setLogSink(log, LogLevel.DEBUG)
    Wallet.open(config, generateMnemonic(), clock).use { wallet ->
        when (val read = wallet.parse(wallet.createInvite(InviteRequest(memo = "Coffee")))) {
            is Parsed.Invite -> println("invite: ${read.memo}")
            else -> println("not an invite")
        }
        println("channels: ${wallet.channels().size}")
        println("balance: ${wallet.balance()}")
        refused { wallet.parse("hello") }
        wallet.shutdown()
        refused { wallet.channels() }
    }
    println("the clock was asked: ${clock.asked.get() > 0}")
    println("logged: ${log.seen.get(20, TimeUnit.SECONDS).text.isNotEmpty()}")
    println("done")
}

/** The library calls it. */
private class CountingClock : Clock {
    val asked = AtomicInteger()

    override fun unixSeconds(): ULong {
        asked.incrementAndGet()
        return (System.currentTimeMillis() / 1_000).toULong()
    }
}

private class FirstRecord : LogSink {
    val seen = CompletableFuture<LogRecord>()

    override fun log(record: LogRecord) {
        seen.complete(record)
    }
}

/** By type, as an app tells errors apart; and by name, as a crash report does. */
private suspend fun refused(call: suspend () -> Unit) {
    try {
        call()
        println("not refused")
    } catch (error: WalletException.InvalidText) {
        println("invalid text, ${error.reason}, ${error.javaClass.name}")
    } catch (error: WalletException.Closed) {
        println("closed, ${error.javaClass.name}")
    }
}
