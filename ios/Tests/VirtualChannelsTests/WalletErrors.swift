import VirtualChannels

/// One of every error, with the sentence that a person reads.
enum WalletErrors {
    static var all: [WalletError] { sentences.map(\.0) }

    static let sentences: [(WalletError, String)] = texts + opening + signatures + paying + money + channels + servers + database

    private static let texts: [(WalletError, String)] = [
        (.InvalidText(reason: "bad checksum"), "the text cannot be read: bad checksum"),
        (.WrongMessage(expected: "an invite", got: "an offer"), "this is an offer, not an invite"),
        (.UnknownVersion(version: 9), "message version 9 is not known; update the app"),
        (.InvalidAddress, "not an address of this network"),
    ]

    private static let opening: [(WalletError, String)] = [
        (.WrongNetwork(expected: "bitcoin", got: "regtest"), "network is regtest, expected bitcoin"),
        (.WrongOperator(expected: "02aa", got: "02bb"), "operator key is 02bb, expected 02aa"),
        (.InviteExpired(expiredAt: 10, now: 11), "the invite expired at 10, it is 11"),
        (.InviteUsed, "the invite has been used"),
        (.OtherInvite, "the offer is for another invite"),
        (.OtherOffer, "the accept is for another offer"),
        (.AcceptExpired(validUntil: 10, now: 11), "the accept ended at 10, it is 11"),
        (.CloseRequestExpired(expiredAt: 10, now: 11), "the close request ended at 10, it is 11: ask for a new one"),
        (.InvalidTerms(reason: "equal keys"), "the terms are not acceptable: equal keys"),
        (.CapacityOutOfBounds(capacity: 5, minimum: 10, maximum: 20), "capacity 5 is outside 10 to 20 sats"),
        (.LocktimeOutOfBounds(ahead: 5, minimum: 10, maximum: 20), "the refund locktime is 5 ahead, must be 10 to 20"),
        (
            .DeadlinesDoNotFit(locktime: 1, expiry: 2, closeBy: 3, now: 4),
            "the deadlines do not fit: locktime 1, batch expiry 2, payments until 3, now 4"
        ),
        (.PreconfirmedTooLarge(capacity: 20, limit: 10), "a preconfirmed channel of 20 sats is above the 10 this wallet takes"),
        (.FundingNotUsable(reason: "is spent"), "the funding VTXO is not usable: it is spent"),
        (.NotConfirmed(txid: "aa", confirmations: 1, needed: 2), "commitment transaction aa has 1 confirmations of 2"),
        (.NotOpened(reason: "silence"), "the channel was not opened: silence"),
    ]

    private static let signatures: [(WalletError, String)] = [
        (.InvalidSignature(what: "payer signature"), "invalid payer signature"),
        (
            .UnknownCheckpointScript(channelId: "c"),
            "channel c: the payment fits no known operator setting; ask the payer to authorise again"
        ),
        (.MissingAuthorisation(channelId: "c"), "channel c has no authorisation yet; ask the payer to send it along"),
        (.ReauthorisationNeeded(channelId: "c"), "the operator changed its settings; ask the payer of channel c to authorise again"),
        (.UnsafeOperator(reason: "no delay"), "the operator's scripts are not acceptable: no delay"),
    ]

    private static let paying: [(WalletError, String)] = [
        (.ZeroPayment, "a payment must be at least one sat"),
        (.OverCapacity(amount: 20, capacity: 10), "20 sats are more than the capacity of 10"),
        (
            .ImpossibleAmount(amount: 20, capacity: 500, below: nil, above: 330),
            "20 of 500 sats is not possible; nearest: none below, 330 above"
        ),
        (.InvalidPaymentId(limit: 64), "the payment id is empty or longer than 64 bytes"),
        (.Stale(amount: 1, storedAmount: 2, storedPayment: "vc"), "the payment to 1 sats is stale: 2 are stored"),
        (
            .Forked(amount: 3, previous: 1, storedAmount: 2, storedPayment: "vc"),
            "the payment to 3 sats was built on 1, but 2 are stored"
        ),
        (
            .CatchUpNeeded(channelId: "c"),
            "channel c was restored: its latest payment must be seen before anything is signed in it"
        ),
        (.OtherChannel(expected: "c", got: "d"), "payment is for channel d, not c"),
        (.NothingPaid, "nothing has been paid yet"),
        (.PastCloseBy(channelId: "c", closeBy: 10, now: 11), "channel c takes no more payments since 10: it must be closed"),
        (
            .Blind(channelId: "c", blindSeconds: 20, maxBlindSeconds: 10),
            "the chain was last seen 20 s ago, payments are taken up to 10 s: go online"
        ),
    ]

    private static let money: [(WalletError, String)] = [
        (.InsufficientFunds(needed: 20, available: 10), "20 sats are needed, 10 can be spent now"),
        (
            .InsufficientFeeCoins(needed: 9, available: 8, address: "bc1"),
            "9 sats in confirmed coins are needed for fees on chain, 8 can be used: pay to bc1"
        ),
        (
            .ReservedForExits(exits: 2, reserved: 9, available: 8),
            "2 exits under way keep 9 sats on chain for their fees, 8 can be sent"
        ),
        (.AmountTooSmall(amount: 1, minimum: 10), "1 sats are less than the 10 that are possible here"),
        (.AmountTooLarge(amount: 20, maximum: 10), "20 sats are more than the 10 that are possible here"),
        (.FeesLeaveTooLittle(fee: 20, left: 1, minimum: 10), "fees of 20 sats leave 1, less than the minimum of 10"),
        (.NothingToSettle, "there is nothing to settle"),
        (.NeedsSettledVtxos(limit: 3), "an off-chain opening needs settled VTXOs (at most 3); settle first"),
        (.CoinLocked(outpoint: "aa:0"), "coin aa:0 is held by something under way"),
    ]

    private static let channels: [(WalletError, String)] = [
        (.NotFound, "no invite, offer or channel of this wallet has that id"),
        (.WrongState(channelId: "c", state: .closed, what: "paying"), "channel c is Closed: paying needs another state"),
        (.WrongRole(channelId: "c", role: .payer), "this wallet is the Payer of channel c, which cannot do that"),
        (.LocktimeNotReached(channelId: "c", locktime: 11, now: 10), "the locktime 11 of channel c has not passed: the chain says 10"),
        (.AlreadySpent(channelId: "c", spentBy: "aa"), "the other side was first: channel c is spent by aa"),
        (.AlreadySpent(channelId: "c", spentBy: nil), "the other side was first: channel c is spent by an unknown transaction"),
        (.Unrolled(channelId: "c"), "channel c is on chain: it must be left on chain, too"),
        (.Expired(channelId: "c", amount: 10), "channel c expired: 10 sats cannot be claimed through the operator any more"),
        (
            .FinalizeFailed(txid: "aa", reason: "no"),
            "transaction aa was submitted, and the operator refuses to finalize it: no"
        ),
        (.OutcomeUnknown(txid: "aa"), "it is not known yet whether aa went through; resume to find out"),
    ]

    private static let servers: [(WalletError, String)] = [
        (.OperatorUnreachable(url: "http://x", reason: "refused"), "the operator at http://x cannot be reached: refused"),
        (.OperatorTimeout(call: "GetInfo", seconds: 10), "the operator did not answer GetInfo within 10 s"),
        (
            .OperatorRefused(call: "SubmitTx", code: 7, name: "TX_REJECTED", reason: "no", figures: ["dust": "330"]),
            "the operator refused SubmitTx: TX_REJECTED no"
        ),
        (.OperatorAnswer(reason: "no key"), "the operator's answer is not usable: no key"),
        (.BatchFailed(reason: "no batch"), "the batch came to nothing: no batch"),
        (.ChainUnreachable(url: "http://y", reason: "refused"), "the chain server at http://y cannot be reached: refused"),
        (.ChainAnswer(reason: "no height"), "the chain server's answer is not usable: no height"),
        (.TransactionRejected(reason: "min fee"), "the network did not take the transaction: min fee"),
    ]

    private static let database: [(WalletError, String)] = [
        (.InvalidMnemonic, "these are not 12 to 24 words of a BIP39 mnemonic with a right checksum"),
        (.InvalidUrl(url: "x", reason: "no scheme"), "x is no usable address: no scheme"),
        (.Closed, "the wallet is closed"),
        (.OtherWallet(reason: "other keys"), "the database belongs to another wallet: other keys"),
        (.OtherBackup(what: "mnemonic"), "the backup is of another mnemonic"),
        (.NotADatabase, "the file is not a wallet database"),
        (.DatabaseNewer(found: 9, known: 3), "the database is of a newer version (9, this one knows up to 3); update the app"),
        (.DatabaseCorrupt(what: "a row"), "the database is corrupt: a row"),
        (.DatabaseFull, "no space left for the database"),
        (.DatabaseReadOnly, "the database cannot be written"),
        (.DatabaseReleased, "the database is released: reopen it first"),
        (.DatabaseBusy, "the database is in use by another process that does not let go"),
        (.DatabaseFailed(reason: "disk"), "the database: disk"),
        (.StillRunning(seconds: 240), "not done within 240 s: it goes on in the background"),
        (.TooMany(limit: 1_000), "at most 1000 at once"),
        (.Internal(detail: "a bug"), "an error inside the library: a bug"),
    ]
}
