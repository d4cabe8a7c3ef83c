// Signatures of androidx.work, as far as the sample uses them, for the type check: the real ones are in Google's repository,
// and what is here does nothing but remember.
package androidx.work

import android.content.Context
import java.util.concurrent.TimeUnit

enum class NetworkType { CONNECTED }

enum class BackoffPolicy { LINEAR }

enum class ExistingWorkPolicy { KEEP, APPEND_OR_REPLACE }

class WorkerParameters

abstract class ListenableWorker(val applicationContext: Context) {
    enum class Result {
        SUCCESS,
        RETRY,
        ;

        companion object {
            fun success() = SUCCESS
            fun retry() = RETRY
        }
    }
}

abstract class CoroutineWorker(context: Context, @Suppress("UNUSED_PARAMETER") parameters: WorkerParameters) : ListenableWorker(context) {
    abstract suspend fun doWork(): Result
}

class Constraints(val network: NetworkType?) {
    class Builder {
        private var network: NetworkType? = null

        fun setRequiredNetworkType(type: NetworkType) = apply { network = type }
        fun build() = Constraints(network)
    }
}

class OneTimeWorkRequest(val worker: Class<*>, val delaySeconds: Long, val constraints: Constraints?) {
    class Builder(private val worker: Class<*>) {
        private var delay = 0L
        private var constraints: Constraints? = null

        fun setInitialDelay(duration: Long, unit: TimeUnit) = apply { delay = unit.toSeconds(duration) }
        fun setConstraints(wanted: Constraints) = apply { constraints = wanted }

        @Suppress("UNUSED_PARAMETER")
        fun setBackoffCriteria(policy: BackoffPolicy, delay: Long, unit: TimeUnit) = this
        fun build() = OneTimeWorkRequest(worker, delay, constraints)
    }
}

inline fun <reified W : ListenableWorker> OneTimeWorkRequestBuilder() = OneTimeWorkRequest.Builder(W::class.java)

class WorkManager {
    val enqueued = mutableListOf<Triple<String, ExistingWorkPolicy, OneTimeWorkRequest>>()

    fun enqueueUniqueWork(name: String, policy: ExistingWorkPolicy, request: OneTimeWorkRequest) {
        enqueued += Triple(name, policy, request)
    }

    companion object {
        private val only = WorkManager()

        fun getInstance(@Suppress("UNUSED_PARAMETER") context: Context) = only
    }
}
