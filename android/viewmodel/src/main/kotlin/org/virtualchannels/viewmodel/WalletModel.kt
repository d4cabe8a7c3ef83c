package org.virtualchannels.viewmodel

import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import org.virtualchannels.Balance
import org.virtualchannels.Settlement
import org.virtualchannels.VirtualChannels
import org.virtualchannels.Wallet
import org.virtualchannels.WalletConfig

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
    /** What the last settling brought. */
    val settled: Settlement? = null,
    /** When [WalletModel.maintain] should run next, in unix seconds. */
    val nextRun: ULong? = null,
    override val problem: String? = null,
    override val busy: Boolean = false,
) : ScreenState<WalletState> {
    override fun marked(problem: String?, busy: Boolean): WalletState = copy(problem = problem, busy = busy)
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

    /** Opens the wallet and goes on with what was interrupted. Without a network it opens all the same, but for the first time. */
    suspend fun open() = act("open") {
        if (wallet != null) return@act
        val opened = VirtualChannels.open(config, mnemonics.mnemonic())
        wallet = opened
        val address = opened.boardingAddress()
        val last = opened.lastBalance()
        change {
            it.copy(phase = WalletPhase.OPEN, boardingAddress = address, balance = last?.balance, balanceAt = last?.at)
        }
        opened.resume()
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
        act("rest") {
            val wallet = wallet ?: return@act
            wallet.releaseDatabase()
            change { it.copy(phase = WalletPhase.RESTING) }
        }
    }

    /** Picks the database up again, and goes on with what was interrupted. */
    suspend fun wake() = turn.withLock {
        act("wake") {
            val wallet = wallet?.takeIf { state.value.phase == WalletPhase.RESTING } ?: return@act
            wallet.reopenDatabase()
            change { it.copy(phase = WalletPhase.OPEN) }
            wallet.resume()
        }
    }

    /** Ends: waits for what is under way and lets go of the database. [open] opens it again. */
    suspend fun shutdown() = act("shutdown") {
        val wallet = wallet ?: return@act
        this.wallet = null
        change { it.copy(phase = WalletPhase.CLOSED) }
        wallet.use { it.shutdown() }
    }

    private fun opened(): Wallet = wallet ?: throw Problem("the wallet is not open")

    private suspend fun look(wallet: Wallet) {
        val balance = wallet.balance()
        val now = System.currentTimeMillis().toULong() / 1_000u
        change { it.copy(balance = balance, balanceAt = now) }
    }
}
