package org.virtualchannels

import java.util.concurrent.TimeUnit

/** A program beside this one, which talks line by line and may be killed. Here, since Android's classes have no such handles. */
class ChildProcess(command: List<String>) : AutoCloseable {
    private val process: Process = ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start()
    private val lines = process.inputReader()
    private val writer = process.outputWriter()

    /** Puts a line on its standard input. */
    fun tell(line: String) {
        writer.write("$line\n")
        writer.flush()
    }

    /** The next thing it says, or null at its end. */
    fun hear(): String? = lines.readLine()

    /** SIGKILL. Answers what it had said and was not heard yet. */
    fun kill(): List<String> {
        // Through the handle: `Process.destroyForcibly` closes the pipe with what is still in it.
        process.toHandle().destroyForcibly()
        val rest = lines.readText()
        // Half a line, cut off by the kill, was not said.
        return rest.lines().dropLast(1)
    }

    override fun close() {
        process.destroyForcibly().waitFor(20, TimeUnit.SECONDS)
    }
}
