package org.virtualchannels.sample.screens

import android.content.Context
import android.widget.ArrayAdapter
import android.widget.Spinner
import kotlinx.coroutines.awaitCancellation
import org.virtualchannels.Network
import org.virtualchannels.sample.Place
import org.virtualchannels.sample.SampleApp

/** Asks once where operator and chain are. */
class SetupScreen(context: Context, private val app: SampleApp, private val done: () -> Unit) : Screen {
    private val network = Spinner(context).apply {
        adapter = ArrayAdapter(context, android.R.layout.simple_spinner_item, Network.entries.map { it.name.lowercase() })
        setSelection(Network.MUTINYNET.ordinal)
    }
    private val operator = Column.field(context, "Ark operator, https://…")
    private val esplora = Column.field(context, "Esplora API, https://…")

    override val view = Column(context).apply {
        text("Whose Ark does this wallet use? It cannot be changed later.")
        put(network)
        put(operator)
        put(esplora)
        button("Open the wallet", ::save)
    }

    override suspend fun follow(): Unit = awaitCancellation()

    private fun save() {
        val (where, chain) = operator.text.trim().toString() to esplora.text.trim().toString()
        if (where.isEmpty() || chain.isEmpty()) return
        app.places.save(Place(Network.entries[network.selectedItemPosition], where, chain))
        done()
    }
}
