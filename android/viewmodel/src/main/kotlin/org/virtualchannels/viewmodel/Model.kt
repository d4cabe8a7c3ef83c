package org.virtualchannels.viewmodel

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.flow.MutableStateFlow
import kotlinx.coroutines.flow.StateFlow
import kotlinx.coroutines.flow.asStateFlow
import kotlinx.coroutines.flow.update

/** What every screen shows, whatever else it shows. Immutable: each change is another one. */
interface ScreenState<S : ScreenState<S>> {
    /** Why the last action did not work, as a sentence for people; null once the next one begins. */
    val problem: String?

    /** Whether an action is under way. */
    val busy: Boolean

    /** The same with these two. */
    fun marked(problem: String?, busy: Boolean): S
}

/**
 * A view model: one immutable state, and actions that change it.
 *
 * Actions never throw: what goes wrong is [ScreenState.problem]. An action that is pressed again while it is under way does
 * nothing. They may be called from any thread, the main one included.
 */
abstract class Model<S : ScreenState<S>> internal constructor(initial: S) {
    private val current = MutableStateFlow(initial)
    private val running = mutableSetOf<String>()

    /** What the screen shows, now and after each change. */
    val state: StateFlow<S> = current.asStateFlow()

    /** Takes the sentence off the screen. */
    fun dismissProblem() = current.update { it.marked(null, it.busy) }

    /** Changes the state in one step: nobody sees half of a change. */
    internal fun change(next: (S) -> S) = current.update(next)

    /** Runs an action, unless the same one is under way. */
    internal suspend fun act(name: String, work: suspend () -> Unit) {
        if (!begin(name)) return
        var problem: String? = null
        try {
            work()
        } catch (gone: CancellationException) {
            // The screen has gone. What the library had begun goes on by itself.
            throw gone
        } catch (failure: Exception) {
            problem = sentence(failure)
        } finally {
            end(name, problem)
        }
    }

    /** Runs what goes on for as long as a screen is shown: it ends for itself or is cancelled, and what else it throws is shown. */
    internal suspend fun accompany(work: suspend () -> Unit) {
        try {
            work()
        } catch (gone: CancellationException) {
            throw gone
        } catch (failure: Exception) {
            current.update { it.marked(sentence(failure), it.busy) }
        }
    }

    private fun begin(name: String): Boolean = synchronized(running) {
        running.add(name).also { first -> if (first) current.update { it.marked(null, true) } }
    }

    private fun end(name: String, problem: String?) = synchronized(running) {
        running.remove(name)
        current.update { it.marked(problem ?: it.problem, running.isNotEmpty()) }
    }
}

/** Something that was asked for and cannot be, in a sentence for people. */
internal class Problem(sentence: String) : Exception(sentence)

/** What a person reads: the library's own sentence, with a capital letter and a full stop. */
internal fun sentence(failure: Exception): String {
    val text = failure.message?.takeUnless { it.isBlank() } ?: "an error inside the app: ${failure::class.simpleName}"
    val end = if (text.last() in ".!?") "" else "."
    return text.replaceFirstChar { it.titlecase() } + end
}
