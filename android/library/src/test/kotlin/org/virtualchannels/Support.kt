package org.virtualchannels

import kotlinx.coroutines.delay

/** The longest that anything is waited for, in milliseconds. */
const val PATIENCE: Long = 60_000

/** JUnit's own takes no suspending function. */
inline fun <reified E : Throwable> assertThrows(call: () -> Unit): E {
    try {
        call()
    } catch (thrown: Throwable) {
        if (thrown is E) return thrown
        throw AssertionError("expected ${E::class.simpleName}, got $thrown", thrown)
    }
    throw AssertionError("expected ${E::class.simpleName}, nothing was thrown")
}

/** Asks again and again until it is so. */
suspend fun eventually(what: String, everyMillis: Long = 100, condition: suspend () -> Boolean) {
    val end = System.nanoTime() + PATIENCE * 1_000_000
    while (!condition()) {
        check(System.nanoTime() < end) { "waited ${PATIENCE / 1000} s for $what" }
        delay(everyMillis)
    }
}
