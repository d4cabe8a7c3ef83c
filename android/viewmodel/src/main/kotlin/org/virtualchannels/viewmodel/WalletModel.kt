package org.virtualchannels.viewmodel

import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.launch
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import org.virtualchannels.Balance
import org.virtualchannels.Event
import org.virtualchannels.RestoreReport
import org.virtualchannels.Settlement
import org.virtualchannels.VirtualChannels
import org.virtualchannels.Wallet
import org.virtualchannels.WalletConfig
import org.virtualchannels.WalletException
import org.virtualchannels.follow
import org.virtualchannels.waitingEvents

/** Where the mnemonic is kept: behind the Android Keystore in an app, in memory in a test. */
fun interface MnemonicSource {
    /** The twelve words. The first time it makes them ([VirtualChannels.newMnemonic]) and keeps them before it answers. */
    suspend fun mnemonic(): String
}

/** Whether there is a wallet to work with. */
enum class WalletPhase {
    /** Not opened yet, or shut down. */
    CLOSED,

    /** All other models can be used. */
    OPEN,

    /** The database is let go of, until [WalletModel.wake]. */
    RESTING,
}

/** What the wallet's own screen shows. */
data class WalletState(
    /** Whether there is a wallet to work with. */
    val phase: WalletPhase = WalletPhase.CLOSED,
    /** What the wallet holds, as it was seen last: without a network also by an earlier run of the app. */
    val balance: Balance? = null,
    /** When that was, in unix seconds. */
    val balanceAt: ULong? = null,
    /** Coins that are sent here can be settled. */
    val boardingAddress: String? = null,
    /** What [WalletModel.restore] found, and what it could not do. */
    val restored: RestoreReport? = null,
    /** What the last settling brought. */
    val settled: Settlement? = null,
    /** When [WalletModel.maintain] should run next, in unix seconds. */
    val nextRun: ULong? = null,
    /** What a person must act upon, the oldest first; kept up by [WalletModel.follow]. */
    val notices: List<Notice> = emptyList(),
    /** The static backup, while it is shown: to be kept anywhere, beside the mnemonic. */
    val backup: String? = null,
    override val problem: String? = null,
    override val busy: Boolean = false,
) : ScreenState<WalletState> {
    override fun marked(problem: String?, busy: Boolean): WalletState = copy(problem = problem, busy = busy)

    /** Without the backup, which has no business in a log. */
    override fun toString(): String =
        "WalletState(phase=$phase, balance=$balance, balanceAt=$balanceAt, boardingAddress=$boardingAddress, restored=$restored, " +
            "settled=$settled, nextRun=$nextRun, notices=$notices, problem=$problem, busy=$busy)"
}

/**
 * Opens the wallet and keeps it in order.
 *
 * @param config where database, operator and chain server are.
 * @param mnemonics asked once, when the wallet is opened.
 */
class WalletModel(private val config: WalletConfig, private val mnemonics: MnemonicSource) : Model<WalletState>(WalletState()) {
    /** The wallet, for the other models; null until it is open. */
    @Volatile
    var wallet: Wallet? = null
        private set

    /** Going to rest and waking up come in the order they were asked for. */
    private val turn = Mutex()

    /** Held while the wallet is opened or shut down: it is never open twice. */
    private val door = Mutex()

    /**
     * Opens the wallet and goes on with what was interrupted. Without a network it opens all the same, but for the first time. Who
     * calls while it is opened already, as a screen beside a worker, waits for that.
     */
    suspend fun open() {
        door.withLock {
            if (wallet != null) return
            act("open") { openOnce() }
        }
        // Nobody has to wait for the network with this.
        resume()
    }

    /**
     * Makes the wallet again from its words, in place of [open]: where the words are there and the database is not. With a [backup]
     * (what [backUp] showed) also its channels. [WalletState.restored] says what was found; where it warns of a server that was
     * away, [shutdown] and this once more add what is missing.
     */
    suspend fun restore(backup: String? = null) {
        var restored = false
        door.withLock {
            act("restore") {
                if (wallet != null) throw Problem("the wallet is open already")
                val answer = VirtualChannels.restore(config, mnemonics.mnemonic(), backup?.trim())
                adopt(answer.wallet)
                change { it.copy(restored = answer.report) }
                restored = true
            }
        }
        // What did not work stays on the screen.
        if (restored) resume()
    }

    private suspend fun openOnce() = adopt(VirtualChannels.open(config, mnemonics.mnemonic()))

    private suspend fun adopt(opened: Wallet) {
        try {
            val address = opened.boardingAddress()
            val last = opened.lastBalance()
            wallet = opened
            change {
                it.copy(phase = WalletPhase.OPEN, boardingAddress = address, balance = last?.balance, balanceAt = last?.at)
            }
        } finally {
            // Else nobody has it who could close it.
            if (wallet == null) opened.close()
        }
    }

    /** Asks operator and chain what the wallet holds. */
    suspend fun refresh() = act("refresh") { look(opened()) }

    /**
     * Moves coins at the boarding address, and whatever channels left behind, into a batch: from then on it is final. Takes as
     * long as the operator's next batch.
     */
    suspend fun settle() = act("settle") {
        val wallet = opened()
        val settlement = wallet.settleAfter(state.value.settled)
        change { it.copy(settled = settlement) }
        look(wallet)
    }

    /**
     * Does what is due, in the background now and then: goes on with what was interrupted, looks at every channel that has not
     * ended, closes what takes no more payments, takes back what is past its locktime, and settles. [WalletState.nextRun] says
     * when to come back.
     */
    suspend fun maintain() = act("maintain") {
        val report = opened().maintain()
        change { it.copy(nextRun = report.nextRun, settled = report.settled ?: it.settled) }
        // What failed did not stop the rest.
        report.errors.firstOrNull()?.let { throw it.error }
    }

    /**
     * Lets go of the database, such as before its file is copied or moved; what is under way goes on after [wake]. (On iOS an app
     * must do so whenever it goes to the background; on Android it need not.)
     */
    suspend fun rest() = turn.withLock {
        // What is opened just now would hold the database.
        door.withLock {
            act("rest") {
                val wallet = wallet ?: return@act
                wallet.releaseDatabase()
                change { it.copy(phase = WalletPhase.RESTING) }
            }
        }
    }

    /** Picks the database up again, and goes on with what was interrupted. */
    suspend fun wake() {
        turn.withLock {
            // Why it does not open stays on the screen.
            wallet?.takeIf { state.value.phase == WalletPhase.RESTING }?.let { wallet ->
                act("wake") {
                    wallet.reopenDatabase()
                    change { it.copy(phase = WalletPhase.OPEN) }
                }
            }
        }
        // Not in turn: it may take its time with the network, and going to rest must not wait for that.
        resume()
    }

    /**
     * The wallet's static backup, to be shown: [WalletState.backup]. It is to be kept anywhere, once after each opening of a
     * channel; it is encrypted, and nothing without the mnemonic.
     */
    suspend fun backUp() = act("backUp") {
        val text = opened().backup()
        change { it.copy(backup = text) }
    }

    /** Takes the backup off the screen. */
    fun hideBackup() = change { it.copy(backup = null) }

    /**
     * Does at once what [maintain] does now and then, looks again whenever something has happened, and keeps
     * [WalletState.notices], until the coroutine is cancelled or the wallet shut down: launch it while the app is in the foreground.
     *
     * It acknowledges every event that is no notice: an app that wants them for itself collects the wallet's `events()` instead.
     *
     * @param poll how often the chain is asked for a new block.
     */
    suspend fun follow(poll: Duration = 30.seconds) {
        val wallet = wallet ?: return
        coroutineScope {
            launch { accompany { wallet.follow(poll) } }
            val news = Channel<Unit>(Channel.CONFLATED)
            // Beside the events: a server that takes its time holds up no notice.
            launch { for (one in news) lookAgain(wallet) }
            accompany { wallet.waitingEvents().collect { events -> if (take(events, wallet)) news.send(Unit) } }
            news.close()
        }
    }

    /** A person has acted upon it: it does not come again. */
    suspend fun dismiss(notice: Notice) = act("dismiss ${notice.id}") {
        opened().acknowledgeEvent(notice.id)
        change { state -> state.copy(notices = state.notices.filterNot { it.id == notice.id }) }
    }

    /** Ends: waits for what is under way and lets go of the database. [open] opens it again. */
    suspend fun shutdown() = door.withLock {
        act("shutdown") {
            val wallet = wallet ?: return@act
            this.wallet = null
            change { it.copy(phase = WalletPhase.CLOSED) }
            wallet.use { it.shutdown() }
        }
    }

    private suspend fun resume() {
        val wallet = wallet?.takeIf { state.value.phase == WalletPhase.OPEN } ?: return
        act("resume") { unlessAway { wallet.resume() } }
    }

    /** Shows the notices among the events, and acknowledges the others; answers whether there were any. */
    private suspend fun take(events: List<Event>, wallet: Wallet): Boolean {
        val notices = events.mapNotNull(Notice::of)
        change { it.copy(notices = notices) }
        val others = events.mapNotNull { it.token } - notices.map { it.id }.toSet()
        // Where it is released just now they come again.
        unlessAway { others.forEach { wallet.acknowledgeEvent(it) } }
        return others.isNotEmpty()
    }

    /** Without a network the last balance stays, with the time when it was seen. */
    private suspend fun lookAgain(wallet: Wallet) {
        try {
            look(wallet)
        } catch (_: WalletException) {
            // A person who wants to know why asks with [refresh].
        }
    }

    /** Does what can as well be done later, and leaves it where the wallet rests or has ended meanwhile. */
    private suspend fun unlessAway(call: suspend () -> Unit) {
        try {
            call()
        } catch (away: WalletException) {
            if (away !is WalletException.DatabaseReleased && away !is WalletException.Closed) throw away
        }
    }

    private fun opened(): Wallet = wallet ?: throw Problem("the wallet is not open")

    private suspend fun look(wallet: Wallet) {
        val balance = wallet.balance()
        val now = System.currentTimeMillis().toULong() / 1_000u
        change { it.copy(balance = balance, balanceAt = now) }
    }
}
