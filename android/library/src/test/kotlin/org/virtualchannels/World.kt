package org.virtualchannels

import java.nio.file.Path
import org.junit.jupiter.api.Assertions.assertEquals

/** What wallets need around them: a regtest, and a folder for their files. */
class World(val regtest: RegtestProcess, private val folder: Path) {
    /** How a wallet of this name is set up. */
    fun config(name: String): WalletConfig = WalletConfig(
        databasePath = folder.resolve("$name.db").toString(),
        network = Network.REGTEST,
        operatorUrl = regtest.operator,
        esploraUrl = regtest.esplora,
    )

    /** A new wallet. */
    suspend fun wallet(name: String): Wallet = VirtualChannels.open(config(name), VirtualChannels.newMnemonic())

    /** Coins on chain at the wallet's boarding address, confirmed. */
    suspend fun fund(wallet: Wallet, amount: Sats) {
        regtest.pay(wallet.boardingAddress(), amount.value)
        regtest.mine(1)
        eventually("the coins") { wallet.balance().boarding >= amount }
    }

    /** Settles, and waits for the confirmation. */
    suspend fun settle(wallet: Wallet): Settlement {
        val before = wallet.balance().settled
        val settlement = wallet.settle()
        regtest.mine(1)
        eventually("the batch") { wallet.balance().settled > before }
        return settlement
    }

    /** Money that channels can be opened from. */
    suspend fun enrich(wallet: Wallet, amount: Sats) {
        fund(wallet, amount)
        settle(wallet)
    }

    /** Opens a channel in a batch from settled money; both sides know that it is open. */
    suspend fun open(payer: Wallet, receiver: Wallet, capacity: Sats): String {
        val invite = receiver.createInvite(InviteRequest())
        val proposal = payer.propose(invite, ProposeRequest(capacity, FundingChoice.Batch))
        val acceptance = receiver.accept(proposal.offer) as Acceptance.Accepted
        val channel = payer.openChannel(acceptance.accept)
        regtest.mine(1)
        confirm(payer, receiver, channel)
        return channel
    }

    /** Waits until both sides see the channel open. */
    suspend fun confirm(payer: Wallet, receiver: Wallet, channel: String) {
        eventually("the payer's channel") { payer.watch(channel).state == ChannelState.OPEN }
        eventually("the receiver's channel") {
            receiver.channels().any { it.id == channel } && receiver.watch(channel).state == ChannelState.OPEN
        }
    }

    /** Opens a channel off chain from settled VTXOs; it is open at once on both sides. */
    suspend fun openOffchain(payer: Wallet, receiver: Wallet, capacity: Sats): String {
        val proposal = payer.propose(receiver.createInvite(InviteRequest()), ProposeRequest(capacity, FundingChoice.Offchain))
        val acceptance = receiver.accept(proposal.offer) as Acceptance.Open
        assertEquals(proposal.channelId, acceptance.channelId)
        return acceptance.channelId
    }

    companion object {
        /** One for the whole run, of an operator that counts in seconds; it ends with this process. */
        val shared: RegtestProcess by lazy { RegtestProcess.start("--unit", "second", "--session", "1") }
    }
}
