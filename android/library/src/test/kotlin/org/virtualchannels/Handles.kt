package org.virtualchannels

import java.nio.file.Files
import java.nio.file.Path

/** What this process holds, by Linux's own books. */
object Handles {
    /** Open files below a folder. */
    fun of(folder: Path): List<String> {
        val entries = Files.list(Path.of("/proc/self/fd")).use { it.toList() }
        val targets = entries.mapNotNull { runCatching { Files.readSymbolicLink(it).toString() }.getOrNull() }
        return targets.filter { it.startsWith(folder.toRealPath().toString()) }
    }

    /** Threads of the native library, by their names (of which Linux keeps 15 letters). */
    fun threads(): List<String> {
        val tasks = Files.list(Path.of("/proc/self/task")).use { it.toList() }
        val names = tasks.mapNotNull { runCatching { Files.readString(it.resolve("comm")).trim() }.getOrNull() }
        return names.filter { it.startsWith("virtual-channel") }
    }
}
