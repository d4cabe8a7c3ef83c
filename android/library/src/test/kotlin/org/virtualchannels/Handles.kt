package org.virtualchannels

import java.nio.file.Files
import java.nio.file.Path

/** What this process holds, by Linux's own books. */
class Handles private constructor(private val sockets: List<String>, private val threads: List<String>) {
    /** What is held now and was not then: sockets, and threads that are not Java's own. */
    fun since(before: Handles): List<String> {
        val old = before.threads.toMutableList()
        return (sockets - before.sockets.toSet()) + threads.filterNot(old::remove)
    }

    companion object {
        /** Linux keeps 15 letters of a thread's name. */
        private const val NAME = 15

        /** Threads that belong to the virtual machine, which starts them when it wants to. */
        private val MACHINE = Regex("C[12] CompilerThre.*|(GC|VM) .*|G1 .*|Sweeper.*|Monitor Deflati.*|Service Thread|Signal Dispatch.*")

        /** All that is held now. */
        fun now(): Handles = Handles(open().filter { it.startsWith("socket:") }, threads())

        /** Open files below a folder. */
        fun of(folder: Path): List<String> = open().filter { it.startsWith(folder.toRealPath().toString()) }

        private fun open(): List<String> =
            entries("fd").mapNotNull { runCatching { Files.readSymbolicLink(it).toString() }.getOrNull() }

        /** Whatever name they have: a thread without one of its own has that of the thread which made it. */
        private fun threads(): List<String> {
            val java = Thread.getAllStackTraces().keys.map { it.name.take(NAME) }.toMutableList()
            val names = entries("task").mapNotNull { runCatching { Files.readString(it.resolve("comm")).trimEnd('\n') }.getOrNull() }
            return names.filterNot { java.remove(it) || MACHINE.matches(it) }
        }

        private fun entries(what: String): List<Path> = Files.list(Path.of("/proc/self/$what")).use { it.toList() }
    }
}
