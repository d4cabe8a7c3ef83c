package org.virtualchannels.sample.screens

import android.content.Context
import kotlinx.coroutines.launch
import org.virtualchannels.Role
import org.virtualchannels.sample.Models
import org.virtualchannels.sample.SampleApp
import org.virtualchannels.viewmodel.ChannelListState
import org.virtualchannels.viewmodel.ChannelRow

/** All channels, and what can be done with them. */
class ChannelsScreen(context: Context, private val app: SampleApp, models: Models) : Screen {
    private val model = models.channels
    private val column = Column(context)
    override val view = Column.scrolling(column)

    override suspend fun follow() = model.state.collect(::show)

    private fun show(state: ChannelListState) = column.renew {
        status(state)
        button("Look at all") { app.scope.launch { model.refresh() } }
        val rows = state.rows ?: return@renew
        if (rows.isEmpty()) text("No channel yet")
        rows.forEach { row(it) }
    }

    private fun Column.row(row: ChannelRow) {
        val role = if (row.role == Role.PAYER) "paying" else "receiving"
        text("${row.shortId}, $role: ${row.state}")
        text("paid ${row.paid} of ${row.capacity}, left ${row.remaining}")
        row.deadline?.let(::text)
        text(row.next)
        for (action in row.actions) button(action.title) { app.scope.launch { model.act(action, row.id) } }
    }
}
