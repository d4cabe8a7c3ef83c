package org.virtualchannels.sample.screens

import android.app.Activity
import android.app.AlertDialog
import android.view.WindowManager
import kotlinx.coroutines.launch
import org.virtualchannels.sample.SampleApp
import org.virtualchannels.viewmodel.WalletModel
import org.virtualchannels.viewmodel.WalletState

/** What the wallet holds, how coins come in, and what is to be kept of it: the words and the backup. */
class WalletScreen(private val activity: Activity, private val app: SampleApp, private val model: WalletModel) : Screen {
    private val column = Column(activity)
    override val view = Column.scrolling(column)

    override suspend fun follow() {
        // Why it does not open stays on the screen.
        if (model.wallet != null) app.scope.launch { model.refresh() }
        model.state.collect(::show)
    }

    private fun show(state: WalletState) = column.renew {
        status(state)
        state.balance?.let { held ->
            text("${held.total} in all")
            text("settled ${held.settled}, preconfirmed ${held.preconfirmed}, on chain ${held.boarding + held.boardingUnconfirmed}")
            text("in channels ${held.inChannels}, received in channels ${held.receivable}")
        }
        state.settled?.let { text("The last batch settled ${it.amount}, its fee was ${it.fee}") }
        button("Refresh") { app.scope.launch { model.refresh() } }
        button("Settle") { app.scope.launch { model.settle() } }
        state.boardingAddress?.let { address ->
            text("Send coins here, and settle them once they are confirmed:")
            text(address)
            put(QrView(activity, address))
        }
        button("Show the twelve words") { app.scope.launch { showWords() } }
        backup(state.backup)
    }

    private fun Column.backup(backup: String?) {
        if (backup == null) return button("Show the backup") { app.scope.launch { model.backUp() } }
        text("It brings channels back, together with the words. It is encrypted: keep it anywhere, anew after each opening.")
        // Too long for a QR code.
        button("Send the backup") { send(backup) }
        button("Hide the backup") { model.hideBackup() }
        text(backup)
    }

    /** In a window that no screenshot and no list of recent apps shows. */
    private suspend fun showWords() {
        val words = try {
            app.mnemonics.mnemonic()
        } catch (problem: Exception) {
            problem.message
        }
        if (activity.isFinishing || activity.isDestroyed) return
        val dialog = AlertDialog.Builder(activity).setTitle("Write these down").setMessage(words).setPositiveButton("Done", null).create()
        dialog.window?.addFlags(WindowManager.LayoutParams.FLAG_SECURE)
        dialog.show()
    }
}
