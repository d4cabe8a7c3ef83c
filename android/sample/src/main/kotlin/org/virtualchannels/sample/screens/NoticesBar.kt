package org.virtualchannels.sample.screens

import android.content.Context
import kotlinx.coroutines.flow.distinctUntilChanged
import kotlinx.coroutines.flow.map
import kotlinx.coroutines.launch
import org.virtualchannels.sample.SampleApp
import org.virtualchannels.viewmodel.Notice
import org.virtualchannels.viewmodel.WalletModel

/** What a person must act upon, above every screen until it is dismissed. */
class NoticesBar(context: Context, private val app: SampleApp, private val model: WalletModel) : Screen {
    override val view = Column(context)

    override suspend fun follow() = model.state.map { it.notices }.distinctUntilChanged().collect(::show)

    private fun show(notices: List<Notice>) = view.renew {
        for (notice in notices) {
            text(notice.text)
            notice.fees?.let { fees -> button("Send the address") { send(fees.address) } }
            button("Done") { app.scope.launch { model.dismiss(notice) } }
        }
    }
}
