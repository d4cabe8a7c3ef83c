package org.virtualchannels

import java.nio.file.Path
import kotlin.system.exitProcess
import kotlinx.coroutines.runBlocking

/** What a child JVM does: `main` of this file, with the task and its arguments. Each line it says is complete or not said. */
fun main(arguments: Array<String>): Unit = runBlocking {
    val (task, file, words, channel) = arguments
    val side = Side(Path.of(file), words)
    when (task) {
        "pay" -> payForEver(side, channel)
        "open" -> {
            val answer = runCatching { side.openNowhere().use { it.channels().size } }
            println(answer.fold({ "opened $it" }, { it.javaClass.simpleName }))
        }
        "receive" -> receiveWhatComes(side)
        "lock" -> holdLock(side.file)
        else -> exitProcess(2)
    }
}

private suspend fun Side.openNowhere(): Wallet =
    VirtualChannels.open(WalletConfig(file.toString(), Network.REGTEST, NOWHERE, NOWHERE), words)

/** Says each update after `pay` has answered; at an error `refused`, and what it was. */
private suspend fun payForEver(side: Side, channel: String) {
    val wallet = side.openNowhere()
    var next = wallet.channel(channel).amount
    println("ready")
    try {
        while (true) {
            next += Child.STEP
            println(wallet.pay(channel, Child.STEP, Child.paymentId(next)).text)
        }
    } catch (error: WalletException) {
        println("refused")
        println(error.javaClass.simpleName)
    }
}

/** Takes the payments on its standard input, and says the amount after each. */
private suspend fun receiveWhatComes(side: Side) {
    val wallet = side.openNowhere()
    println("ready")
    while (true) println(wallet.receive(readln()).amount.value)
}

/** Holds SQLite's lock for writers, as a process that hangs in a transaction does. */
private fun holdLock(file: Path) {
    java.io.RandomAccessFile("$file-shm", "rw").use { shared ->
        shared.channel.lock(WRITER_LOCK, 1, false).use {
            println("ready")
            System.`in`.read()
        }
    }
}

/** Nobody answers there: the child needs nobody. */
private const val NOWHERE = "http://127.0.0.1:1"

/** Where in a `-shm` file SQLite locks the writer (its file format, "WAL-index"). */
private const val WRITER_LOCK = 120L

/** A JVM beside this one, to be killed. */
class Child(vararg arguments: String, before: List<String> = listOf()) : AutoCloseable {
    private val process = ChildProcess(before + JVM + "org.virtualchannels.ChildKt" + arguments)

    /** Puts a line on its standard input. */
    fun tell(line: String) = process.tell(line)

    /** The next thing it says, or null at its end. */
    fun hear(): String? = process.hear()

    /** SIGKILL. Answers what it had said and was not heard yet. */
    fun kill(): List<String> = process.kill()

    override fun close() = process.close()

    companion object {
        val STEP: Sats = 1_000.sats

        /** Each payment is named for the amount it leads to. */
        fun paymentId(amount: Sats): String = "up to $amount"

        private val JVM = listOf(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:TieredStopAtLevel=1", "-Xshare:auto",
            "-Djna.library.path=${System.getProperty("jna.library.path")}",
            "-cp", System.getProperty("surefire.test.class.path") ?: System.getProperty("java.class.path"),
        )
    }
}
