package org.virtualchannels.sample.screens

import android.content.ClipboardManager
import android.content.Context
import android.content.Intent
import android.graphics.Color
import android.text.InputType
import android.view.View
import android.view.ViewGroup
import android.widget.Button
import android.widget.EditText
import android.widget.LinearLayout
import android.widget.ScrollView
import android.widget.TextView
import org.virtualchannels.viewmodel.ScreenState

/** Views one below the other, which are put there anew with each state. */
class Column(context: Context) : LinearLayout(context) {
    init {
        orientation = VERTICAL
        val edge = (16 * resources.displayMetrics.density).toInt()
        setPadding(edge, edge, edge, edge)
    }

    /** Clears the column and fills it again. */
    fun renew(fill: Column.() -> Unit) {
        removeAllViews()
        fill()
    }

    /** A view with its own size; also one that was in the column before. */
    fun put(view: View) {
        (view.parent as? ViewGroup)?.removeView(view)
        addView(view, LayoutParams(LayoutParams.MATCH_PARENT, LayoutParams.WRAP_CONTENT))
    }

    /** A paragraph that can be copied. */
    fun text(words: String) = put(TextView(context).apply { text = words; setTextIsSelectable(true) })

    /** What every state says: what went wrong, and whether something is under way. */
    fun status(state: ScreenState<*>) {
        state.problem?.let { sentence -> put(TextView(context).apply { text = sentence; setTextColor(Color.RED) }) }
        if (state.busy) text("…")
    }

    /** A button. */
    fun button(title: String, press: () -> Unit) = put(button(context, title, press))

    /** A text that the other phone scans, or is sent. */
    fun show(shown: String) {
        put(QrView(context, shown))
        button("Send as text") { send(shown) }
    }

    /** Hands a text to another app, which the user chooses. */
    fun send(text: String) {
        val send = Intent(Intent.ACTION_SEND).setType("text/plain").putExtra(Intent.EXTRA_TEXT, text)
        context.startActivity(Intent.createChooser(send, null))
    }

    /** Takes a text that was scanned with any scanner, or sent. */
    fun scanner(scanned: (String) -> Unit) = button("Take what was copied") {
        val clipboard = context.getSystemService(ClipboardManager::class.java)
        val text = clipboard?.primaryClip?.takeIf { it.itemCount > 0 }?.getItemAt(0)?.coerceToText(context)?.toString()
        scanned(text.orEmpty())
    }

    companion object {
        /** A button. */
        fun button(context: Context, title: String, press: () -> Unit): Button =
            Button(context).apply { text = title; setOnClickListener { press() } }

        /** A field for words. */
        fun field(context: Context, hint: String): EditText = EditText(context).apply { this.hint = hint }

        /** A field for satoshis. */
        fun amount(context: Context, hint: String): EditText = field(context, hint).apply { inputType = InputType.TYPE_CLASS_NUMBER }

        /** A column that is longer than the screen. */
        fun scrolling(column: Column): View = ScrollView(column.context).apply { addView(column) }
    }
}
