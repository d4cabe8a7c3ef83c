package org.virtualchannels.viewmodel

import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.launch
import kotlinx.coroutines.test.runCurrent
import kotlinx.coroutines.test.runTest
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertFalse
import org.junit.jupiter.api.Assertions.assertNull
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** What all models have in common. */
@OptIn(kotlinx.coroutines.ExperimentalCoroutinesApi::class)
class ModelTest {
    private data class Count(val count: Int = 0, override val problem: String? = null, override val busy: Boolean = false) :
        ScreenState<Count> {
        override fun marked(problem: String?, busy: Boolean) = copy(problem = problem, busy = busy)
    }

    private class Counter : Model<Count>(Count()) {
        suspend fun add(name: String = "add", work: suspend () -> Unit = {}) = act(name) {
            work()
            change { it.copy(count = it.count + 1) }
        }
    }

    private val model = Counter()

    @Test
    fun theSameActionRunsOnceAtATime() = runTest {
        val gate = CompletableDeferred<Unit>()
        val first = async { model.add { gate.await() } }
        runCurrent()
        assertTrue(model.state.value.busy)
        model.add()
        assertEquals(0, model.state.value.count)
        model.add("another")
        assertEquals(1, model.state.value.count)
        assertTrue(model.state.value.busy)
        gate.complete(Unit)
        first.await()
        assertEquals(Count(2), model.state.value)
    }

    @Test
    fun whatGoesWrongIsASentence() = runTest {
        model.add { throw Problem("no money") }
        assertEquals(Count(0, "No money."), model.state.value)
        model.add { throw IllegalStateException("why?") }
        assertEquals("Why?", model.state.value.problem)
        model.add { throw IllegalStateException() }
        assertEquals("An error inside the app: IllegalStateException.", model.state.value.problem)
        model.add()
        assertEquals(Count(1), model.state.value)
        model.add { throw Problem("again") }
        model.dismissProblem()
        assertEquals(Count(1), model.state.value)
    }

    @Test
    fun whatGoesOnBesideTheActionsIsNoActionOfItsOwn() = runTest {
        val beside = launch { model.accompany { awaitCancellation() } }
        runCurrent()
        model.add()
        assertEquals(Count(1), model.state.value, "not busy")
        beside.cancelAndJoin()
        assertTrue(beside.isCancelled)
        assertNull(model.state.value.problem, "the screen has gone")
        model.accompany { throw Problem("no disk") }
        assertEquals(Count(1, "No disk."), model.state.value)
    }

    @Test
    fun anActionThatIsCancelledLeavesNothingBusy() = runTest {
        val action = launch { model.add { awaitCancellation() } }
        runCurrent()
        assertTrue(model.state.value.busy)
        action.cancelAndJoin()
        assertFalse(model.state.value.busy)
        assertNull(model.state.value.problem)
        model.add()
        assertEquals(1, model.state.value.count)
    }
}
