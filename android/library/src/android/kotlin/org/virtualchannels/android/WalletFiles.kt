package org.virtualchannels.android

import android.content.Context
import java.io.File
import java.io.IOException

/**
 * Where a wallet's database lies on Android: in a folder that never leaves the phone, neither to the cloud nor to another
 * phone.
 *
 * A database that comes back from a backup has older channels than the other side knows: to pay or close with them costs
 * money. What is to be kept are the twelve words, once, and after each opening the text of `Wallet.backup`, which payments do not
 * change: channels come back only with both.
 */
object WalletFiles {
    private const val FOLDER = "virtual-channels"
    private val names = Regex("[A-Za-z0-9_-]{1,64}")

    /**
     * The path for `WalletConfig.databasePath`. The folder is made where it is missing; beside the file SQLite keeps two
     * more of the same name.
     *
     * @param name one for each wallet: 1 to 64 letters, digits, `-` and `_`.
     * @throws IllegalArgumentException for another name.
     * @throws IOException where the folder cannot be made.
     */
    fun database(context: Context, name: String = "wallet"): String {
        require(names.matches(name)) { "a wallet's name has 1 to 64 letters, digits, - and _" }
        val folder = File(context.noBackupFilesDir, FOLDER)
        if (!folder.isDirectory && !folder.mkdirs() && !folder.isDirectory) throw IOException("$folder cannot be made")
        return File(folder, "$name.db").path
    }
}
