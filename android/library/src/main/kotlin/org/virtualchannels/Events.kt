package org.virtualchannels

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/**
 * The wallet's events, in their order, until the wallet is closed.
 *
 * An event is acknowledged once the collector has dealt with it, and comes again, also after a restart of the app, where it
 * has not: when the collector throws or is cancelled before its end, or the process dies. So deal with an event in a way that
 * may happen twice. An operator that takes events on before they are dealt with (`buffer`, `conflate`, `flowOn` to another
 * dispatcher, `shareIn`) acknowledges them as soon as it has them; [Event.kind] [EventKind.Progress] is shown only, and comes
 * once.
 *
 * One collector at a time: two would both see the event that waits. While the database is released it waits. Throws what else
 * [Wallet.nextEvent] and [Wallet.acknowledgeEvent] throw, but for [WalletException.Closed], which ends the flow.
 */
fun WalletInterface.events(): Flow<Event> = flow {
    while (true) {
        val event = openOrNull { nextEvent() } ?: return@flow
        emit(event)
        event.token?.let { token -> openOrNull { acrossRelease { acknowledgeEvent(token) } } ?: return@flow }
    }
}

/**
 * All events that wait to be acknowledged: now, and again after each change. Unlike [events] it goes on behind one that is not
 * acknowledged, and acknowledges none: for what stays on a screen until somebody has dealt with it.
 *
 * Any number of collectors may run. While the database is released it waits. Throws what else [Wallet.pendingEvents] throws, but
 * for [WalletException.Closed], which ends the flow.
 */
fun WalletInterface.waitingEvents(): Flow<List<Event>> = afterEachChange { pendingEvents(AT_ONCE) }

private const val AT_ONCE = 1_000u
