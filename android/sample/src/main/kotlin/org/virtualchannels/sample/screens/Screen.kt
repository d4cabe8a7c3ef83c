package org.virtualchannels.sample.screens

import android.view.View

/** One screen: a view, and what keeps it as its models say. */
interface Screen {
    /** What is seen. */
    val view: View

    /** Draws each new state until it is cancelled. */
    suspend fun follow()
}
