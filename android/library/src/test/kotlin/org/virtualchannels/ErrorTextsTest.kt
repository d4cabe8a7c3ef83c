package org.virtualchannels

import java.nio.file.Path
import kotlin.io.path.extension
import kotlin.io.path.readText
import kotlin.io.path.walk
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/**
 * Type, fields and sentence of each error, as a Kotlin user sees them. How they come is in [ErrorsTest], [OperatorFaultsTest] and
 * [FilesTest].
 */
class ErrorTextsTest {
    @Test
    fun everyErrorHasItsSentence() {
        for ((error, sentence) in sentences) {
            assertEquals(sentence, error.message)
            assertEquals(sentence, error.toString())
        }
    }

    /** All that the generated code has. */
    private val all: Set<String> = WalletException::class.java.declaredClasses
        .filter { it.superclass == WalletException::class.java }.map { it.simpleName }.toSet()

    /** A new error without a sentence here fails. */
    @Test
    fun noErrorIsLeftOut() {
        assertTrue(all.size > 60, "${all.size} errors")
        assertEquals(all, sentences.map { it.first.javaClass.simpleName }.toSet())
    }

    /** Each error is brought about by a test, but for those of which [constructed] says why not. */
    @Test
    fun theOthersReallyCome() {
        val sources = Path.of("src/test/kotlin").walk().filter { it.extension == "kt" }.joinToString("\n") { it.readText() }
        val looks = listOf("assertThrows<WalletException\\.(\\w+)>", "as\\? WalletException\\.(\\w+)", "assertEquals\\(\"(\\w+)\", child\\.hear")
        val provoked = looks.flatMap { look -> Regex(look).findAll(sources).map { it.groupValues[1] } }.toSet()
        assertEquals(all - constructed, provoked.intersect(all))
    }

    /** Nothing that a test can do to a wallet brings these about. */
    private val constructed = setOf(
        // An accept is looked up by the offer it names, a payment by its channel: another one is not found.
        "OtherOffer", "OtherChannel",
        // The floor of the delays is not asked for on regtest, and a key that is not the operator's is OperatorAnswer.
        "UnsafeOperator",
        // After five minutes.
        "StillRunning",
        // A bug of the library.
        "Internal",
        // What is broadcast is built to be taken, and a full mempool is none of regtest's faults.
        "TransactionRejected",
        // Exits that are short of fees: the stories of tests/exits and tests/onchain.
        "InsufficientFeeCoins", "ReservedForExits",
    )

    @Test
    fun anErrorIsAnException() {
        val error: Exception = WalletException.Closed()
        assertEquals("the wallet is closed", error.localizedMessage)
        assertTrue(error.stackTraceToString().startsWith("the wallet is closed"))
    }

    private val sentences: List<Pair<WalletException, String>> = listOf(
        WalletException.InvalidText(reason = "checksum") to "the text cannot be read: checksum",
        WalletException.WrongMessage(expected = "a payment", got = "an invite") to "this is an invite, not a payment",
        WalletException.UnknownVersion(version = 7u) to "message version 7 is not known; update the app",
        WalletException.InvalidAddress() to "not an address of this network",
        WalletException.WrongNetwork(expected = "bitcoin", got = "regtest") to "network is regtest, expected bitcoin",
        WalletException.WrongOperator(expected = "aa", got = "bb") to "operator key is bb, expected aa",
        WalletException.InviteExpired(expiredAt = 10u, now = 20u) to "the invite expired at 10, it is 20",
        WalletException.InviteUsed() to "the invite has been used",
        WalletException.OtherInvite() to "the offer is for another invite",
        WalletException.OtherOffer() to "the accept is for another offer",
        WalletException.AcceptExpired(validUntil = 10u, now = 20u) to "the accept ended at 10, it is 20",
        WalletException.CloseRequestExpired(expiredAt = 10u, now = 20u) to
            "the close request ended at 10, it is 20: ask for a new one",
        WalletException.InvalidTerms(reason = "equal keys") to "the terms are not acceptable: equal keys",
        WalletException.CapacityOutOfBounds(capacity = 5.sats, minimum = 10.sats, maximum = 20.sats) to
            "capacity 5 is outside 10 to 20 sats",
        WalletException.LocktimeOutOfBounds(ahead = 5u, minimum = 10u, maximum = 20u) to
            "the refund locktime is 5 ahead, must be 10 to 20",
        WalletException.DeadlinesDoNotFit(locktime = 1u, expiry = 2u, closeBy = 3u, now = 4u) to
            "the deadlines do not fit: locktime 1, batch expiry 2, payments until 3, now 4",
        WalletException.PreconfirmedTooLarge(capacity = 30.sats, limit = 20.sats) to
            "a preconfirmed channel of 30 sats is above the 20 this wallet takes",
        WalletException.FundingNotUsable(reason = "is spent") to "the funding VTXO is not usable: it is spent",
        WalletException.NotConfirmed(txid = "ab", confirmations = 1u, needed = 2u) to
            "commitment transaction ab has 1 confirmations of 2",
        WalletException.NotOpened(reason = "nobody came") to "the channel was not opened: nobody came",
        WalletException.InvalidSignature(what = "ark signature") to "invalid ark signature",
        WalletException.UnknownCheckpointScript(channelId = "c1") to
            "channel c1: the payment fits no known operator setting; ask the payer to authorise again",
        WalletException.MissingAuthorisation(channelId = "c1") to
            "channel c1 has no authorisation yet; ask the payer to send it along",
        WalletException.ReauthorisationNeeded(channelId = "c1") to
            "the operator changed its settings; ask the payer of channel c1 to authorise again",
        WalletException.UnsafeOperator(reason = "too short") to "the operator's scripts are not acceptable: too short",
        WalletException.ZeroPayment() to "a payment must be at least one sat",
        WalletException.OverCapacity(amount = 5.sats, capacity = 4.sats) to "5 sats are more than the capacity of 4",
        WalletException.ImpossibleAmount(amount = 5.sats, capacity = 9.sats, below = null, above = 6.sats) to
            "5 of 9 sats is not possible; nearest: none below, 6 above",
        WalletException.InvalidPaymentId(limit = 64u) to "the payment id is empty or longer than 64 bytes",
        WalletException.Stale(amount = 5.sats, storedAmount = 6.sats, storedPayment = "vcu1") to
            "the payment to 5 sats is stale: 6 are stored",
        WalletException.Forked(amount = 5.sats, previous = 3.sats, storedAmount = 4.sats, storedPayment = "vcu1") to
            "the payment to 5 sats was built on 3, but 4 are stored",
        WalletException.CatchUpNeeded(channelId = "c1") to
            "channel c1 was restored: its latest payment must be seen before anything is signed in it",
        WalletException.OtherChannel(expected = "c1", got = "c2") to "payment is for channel c2, not c1",
        WalletException.NothingPaid() to "nothing has been paid yet",
        WalletException.PastCloseBy(channelId = "c1", closeBy = 10u, now = 20u) to
            "channel c1 takes no more payments since 10: it must be closed",
        WalletException.Blind(channelId = "c1", blindSeconds = 9u, maxBlindSeconds = 8u) to
            "the chain was last seen 9 s ago, payments are taken up to 8 s: go online",
        WalletException.InsufficientFunds(needed = 9.sats, available = 8.sats) to "9 sats are needed, 8 can be spent now",
        WalletException.InsufficientFeeCoins(needed = 9.sats, available = 8.sats, address = "bc1") to
            "9 sats in confirmed coins are needed for fees on chain, 8 can be used: pay to bc1",
        WalletException.ReservedForExits(exits = 2u, reserved = 9.sats, available = 8.sats) to
            "2 exits under way keep 9 sats on chain for their fees, 8 can be sent",
        WalletException.AmountTooSmall(amount = 1.sats, minimum = 330.sats) to
            "1 sats are less than the 330 that are possible here",
        WalletException.AmountTooLarge(amount = 9.sats, maximum = 8.sats) to "9 sats are more than the 8 that are possible here",
        WalletException.FeesLeaveTooLittle(fee = 5.sats, left = 4.sats, minimum = 330.sats) to
            "fees of 5 sats leave 4, less than the minimum of 330",
        WalletException.NothingToSettle() to "there is nothing to settle",
        WalletException.NeedsSettledVtxos(limit = 16u) to
            "an off-chain opening needs settled VTXOs (at most 16); settle first",
        WalletException.CoinLocked(outpoint = "ab:0") to "coin ab:0 is held by something under way",
        WalletException.NotFound() to "no invite, offer or channel of this wallet has that id",
        WalletException.WrongState(channelId = "c1", state = ChannelState.CLOSING, what = "paying") to
            "channel c1 is Closing: paying needs another state",
        WalletException.WrongRole(channelId = "c1", role = Role.RECEIVER) to
            "this wallet is the Receiver of channel c1, which cannot do that",
        WalletException.LocktimeNotReached(channelId = "c1", locktime = 20u, now = 10u) to
            "the locktime 20 of channel c1 has not passed: the chain says 10",
        WalletException.AlreadySpent(channelId = "c1", spentBy = "ab") to "the other side was first: channel c1 is spent by ab",
        WalletException.AlreadySpent(channelId = "c1", spentBy = null) to
            "the other side was first: channel c1 is spent by an unknown transaction",
        WalletException.Unrolled(channelId = "c1") to "channel c1 is on chain: it must be left on chain, too",
        WalletException.Expired(channelId = "c1", amount = 5.sats) to
            "channel c1 expired: 5 sats cannot be claimed through the operator any more",
        WalletException.FinalizeFailed(txid = "ab", reason = "no") to
            "transaction ab was submitted, and the operator refuses to finalize it: no",
        WalletException.OutcomeUnknown(txid = "ab") to "it is not known yet whether ab went through; resume to find out",
        WalletException.OperatorUnreachable(url = "http://x", reason = "no route") to
            "the operator at http://x cannot be reached: no route",
        WalletException.OperatorTimeout(call = "GetInfo", seconds = 15u) to "the operator did not answer GetInfo within 15 s",
        WalletException.OperatorRefused(call = "SubmitTx", code = 3, name = "VTXO_SPENT", reason = "spent", figures = mapOf("vtxo" to "ab:0")) to
            "the operator refused SubmitTx: VTXO_SPENT spent",
        WalletException.OperatorAnswer(reason = "empty") to "the operator's answer is not usable: empty",
        WalletException.BatchFailed(reason = "aborted") to "the batch came to nothing: aborted",
        WalletException.ChainUnreachable(url = "http://x", reason = "no route") to
            "the chain server at http://x cannot be reached: no route",
        WalletException.ChainAnswer(reason = "empty") to "the chain server's answer is not usable: empty",
        WalletException.TransactionRejected(reason = "min fee") to "the network did not take the transaction: min fee",
        WalletException.InvalidMnemonic() to
            "these are not 12 to 24 words of a BIP39 mnemonic with a right checksum",
        WalletException.InvalidUrl(url = "x", reason = "no scheme") to "x is no usable address: no scheme",
        WalletException.Closed() to "the wallet is closed",
        WalletException.DatabaseReleased() to "the database is released: reopen it first",
        WalletException.StillRunning(seconds = 300u) to "not done within 300 s: it goes on in the background",
        WalletException.OtherWallet(reason = "other words") to "the database belongs to another wallet: other words",
        WalletException.OtherBackup(what = "mnemonic") to "the backup is of another mnemonic",
        WalletException.NotADatabase() to "the file is not a wallet database",
        WalletException.DatabaseNewer(found = 9, known = 7) to
            "the database is of a newer version (9, this one knows up to 7); update the app",
        WalletException.DatabaseCorrupt(what = "page 3") to "the database is corrupt: page 3",
        WalletException.DatabaseFull() to "no space left for the database",
        WalletException.DatabaseReadOnly() to "the database cannot be written",
        WalletException.DatabaseBusy() to "the database is in use by another process that does not let go",
        WalletException.DatabaseFailed(reason = "disk I/O error") to "the database: disk I/O error",
        WalletException.TooMany(limit = 10u) to "at most 10 at once",
        WalletException.Internal(detail = "a bug") to "an error inside the library: a bug",
    )
}
