package org.virtualchannels

/** Pays to the address; it confirms with the next block that is mined. */
fun RegtestProcess.pay(address: String, amount: Sats) = pay(address, amount.value)
