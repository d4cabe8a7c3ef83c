package org.virtualchannels.demo

import java.util.Locale
import org.virtualchannels.Balance

/** What the demo prints. */
class Screen {
    private val began = System.nanoTime()

    /** Seconds since the start. */
    fun seconds(): String = String.format(Locale.ROOT, "%.1f s", (System.nanoTime() - began) / 1e9)

    /** A headline, with the time. */
    fun step(title: String) = println("\n$title  [${seconds()}]")

    /** A line under it. */
    fun say(text: String) = println("   $text")

    /** A text that one phone shows to the other. */
    fun show(what: String, text: String) {
        val code = QrText.draw(text)
        if (code == null) {
            say("$what: ${text.length} characters, more than a QR code that is read well can hold; as text:")
        } else {
            say("$what: ${text.length} characters")
            println(code)
        }
        println(text)
    }

    /** Who holds what, in sats. */
    fun table(title: String, holders: Map<String, Balance>) {
        println("\n%-22s %10s %10s %10s %10s %10s".format(title, "boarding", "settled", "preconf.", "channels", "total"))
        for ((name, held) in holders) {
            val figures = listOf(held.boarding + held.boardingUnconfirmed, held.settled, held.preconfirmed, held.inChannels + held.receivable, held.total)
            println("  %-20s".format(name) + figures.joinToString("") { " %10s".format(it.value) })
        }
    }
}
