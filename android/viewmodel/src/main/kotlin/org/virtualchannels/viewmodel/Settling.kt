package org.virtualchannels.viewmodel

import org.virtualchannels.Sats
import org.virtualchannels.Settlement
import org.virtualchannels.WalletInterface

/**
 * Settles, unless all there is to settle is what the batch before made and what only waits for its confirmation: another batch
 * would cost another fee.
 *
 * @param last what settling brought the time before.
 */
internal suspend fun WalletInterface.settleAfter(last: Settlement?): Settlement {
    if (last != null) {
        val balance = balance()
        val fresh = balance.boarding + balance.recoverable
        if (fresh == Sats.ZERO && balance.preconfirmed == last.amount) {
            throw Problem("Nothing new to settle: the last batch waits for its confirmation")
        }
    }
    return settle()
}
