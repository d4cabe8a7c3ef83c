package org.virtualchannels

import java.io.DataInputStream
import java.io.InputStream
import java.io.OutputStream
import java.net.InetAddress
import java.net.ServerSocket
import java.net.Socket
import java.util.concurrent.ConcurrentLinkedQueue
import kotlin.concurrent.thread

/** A proxy on this machine, SOCKS5 or HTTP CONNECT. It knows [names] (`host:port`) that nobody else does, and leads nowhere else. */
class ProxyServer(private val socks: Boolean, private val names: Map<String, String>) : AutoCloseable {
    private val listener = ServerSocket(0, 50, InetAddress.getLoopbackAddress())
    private val open = ConcurrentLinkedQueue<Socket>()

    /** What it was asked to connect to, each time. */
    val asked = ConcurrentLinkedQueue<String>()

    /** As a wallet's configuration names it. */
    val url: String = "${if (socks) "socks5" else "http"}://127.0.0.1:${listener.localPort}"

    init {
        thread(isDaemon = true) {
            // Ends with the listener; whatever breaks in a connection ends that one only.
            runCatching { while (true) listener.accept().let { client -> thread(isDaemon = true) { runCatching { serve(client) } } } }
        }
    }

    override fun close() {
        listener.close()
        open.forEach { it.close() }
    }

    private fun serve(client: Socket) {
        open += client
        client.use {
            val (input, output) = DataInputStream(client.getInputStream()) to client.getOutputStream()
            val target = if (socks) socksTarget(input, output) else connectTarget(input)
            asked += target
            val server = names[target]?.split(":")?.let { (host, port) -> Socket(host, port.toInt()) }
            output.write(
                when {
                    socks -> byteArrayOf(5, if (server == null) 4 else 0, 0, 1, 127, 0, 0, 1, 0, 0)
                    server == null -> "HTTP/1.1 502 Bad Gateway\r\n\r\n".toByteArray()
                    else -> "HTTP/1.1 200 Connection established\r\n\r\n".toByteArray()
                },
            )
            server?.use {
                open += server
                thread(isDaemon = true) { runCatching { server.getInputStream().copyTo(output) }; client.close() }
                input.copyTo(server.getOutputStream())
            }
        }
    }

    /** RFC 1928, without a password. */
    private fun socksTarget(input: DataInputStream, output: OutputStream): String {
        check(input.readByte().toInt() == 5)
        input.skipNBytes(input.readUnsignedByte().toLong())
        output.write(byteArrayOf(5, 0))
        val request = input.readNBytes(4)
        check(request[1].toInt() == 1) { "only CONNECT is asked for" }
        val host = when (request[3].toInt()) {
            3 -> String(input.readNBytes(input.readUnsignedByte()))
            1 -> InetAddress.getByAddress(input.readNBytes(4)).hostAddress
            else -> InetAddress.getByAddress(input.readNBytes(16)).hostAddress
        }
        return "$host:${input.readUnsignedShort()}"
    }

    private fun connectTarget(input: InputStream): String {
        val head = StringBuilder()
        while (!head.endsWith("\r\n\r\n")) head.append(input.read().also { check(it >= 0) }.toChar())
        val (method, target) = head.split(" ")
        check(method == "CONNECT")
        return target
    }
}
