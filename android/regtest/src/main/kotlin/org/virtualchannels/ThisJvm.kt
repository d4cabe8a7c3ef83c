package org.virtualchannels

import java.lang.management.ManagementFactory

/** What a JVM says of itself, and Android's classes do not. */
object ThisJvm {
    /** How long the calling thread has worked so far, in nanoseconds. */
    fun cpuNanosOfThisThread(): Long = ManagementFactory.getThreadMXBean().currentThreadCpuTime

    /** Who runs it. */
    fun user(): String = ProcessHandle.current().info().user().orElse("")
}
