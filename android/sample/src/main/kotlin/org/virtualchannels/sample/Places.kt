package org.virtualchannels.sample

import android.content.Context
import org.virtualchannels.Network

/** Where the wallet's operator and chain server are. */
data class Place(val network: Network, val operator: String, val esplora: String)

/** Remembers the place the user chose. It is not to be changed while a wallet's file is there: the file belongs to one operator. */
class Places(context: Context) {
    private val settings = context.getSharedPreferences("place", Context.MODE_PRIVATE)

    /** What was saved, or null. */
    fun load(): Place? {
        val network = settings.getString("network", null)?.let { name -> Network.entries.find { it.name == name } } ?: return null
        val operator = settings.getString("operator", null) ?: return null
        val esplora = settings.getString("esplora", null) ?: return null
        return Place(network, operator, esplora)
    }

    /** Asks again. */
    fun forget() = settings.edit().clear().apply()

    /** Keeps it. */
    fun save(place: Place) {
        settings.edit()
            .putString("network", place.network.name)
            .putString("operator", place.operator)
            .putString("esplora", place.esplora)
            .apply()
    }
}
