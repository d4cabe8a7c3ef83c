package android.util

/** In place of Android's, which calls into the phone. */
class Log {
    companion object {
        const val DEBUG = 3
        const val INFO = 4
        const val WARN = 5
        const val ERROR = 6

        val lines = java.util.concurrent.ConcurrentLinkedQueue<String>()

        @JvmStatic
        fun println(priority: Int, tag: String, text: String): Int {
            lines += "$priority $tag $text"
            return text.length
        }
    }
}
