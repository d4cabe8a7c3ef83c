package org.virtualchannels.android

import android.content.ContextWrapper
import java.io.File
import java.io.IOException
import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertThrows
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

class WalletFilesTest {
    @TempDir
    lateinit var folder: Path

    private class Phone(private val noBackup: File) : ContextWrapper(null) {
        override fun getNoBackupFilesDir() = noBackup
    }

    @Test
    fun theDatabaseIsWhereNoBackupReachesIt() {
        val path = File(WalletFiles.database(Phone(folder.toFile()), "savings"))
        assertEquals(folder.resolve("virtual-channels/savings.db").toFile(), path)
        assertTrue(path.parentFile.isDirectory)
        assertEquals(path, File(WalletFiles.database(Phone(folder.toFile()), "savings")))
    }

    @Test
    fun aNameIsNoPath() {
        for (name in listOf("", "..", "a/b", "a.db", "ä", "x".repeat(65))) {
            assertThrows(IllegalArgumentException::class.java) { WalletFiles.database(Phone(folder.toFile()), name) }
        }
        assertEquals(emptyList<String>(), folder.toFile().list()!!.toList())
    }

    @Test
    fun aFileInTheWayIsSaid() {
        File(folder.toFile(), "virtual-channels").writeText("in the way")
        assertThrows(IOException::class.java) { WalletFiles.database(Phone(folder.toFile())) }
    }
}
