import Foundation

#if canImport(Glibc)
import Glibc
#endif

/// A SOCKS5 or HTTP proxy that knows a few names only, and remembers what it was asked for.
final class ProxyServer: @unchecked Sendable {
    let url: String
    private let socks: Bool
    private let names: [String: String]
    private let listening: Socket
    private let lock = NSLock()
    private var targets: [String] = []
    private var open: [Socket] = []
    private var ended = false

    /// - Parameter names: What it knows: `name:port` to the `host:port` of 127.0.0.1 that is meant.
    init(socks: Bool, names: [String: String]) throws {
        self.socks = socks
        self.names = names
        listening = try Socket()
        url = "\(socks ? "socks5" : "http")://127.0.0.1:\(try listening.listen())"
        Thread.detachNewThread { [self] in
            while let connection = listening.accept() {
                guard keep(connection) else { return }
                Thread.detachNewThread { [self] in serve(connection) }
            }
        }
    }

    /// Every target that it was asked for.
    var asked: [String] { lock.withLock { targets } }

    /// Ends all that goes through it.
    func close() {
        lock.withLock {
            ended = true
            for socket in open + [listening] { socket.shutdown() }
        }
    }

    private func keep(_ socket: Socket) -> Bool {
        lock.withLock {
            if ended { return false }
            open.append(socket)
            return true
        }
    }

    private func serve(_ connection: Socket) {
        guard let target = socks ? socksTarget(connection) : connectTarget(connection) else { return connection.shutdown() }
        lock.withLock { targets.append(target) }
        let there = names[target].flatMap { $0.split(separator: ":").last }.flatMap { UInt16($0) }
            .flatMap { port in (try? Socket()).flatMap { $0.connect(port) ? $0 : nil } }
        let answer: [UInt8]
        if socks {
            answer = [5, there == nil ? 4 : 0, 0, 1, 0, 0, 0, 0, 0, 0]
        } else {
            answer = Array("HTTP/1.1 \(there == nil ? "502 Bad Gateway" : "200 OK")\r\n\r\n".utf8)
        }
        guard connection.write(answer), let there, keep(there) else { return connection.shutdown() }
        Thread.detachNewThread { there.copy(to: connection) }
        connection.copy(to: there)
    }

    /// RFC 1928, without a password.
    private func socksTarget(_ connection: Socket) -> String? {
        guard let hello = connection.read(exactly: 2), hello[0] == 5, connection.read(exactly: Int(hello[1])) != nil,
            connection.write([5, 0]), let request = connection.read(exactly: 5), request[1] == 1
        else { return nil }
        // A name: an address was looked up by somebody else.
        guard request[3] == 3, let name = connection.read(exactly: Int(request[4])), let port = connection.read(exactly: 2) else {
            return nil
        }
        return "\(String(decoding: name, as: UTF8.self)):\(Int(port[0]) << 8 | Int(port[1]))"
    }

    private func connectTarget(_ connection: Socket) -> String? {
        var head: [UInt8] = []
        while !head.suffix(4).elementsEqual("\r\n\r\n".utf8) {
            guard head.count < 8_192, let byte = connection.read(exactly: 1) else { return nil }
            head += byte
        }
        let words = String(decoding: head, as: UTF8.self).split(separator: " ")
        return words.first == "CONNECT" ? words.dropFirst().first.map(String.init) : nil
    }
}

/// A TCP socket, closed with its last reference.
private final class Socket: Sendable {
    private let handle: Int32

    init() throws {
        #if canImport(Glibc)
        handle = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        #else
        handle = socket(AF_INET, SOCK_STREAM, 0)
        #endif
        guard handle >= 0 else { throw Regtest.Failure(description: "no socket: \(errno)") }
    }

    private init(handle: Int32) {
        self.handle = handle
    }

    deinit { close(handle) }

    /// Answers its port.
    func listen() throws -> UInt16 {
        #if canImport(Glibc)
        let listening = onLoopback(0) { bind(handle, $0, $1) == 0 } && Glibc.listen(handle, 64) == 0
        #else
        let listening = onLoopback(0) { bind(handle, $0, $1) == 0 } && Darwin.listen(handle, 64) == 0
        #endif
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let named = withUnsafeMutableBytes(of: &address) {
            getsockname(handle, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), &length)
        }
        guard listening, named == 0 else { throw Regtest.Failure(description: "cannot listen: \(errno)") }
        return UInt16(bigEndian: address.sin_port)
    }

    func accept() -> Socket? {
        #if canImport(Glibc)
        let other = Glibc.accept(handle, nil, nil)
        #else
        let other = Darwin.accept(handle, nil, nil)
        #endif
        return other < 0 ? nil : Socket(handle: other)
    }

    func connect(_ port: UInt16) -> Bool {
        #if canImport(Glibc)
        onLoopback(port) { Glibc.connect(handle, $0, $1) == 0 }
        #else
        onLoopback(port) { Darwin.connect(handle, $0, $1) == 0 }
        #endif
    }

    func read(exactly count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard let more = read(atMost: count - bytes.count) else { return nil }
            bytes += more
        }
        return bytes
    }

    func write(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes { send(handle, $0.baseAddress, $0.count, 0) }
            if sent <= 0 { return false }
            rest = rest.dropFirst(sent)
        }
        return true
    }

    /// Until either ends; then both do.
    func copy(to other: Socket) {
        while let bytes = read(atMost: 65_536), other.write(bytes) {}
        shutdown()
        other.shutdown()
    }

    func shutdown() {
        #if canImport(Glibc)
        _ = Glibc.shutdown(handle, Int32(SHUT_RDWR))
        #else
        _ = Darwin.shutdown(handle, SHUT_RDWR)
        #endif
    }

    private func read(atMost count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let got = recv(handle, &bytes, count, 0)
        return got > 0 ? Array(bytes.prefix(got)) : nil
    }

    private func onLoopback(_ port: UInt16, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Bool) -> Bool {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        return withUnsafeBytes(of: &address) {
            call($0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
}
