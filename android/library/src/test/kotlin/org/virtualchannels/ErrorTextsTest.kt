package org.virtualchannels

import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Assertions.assertTrue
import org.junit.jupiter.api.Test

/** Type, fields and sentence of each error, as a Kotlin user sees them. Which of them really come is in [ErrorsTest]. */
class ErrorTextsTest {
    @Test
    fun everyErrorHasItsSentence() {
        for ((error, sentence) in sentences) {
            assertEquals(sentence, error.message)
            assertEquals(sentence, error.toString())
        }
    }

    /** A new error without a sentence here fails. */
    @Test
    fun noErrorIsLeftOut() {
        val all = WalletException::class.java.declaredClasses.filter { it.superclass == WalletException::class.java }
        assertTrue(all.size > 60, "${all.size} errors")
        assertEquals(all.map { it.simpleName }.toSet(), sentences.map { it.first.javaClass.simpleName }.toSet())
    }

    @Test
    fun anErrorIsAnException() {
        val error: Exception = WalletException.Closed()
        assertEquals("the wallet is closed", error.localizedMessage)
        assertTrue(error.stackTraceToString().startsWith("the wallet is closed"))
    }

    private val sentences: List<Pair<WalletException, String>> = listOf(
        WalletException.InvalidText("checksum") to "the text cannot be read: checksum",
        WalletException.WrongMessage("a payment", "an invite") to "this is an invite, not a payment",
        WalletException.UnknownVersion(7u) to "message version 7 is not known; update the app",
        WalletException.InvalidAddress() to "not an address of this network",
        WalletException.WrongNetwork("bitcoin", "regtest") to "network is regtest, expected bitcoin",
        WalletException.WrongOperator("aa", "bb") to "operator key is bb, expected aa",
        WalletException.InviteExpired(10u, 20u) to "the invite expired at 10, it is 20",
        WalletException.InviteUsed() to "the invite has been used",
        WalletException.OtherInvite() to "the offer is for another invite",
        WalletException.OtherOffer() to "the accept is for another offer",
        WalletException.AcceptExpired(10u, 20u) to "the accept ended at 10, it is 20",
        WalletException.InvalidTerms("equal keys") to "the terms are not acceptable: equal keys",
        WalletException.CapacityOutOfBounds(5.sats, 10.sats, 20.sats) to "capacity 5 is outside 10 to 20 sats",
        WalletException.LocktimeOutOfBounds(5u, 10u, 20u) to "the refund locktime is 5 ahead, must be 10 to 20",
        WalletException.DeadlinesDoNotFit(1u, 2u, 3u, 4u) to
            "the deadlines do not fit: locktime 1, batch expiry 2, payments until 3, now 4",
        WalletException.PreconfirmedTooLarge(30.sats, 20.sats) to
            "a preconfirmed channel of 30 sats is above the 20 this wallet takes",
        WalletException.FundingNotUsable("is spent") to "the funding VTXO is not usable: it is spent",
        WalletException.NotConfirmed("ab", 1u, 2u) to "commitment transaction ab has 1 confirmations of 2",
        WalletException.NotOpened("nobody came") to "the channel was not opened: nobody came",
        WalletException.InvalidSignature("ark signature") to "invalid ark signature",
        WalletException.UnknownCheckpointScript("c1") to
            "channel c1: the payment fits no known operator setting; ask the payer to authorise again",
        WalletException.MissingAuthorisation("c1") to
            "channel c1 has no authorisation yet; ask the payer to send it along",
        WalletException.ReauthorisationNeeded("c1") to
            "the operator changed its settings; ask the payer of channel c1 to authorise again",
        WalletException.UnsafeOperator("too short") to "the operator's scripts are not acceptable: too short",
        WalletException.ZeroPayment() to "a payment must be at least one sat",
        WalletException.OverCapacity(5.sats, 4.sats) to "5 sats are more than the capacity of 4",
        WalletException.ImpossibleAmount(5.sats, 9.sats, null, 6.sats) to
            "5 of 9 sats is not possible; nearest: none below, 6 above",
        WalletException.InvalidPaymentId(64u) to "the payment id is empty or longer than 64 bytes",
        WalletException.Stale(5.sats, 6.sats, "vcu1") to "the payment to 5 sats is stale: 6 are stored",
        WalletException.Forked(5.sats, 3.sats, 4.sats, "vcu1") to
            "the payment to 5 sats was built on 3, but 4 are stored",
        WalletException.OtherChannel("c1", "c2") to "payment is for channel c2, not c1",
        WalletException.NothingPaid() to "nothing has been paid yet",
        WalletException.PastCloseBy("c1", 10u, 20u) to "channel c1 takes no more payments since 10: it must be closed",
        WalletException.Blind("c1", 9u, 8u) to
            "the chain was last seen 9 s ago, payments are taken up to 8 s: go online",
        WalletException.InsufficientFunds(9.sats, 8.sats) to "9 sats are needed, 8 can be spent now",
        WalletException.AmountTooSmall(1.sats, 330.sats) to "1 sats are less than the 330 that are possible here",
        WalletException.AmountTooLarge(9.sats, 8.sats) to "9 sats are more than the 8 that are possible here",
        WalletException.FeesLeaveTooLittle(5.sats, 4.sats, 330.sats) to
            "fees of 5 sats leave 4, less than the minimum of 330",
        WalletException.NothingToSettle() to "there is nothing to settle",
        WalletException.NeedsSettledVtxos(16u) to
            "an off-chain opening needs settled VTXOs (at most 16); settle first",
        WalletException.CoinLocked("ab:0") to "coin ab:0 is held by something under way",
        WalletException.NotFound() to "no invite, offer or channel of this wallet has that id",
        WalletException.WrongState("c1", ChannelState.CLOSING, "paying") to
            "channel c1 is Closing: paying needs another state",
        WalletException.WrongRole("c1", Role.RECEIVER) to
            "this wallet is the Receiver of channel c1, which cannot do that",
        WalletException.LocktimeNotReached("c1", 20u, 10u) to
            "the locktime 20 of channel c1 has not passed: the chain says 10",
        WalletException.AlreadySpent("c1", "ab") to "the other side was first: channel c1 is spent by ab",
        WalletException.AlreadySpent("c1", null) to
            "the other side was first: channel c1 is spent by an unknown transaction",
        WalletException.Unrolled("c1") to "channel c1 is on chain: it must be left on chain, too",
        WalletException.Expired("c1", 5.sats) to
            "channel c1 expired: 5 sats cannot be claimed through the operator any more",
        WalletException.FinalizeFailed("ab", "no") to
            "transaction ab was submitted, and the operator refuses to finalize it: no",
        WalletException.OutcomeUnknown("ab") to "it is not known yet whether ab went through; resume to find out",
        WalletException.OperatorUnreachable("http://x", "no route") to
            "the operator at http://x cannot be reached: no route",
        WalletException.OperatorTimeout("GetInfo", 15u) to "the operator did not answer GetInfo within 15 s",
        WalletException.OperatorRefused("SubmitTx", 3, "VTXO_SPENT", "spent", mapOf("vtxo" to "ab:0")) to
            "the operator refused SubmitTx: VTXO_SPENT spent",
        WalletException.OperatorAnswer("empty") to "the operator's answer is not usable: empty",
        WalletException.BatchFailed("aborted") to "the batch came to nothing: aborted",
        WalletException.ChainUnreachable("http://x", "no route") to
            "the chain server at http://x cannot be reached: no route",
        WalletException.ChainAnswer("empty") to "the chain server's answer is not usable: empty",
        WalletException.TransactionRejected("min fee") to "the network did not take the transaction: min fee",
        WalletException.InvalidMnemonic() to
            "these are not 12 to 24 words of a BIP39 mnemonic with a right checksum",
        WalletException.InvalidUrl("x", "no scheme") to "x is no usable address: no scheme",
        WalletException.Closed() to "the wallet is closed",
        WalletException.DatabaseReleased() to "the database is released: reopen it first",
        WalletException.StillRunning(300u) to "not done within 300 s: it goes on in the background",
        WalletException.OtherWallet("other words") to "the database belongs to another wallet: other words",
        WalletException.NotADatabase() to "the file is not a wallet database",
        WalletException.DatabaseNewer(9, 7) to
            "the database is of a newer version (9, this one knows up to 7); update the app",
        WalletException.DatabaseCorrupt("page 3") to "the database is corrupt: page 3",
        WalletException.DatabaseFull() to "no space left for the database",
        WalletException.DatabaseReadOnly() to "the database cannot be written",
        WalletException.DatabaseBusy() to "the database is in use by another process that does not let go",
        WalletException.DatabaseFailed("disk I/O error") to "the database: disk I/O error",
        WalletException.TooMany(10u) to "at most 10 at once",
        WalletException.Internal("a bug") to "an error inside the library: a bug",
    )
}
