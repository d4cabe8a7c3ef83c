package org.virtualchannels

import java.io.RandomAccessFile
import java.nio.file.Files
import java.nio.file.Path
import kotlin.random.Random
import kotlinx.coroutines.runBlocking
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test
import org.junit.jupiter.api.io.TempDir

/** The database moved, deleted, not writable, not ours: a typed error, and no payment that is not stored. */
class FilesTest {
    @TempDir
    lateinit var folder: Path

    private val ready by lazy { ReadyChannel(folder) }

    private fun move(from: Path, to: Path) {
        for (end in listOf("", "-wal", "-shm")) if (Files.exists(Path.of("$from$end"))) Files.move(Path.of("$from$end"), Path.of("$to$end"))
    }

    private suspend fun pay(wallet: Wallet, paymentId: String): Sats = wallet.pay(ready.id, STEP, paymentId).amount

    @Test
    fun movedAndMovedBack() = runBlocking<Unit> {
        val (here, elsewhere) = ready.payer.file to folder.resolve("elsewhere.db")
        ready.payer.open().use { payer ->
            assertEquals(STEP, pay(payer, "one"))
            move(here, elsewhere)
            assertThrows<WalletException.DatabaseFailed> { pay(payer, "two") }
            assertFalse(Files.exists(here), "nothing is made in its place")
            move(elsewhere, here)
            assertEquals(STEP, payer.channel(ready.id).amount)
            assertEquals(2_000.sats, pay(payer, "two"))
            move(here, elsewhere)
        }
        ready.payer.open(file = elsewhere).use { assertEquals(2_000.sats, it.channel(ready.id).amount) }
    }

    @Test
    fun deleted() = runBlocking<Unit> {
        ready.payer.open().use { payer ->
            assertEquals(STEP, pay(payer, "one"))
            Files.delete(ready.payer.file)
            val gone = assertThrows<WalletException.DatabaseFailed> { pay(payer, "two") }
            assertTrue(gone.reason.isNotEmpty())
            assertEquals(STEP, payer.latestUpdate(ready.id).amount, "what had been paid can still be shown")
        }
    }

    /** Root may write everything, so the child runs without that right. */
    @Test
    fun readOnly() = runBlocking<Unit> {
        ready.payer.open().closeAndWait()
        val file = ready.payer.file.toFile()
        assertTrue(file.setReadOnly())
        val without = if (ThisJvm.user() == "root") listOf("setpriv", "--bounding-set", "-dac_override") else listOf()
        val arguments = arrayOf("open", file.path, ready.payer.words, ready.id)
        Child(*arguments, before = without).use { child -> assertEquals("DatabaseReadOnly", child.hear()) }
        assertTrue(file.setWritable(true))
        Child(*arguments, before = without).use { assertEquals("opened 1", it.hear()) }
    }

    @Test
    fun inUseByAProcessThatDoesNotLetGo() = runBlocking<Unit> {
        ready.payer.open().use { payer ->
            assertEquals(STEP, pay(payer, "one"))
            Child("lock", ready.payer.file.toString(), ready.payer.words, ready.id).use { child ->
                assertEquals("ready", child.hear())
                assertThrows<WalletException.DatabaseBusy> { pay(payer, "two") }
            }
            assertEquals(2_000.sats, pay(payer, "two"))
        }
    }

    @Test
    fun notOurs() = runBlocking<Unit> {
        for (bytes in listOf("hello".toByteArray(), ByteArray(4096))) {
            val file = Files.write(folder.resolve("other.db"), bytes)
            assertThrows<WalletException.NotADatabase> { ready.payer.open(file = file) }
            assertTrue(bytes.contentEquals(Files.readAllBytes(file)), "not a byte of it is changed")
        }
        val nowhere = assertThrows<WalletException.DatabaseFailed> { ready.payer.open(file = folder.resolve("no/such/folder/wallet.db")) }
        assertTrue(nowhere.message.startsWith("the database: "), nowhere.message)
    }

    @Test
    fun ofANewerVersion() = runBlocking<Unit> {
        // SQLite keeps `user_version` at byte 60.
        RandomAccessFile(ready.payer.file.toFile(), "rw").use { it.seek(60); it.writeInt(99) }
        val newer = assertThrows<WalletException.DatabaseNewer> { ready.payer.open() }
        assertEquals(99, newer.found)
        assertTrue(newer.known in 1..98)
    }

    @Test
    fun damagedThroughout() = runBlocking<Unit> {
        val good = Files.readAllBytes(ready.payer.file)
        Files.write(ready.payer.file, good.clone().also { bad -> for (at in 100 until bad.size step 7) bad[at] = -86 })
        assertTrue(assertThrows<WalletException.DatabaseCorrupt> { ready.payer.open() }.what.isNotEmpty())
        Files.write(ready.payer.file, good)
        ready.payer.open().use { assertEquals(STEP, pay(it, "one")) }
    }

    /** A small disk of its own, mounted for the child alone and gone with it, which it pays until it is full. */
    @Test
    fun onAFullDisk() = runBlocking<Unit> {
        val disk = Files.createDirectory(folder.resolve("disk"))
        val script = """mount -t tmpfs -o size=1m none "$1" && cp "$0" "$1/wallet.db" && shift && exec "$@""""
        val before = listOf("unshare", "--map-root-user", "--mount", "sh", "-c", script, ready.payer.file.toString(), disk.toString())
        Child("pay", disk.resolve("wallet.db").toString(), ready.payer.words, ready.id, before = before).use { child ->
            assertEquals("ready", child.hear())
            while (child.hear()!!.startsWith("vc")) Unit
            assertEquals("DatabaseFull", child.hear())
        }
    }

    /** Damage anywhere is an error with a type, or harmless; it never ends the process. */
    @Test
    fun damaged() = runBlocking<Unit> {
        val good = Files.readAllBytes(ready.payer.file)
        val random = Random(5)
        val refused = mutableMapOf<String, Int>()
        val internal = mutableListOf<String>()
        repeat(60) { round ->
            val file = folder.resolve("damaged $round.db")
            val bad = good.clone()
            repeat(40) { bad[random.nextInt(if (round % 2 == 0) 4096 else bad.size)] = random.nextInt().toByte() }
            Files.write(file, bad)
            try {
                ready.payer.open(file = file).use { it.pay(ready.id, STEP, "one") }
            } catch (error: WalletException) {
                refused.merge(error.javaClass.simpleName, 1, Int::plus)
                if (error is WalletException.Internal) internal += error.detail
            }
        }
        assertTrue(refused.values.sum() > 10, "$refused")
        // What was written by nobody; never a bug that showed.
        assertTrue(internal.all { "panicked" !in it }, "$internal")
        assertTrue("DatabaseCorrupt" in refused || "NotADatabase" in refused, "$refused")
    }

    private companion object {
        val STEP = 1_000.sats
    }
}
