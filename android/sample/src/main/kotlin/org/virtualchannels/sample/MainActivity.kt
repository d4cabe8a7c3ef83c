package org.virtualchannels.sample

import android.app.Activity
import android.os.Bundle
import android.widget.FrameLayout
import android.widget.LinearLayout
import kotlin.time.Duration.Companion.minutes
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Job
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.launch
import org.virtualchannels.sample.background.MaintenanceWorker
import org.virtualchannels.sample.screens.ChannelsScreen
import org.virtualchannels.sample.screens.Column
import org.virtualchannels.sample.screens.NoticesBar
import org.virtualchannels.sample.screens.PayScreen
import org.virtualchannels.sample.screens.ReceiveScreen
import org.virtualchannels.sample.screens.Screen
import org.virtualchannels.sample.screens.SetupScreen
import org.virtualchannels.sample.screens.WalletScreen

/** Four screens and the buttons that lead to them; above them what a person must act upon. */
class MainActivity : Activity() {
    private lateinit var notices: FrameLayout
    private lateinit var content: FrameLayout
    private lateinit var tabs: LinearLayout
    private val app get() = application as SampleApp
    private var shown: Job? = null

    /** From start to stop: nothing is drawn that nobody sees. */
    private var visible: CoroutineScope? = null

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        notices = FrameLayout(this)
        content = FrameLayout(this)
        tabs = LinearLayout(this)
        val all = Column(this)
        all.addView(notices)
        all.addView(tabs)
        all.addView(content)
        setContentView(all)
    }

    override fun onStart() {
        super.onStart()
        visible = MainScope().also { scope -> scope.launch { begin() } }
        // Also where the app is killed while it is used. One that waits already is no later than six hours, and one that runs goes on.
        MaintenanceWorker.schedule(this, AFTER_USE)
    }

    override fun onStop() {
        visible?.cancel()
        visible = null
        super.onStop()
    }

    private suspend fun begin() {
        if (app.places.load() == null) return show(SetupScreen(this, app) { restart() })
        val models = app.open()
        val wallet = app.wallet ?: return
        val screens = mutableMapOf<String, () -> Screen>("Wallet" to { WalletScreen(this, app, wallet) })
        if (models != null) {
            screens["Pay"] = { PayScreen(this, app, models) }
            screens["Receive"] = { ReceiveScreen(this, app, models) }
            screens["Channels"] = { ChannelsScreen(this, app, models) }
            visible?.launch { models.channels.follow() }
            visible?.launch { wallet.follow() }
            app.scope.launch { models.channels.refresh() }
            val bar = NoticesBar(this, app, wallet)
            notices.removeAllViews()
            notices.addView(bar.view)
            visible?.launch { bar.follow() }
        }
        tabs.removeAllViews()
        if (models == null) tabs.addView(Column.button(this, "Other servers") { app.forgetPlace(); restart() })
        for ((title, make) in screens) tabs.addView(Column.button(this, title) { show(make()) })
        show(screens.getValue("Wallet")())
    }

    private fun restart() {
        visible?.launch { begin() }
    }

    private fun show(screen: Screen) {
        shown?.cancel()
        content.removeAllViews()
        content.addView(screen.view)
        shown = visible?.launch { screen.follow() }
    }

    private companion object {
        /** The user may be back at once. */
        val AFTER_USE = 15.minutes
    }
}
