// A wallet in a process of its own. It says on its standard output what is done, when it is done.
//
//   WalletChild DATABASE OPERATOR ESPLORA pay CHANNEL    pays until it is killed: a line "number amount" after each payment
//   WalletChild DATABASE OPERATOR ESPLORA receive        takes the payments on its standard input: a line with the amount after each
//   WalletChild DATABASE OPERATOR ESPLORA lock           holds SQLite's lock for writers until its standard input ends: "locked"
//   WalletChild DATABASE OPERATOR ESPLORA open           opens as a user who is not root: "opened", or why not
//
// The mnemonic is the first line of its standard input.

import Foundation
import VirtualChannels

#if canImport(Glibc)
import Glibc
#endif

func say(_ line: String) {
    FileHandle.standardOutput.write(Data((line + "\n").utf8))
}

func open(_ arguments: [String], _ mnemonic: String) async throws -> Wallet {
    let config = WalletConfig(databasePath: arguments[1], network: .regtest, operatorUrl: arguments[2], esploraUrl: arguments[3])
    return try await Wallet.open(config: config, mnemonic: mnemonic)
}

let arguments = CommandLine.arguments
guard arguments.count > 4, let mnemonic = readLine() else { exit(2) }
switch arguments[4] {
case "pay":
    let wallet = try await open(arguments, mnemonic)
    var number = 0
    while true {
        number += 1
        let payment = try await wallet.pay(channelId: arguments[5], amount: 1, paymentId: "\(ProcessInfo.processInfo.processIdentifier)-\(number)")
        say("\(number) \(payment.amount.value)")
    }
case "receive":
    let wallet = try await open(arguments, mnemonic)
    while let text = readLine() {
        let received = try await wallet.receive(payment: text)
        say("\(received.amount.value)")
    }
case "lock":
    // Where in a -shm file SQLite locks the writer (its file format, "WAL-index").
    let file = open(arguments[1] + "-shm", O_RDWR)
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    lock.l_whence = Int16(SEEK_SET)
    lock.l_start = 120
    lock.l_len = 1
    guard file >= 0, fcntl(file, F_SETLKW, &lock) == 0 else { exit(4) }
    say("locked")
    while readLine() != nil {}
case "open":
    if geteuid() == 0, setegid(65534) != 0 || seteuid(65534) != 0 { exit(3) }
    do {
        _ = try await open(arguments, mnemonic)
        say("opened")
    } catch {
        say("\(error)")
    }
default:
    exit(2)
}
