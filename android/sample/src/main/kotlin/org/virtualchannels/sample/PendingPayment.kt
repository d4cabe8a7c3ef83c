package org.virtualchannels.sample

import java.io.File
import java.io.FileOutputStream
import java.io.IOException
import java.util.Properties
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext
import org.virtualchannels.Sats
import org.virtualchannels.sats

/** A payment that the user asked for: all that [org.virtualchannels.viewmodel.PayerModel.pay] takes. */
data class Asked(val channel: String, val amount: Sats, val memo: String?, val paymentId: String)

/**
 * Remembers a payment until the user says that it was handed over. An app that is killed meanwhile asks for it again with the same
 * id: it is made once, whether or not it had been made.
 *
 * The wallet's file knows the ids, a backup does not: [file] lies where no backup takes it (`noBackupFilesDir`), and goes with the
 * wallet's.
 */
class PendingPayment(private val file: File) {
    /** What was kept; null where nothing was, or not all of it. */
    fun load(): Asked? {
        val kept = Properties()
        try {
            file.inputStream().use(kept::load)
        } catch (_: IOException) {
            return null
        }
        val amount = kept.getProperty("amount")?.toLongOrNull() ?: return null
        val channel = kept.getProperty("channel") ?: return null
        val paymentId = kept.getProperty("paymentId") ?: return null
        return Asked(channel, amount.sats, kept.getProperty("memo"), paymentId)
    }

    /** Keeps it; on the disk when this returns. Throws [IOException] where that cannot be: then it is not to be made either. */
    suspend fun keep(asked: Asked): Unit = withContext(Dispatchers.IO) {
        val kept = Properties()
        kept["channel"] = asked.channel
        kept["amount"] = asked.amount.value.toLong().toString()
        kept["paymentId"] = asked.paymentId
        asked.memo?.let { kept["memo"] = it }
        val next = File(file.path + ".new")
        FileOutputStream(next).use {
            kept.store(it, null)
            it.fd.sync()
        }
        if (!next.renameTo(file)) throw IOException("$next cannot be renamed to $file")
    }

    /** The payment with this id was handed over, or is not wanted any more. */
    fun forget(paymentId: String) {
        if (load()?.paymentId == paymentId) file.delete()
    }
}
