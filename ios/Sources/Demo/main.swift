// The life cycle of two wallets in a terminal, through the view models that the sample app has, with QR codes drawn as text.
//
// Without settings it starts the program `regtest` (REGTEST says where it is): a bitcoind on regtest, Esplora and an Ark operator.
// With OPERATOR and ESPLORA it runs against any arkd, on regtest unless NETWORK says another; FAUCET names a server with `/faucet/{address}/{sats}` and
// `/mine/{n}?after=`. UNIT=block makes the embedded operator count in blocks.

import Foundation
import VirtualChannelsModel

let backend: Backend
do {
    backend = try Backend.start()
} catch {
    say("\nswift-demo: FAILED: \(error)")
    exit(1)
}
let clock = Stopwatch()
do {
    try await Demo(backend, clock).run()
    backend.stop()
    say("\ntook \(clock)")
    say("swift-demo: ok")
} catch {
    backend.stop()
    say("\nswift-demo: FAILED: \(error)")
    exit(1)
}
