package org.example

import java.io.File
import java.nio.file.Path
import java.util.concurrent.TimeUnit
import java.util.zip.ZipFile
import org.junit.jupiter.api.AfterAll
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNotEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.BeforeAll
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.TestInstance
import org.junit.jupiter.api.io.TempDir
import org.junit.jupiter.params.ParameterizedTest
import org.junit.jupiter.params.provider.CsvSource
import org.virtualchannels.RegtestProcess

/** The rules that the AAR carries are enough for an app that is shrunk and renamed, and none of them is idle. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ShrunkAppTest {
    @TempDir
    lateinit var folder: Path
    private lateinit var regtest: RegtestProcess

    @BeforeAll
    fun start() {
        regtest = RegtestProcess.start("--unit", "second")
    }

    @AfterAll
    fun stop() = regtest.close()

    @Test
    fun aShrunkAppDoesWhatItDidBefore() {
        val shrinker = Shrinker(folder.toFile())
        val jar = shrinker.shrink(rules, optimise = true)
        val before = run(Shrinker.classPath().joinToString(File.pathSeparator), "before")
        val after = run(jar.path, "after")
        assertEquals(0, before.status, before.errors)
        assertEquals(0, after.status, after.errors)
        assertEquals(before.lines, after.lines)
        assertEquals(listOf("the clock was asked: true", "logged: true", "done"), after.lines.takeLast(3))
        assertTrue(after.lines.any { "org.virtualchannels.WalletException\$InvalidText" in it }, after.lines.toString())

        // It was really shrunk, and what need not keep its name has another.
        val ours = ZipFile(jar).use { zip -> zip.entries().asSequence().map { it.name }.filter { it.startsWith("org/virtualchannels/") }.toList() }
        assertFalse(ours.any { it.endsWith("/Wallet.class") || it.endsWith("/Proposal.class") }, ours.toString())
        assertTrue(shrinker.mapping().readLines().any { it.startsWith("org.virtualchannels.Wallet -> ") })
    }

    @ParameterizedTest
    @CsvSource(
        "com.sun.jna.**, UnsatisfiedLinkError",
        "com.sun.jna.Structure, Invalid Structure field",
        "com.sun.jna.Callback, Callback must implement",
        "native <methods>, undefined symbol",
        "-keepattributes, does not provide enough names",
    )
    fun withoutTheRuleTheAppFails(part: String, how: String) {
        val others = rules.lines().filterNot { it.startsWith("-keep") && part in it }.joinToString("\n")
        assertNotEquals(rules, others)
        val jar = Shrinker(folder.toFile()).shrink(others, optimise = false)
        val app = run(jar.path, "without")
        assertNotEquals(0, app.status, "it ran without the rule about $part: ${app.lines}")
        assertTrue(how in app.errors, app.errors)
    }

    private class Ended(val status: Int, val lines: List<String>, val errors: String)

    private fun run(classPath: String, database: String): Ended {
        val java = File(System.getProperty("java.home"), "bin/java").path
        val (out, err) = Pair(File(folder.toFile(), "$database.out"), File(folder.toFile(), "$database.err"))
        val process = ProcessBuilder(
            java, "-Djna.library.path=${System.getProperty("library.dir")}", "-cp", classPath, "org.example.AppKt",
            folder.resolve("$database.db").toString(), regtest.operator, regtest.esplora,
        ).redirectOutput(out).redirectError(err).start()
        if (!process.waitFor(60, TimeUnit.SECONDS)) process.destroyForcibly().waitFor()
        return Ended(process.exitValue(), out.readLines(), err.readText())
    }

    private companion object {
        val rules = File("../library/consumer-rules.pro").readText()
    }
}
