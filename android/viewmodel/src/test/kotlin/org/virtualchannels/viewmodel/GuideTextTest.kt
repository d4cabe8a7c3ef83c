package org.virtualchannels.viewmodel

import java.io.File
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** The Kotlin in docs/guide.md is what [GuideTest] and [GuideTroubleTest] run, or an excerpt of the sample app; and all of it is there. */
class GuideTextTest {
    private val root = generateSequence(File("").absoluteFile) { it.parentFile }.first { File(it, "docs/guide.md").exists() }
    private val guide = File(root, "docs/guide.md").readText()
    private val tests = listOf("GuideTest", "GuideTroubleTest").map {
        File(root, "android/viewmodel/src/test/kotlin/org/virtualchannels/viewmodel/$it.kt").readText()
    }

    @Test
    fun everyPieceOfKotlinIsReal() {
        val sample = File(root, "android/sample/src/main/kotlin").walk().filter { it.extension == "kt" }.map { it.readText() }
        val sources = (tests.asSequence() + sample).map(::lines).toList()
        val blocks = guide.split("```kotlin\n").drop(1).map { it.substringBefore("```") }
        assertTrue(blocks.size > 10, "${blocks.size} pieces")
        for (block in blocks) {
            assertTrue(sources.any { contains(it, lines(block)) }, "nowhere in the tests or the sample:\n$block")
        }
    }

    @Test
    fun everyPieceIsInTheGuide() {
        val there = lines(guide)
        val pieces = tests.flatMap { it.split("// guide: ").drop(1) }.map { it.substringAfter("\n").substringBefore("// end") }
        assertTrue(pieces.size > 10, "${pieces.size} pieces")
        for (piece in pieces) assertTrue(contains(there, lines(piece)), "not in the guide:\n$piece")
    }

    /** Without indentation and empty lines. */
    private fun lines(text: String): List<String> = text.lines().map { it.trim() }.filter { it.isNotEmpty() }

    private fun contains(source: List<String>, piece: List<String>): Boolean =
        piece.isNotEmpty() && source.windowed(piece.size).any { it == piece }
}
