import Foundation
import VirtualChannelsFFI

/// A call of the library that only waits, and that ends when the task is cancelled.
///
/// The generated `async` functions do not look at cancellation: the task that called them goes on waiting, which is right for
/// whatever changes something, since it happens anyway. For an endless wait it would leave the task, and the wallet with it, behind.
/// This drops the waiting future of the library instead, as Kotlin does.
struct CancellableWait<Raw, Answer> {
    /// Begins the call; answers its handle.
    let start: () -> UInt64
    let poll: (UInt64, @escaping @convention(c) (UInt64, Int8) -> Void, UInt64) -> Void
    let complete: (UInt64, UnsafeMutablePointer<RustCallStatus>) -> Raw
    let cancel: @Sendable (UInt64) -> Void
    let free: @Sendable (UInt64) -> Void
    let lift: (Raw) throws -> Answer

    /// Throws the library's ``WalletError``, or `CancellationError` when the task was cancelled first.
    func answer() async throws -> Answer {
        try Task.checkCancellation()
        uniffiEnsureVirtualChannelsInitialized()
        let future = Future(handle: start(), cancel: cancel, free: free)
        defer { future.end() }
        await withTaskCancellationHandler {
            var ready = false
            while !ready {
                ready = await withUnsafeContinuation { (continuation: UnsafeContinuation<Bool, Never>) in
                    let waiting = Unmanaged.passRetained(Waiting(continuation)).toOpaque()
                    poll(future.handle, resumeWaiting, UInt64(UInt(bitPattern: waiting)))
                }
            }
        } onCancel: {
            future.giveUp()
        }
        var status = RustCallStatus()
        let raw = complete(future.handle, &status)
        switch status.code {
        case 0: return try lift(raw)
        case 1: throw try FfiConverterTypeWalletError_lift(status.errorBuf)
        case 3: throw CancellationError()
        default:
            // What a panic said; the panic itself has been caught.
            var freed = RustCallStatus()
            ffi_virtual_channels_rustbuffer_free(status.errorBuf, &freed)
            throw WalletError.Internal(detail: "a waiting call panicked")
        }
    }
}

/// Called by the library: 0 says that the future is ready, anything else that it is to be polled again.
private func resumeWaiting(_ data: UInt64, _ result: Int8) {
    guard let waiting = UnsafeRawPointer(bitPattern: UInt(data)) else { return }
    Unmanaged<Waiting>.fromOpaque(waiting).takeRetainedValue().continuation.resume(returning: result == 0)
}

private final class Waiting {
    let continuation: UnsafeContinuation<Bool, Never>

    init(_ continuation: UnsafeContinuation<Bool, Never>) {
        self.continuation = continuation
    }
}

/// A future of the library, which is not touched any more once it is freed.
private final class Future: @unchecked Sendable {
    let handle: UInt64
    private let cancel: @Sendable (UInt64) -> Void
    private let free: @Sendable (UInt64) -> Void
    private let lock = NSLock()
    private var ended = false

    init(handle: UInt64, cancel: @escaping @Sendable (UInt64) -> Void, free: @escaping @Sendable (UInt64) -> Void) {
        self.handle = handle
        self.cancel = cancel
        self.free = free
    }

    func giveUp() {
        lock.lock()
        defer { lock.unlock() }
        if !ended { cancel(handle) }
    }

    func end() {
        lock.lock()
        defer { lock.unlock() }
        ended = true
        free(handle)
    }
}

extension Wallet {
    /// ``Wallet/nextEvent()``, which ends with `CancellationError` when the task is cancelled.
    func waitForEvent() async throws -> Event {
        try await CancellableWait(
            start: { uniffi_virtual_channels_fn_method_wallet_next_event(self.uniffiCloneHandle()) },
            poll: ffi_virtual_channels_rust_future_poll_rust_buffer,
            complete: ffi_virtual_channels_rust_future_complete_rust_buffer,
            cancel: { ffi_virtual_channels_rust_future_cancel_rust_buffer($0) },
            free: { ffi_virtual_channels_rust_future_free_rust_buffer($0) },
            lift: FfiConverterTypeEvent_lift
        ).answer()
    }

    /// ``Wallet/nextChange(seen:)``, which ends with `CancellationError` when the task is cancelled.
    func waitForChange(seen: UInt64) async throws -> UInt64 {
        try await CancellableWait(
            start: { uniffi_virtual_channels_fn_method_wallet_next_change(self.uniffiCloneHandle(), seen) },
            poll: ffi_virtual_channels_rust_future_poll_u64,
            complete: ffi_virtual_channels_rust_future_complete_u64,
            cancel: { ffi_virtual_channels_rust_future_cancel_u64($0) },
            free: { ffi_virtual_channels_rust_future_free_u64($0) },
            lift: { $0 }
        ).answer()
    }

    /// ``Wallet/live(pollSeconds:)``, which ends with `CancellationError` when the task is cancelled.
    func waitLive(pollSeconds: UInt64) async throws {
        try await CancellableWait(
            start: { uniffi_virtual_channels_fn_method_wallet_live(self.uniffiCloneHandle(), pollSeconds) },
            poll: ffi_virtual_channels_rust_future_poll_void,
            complete: ffi_virtual_channels_rust_future_complete_void,
            cancel: { ffi_virtual_channels_rust_future_cancel_void($0) },
            free: { ffi_virtual_channels_rust_future_free_void($0) },
            lift: { $0 }
        ).answer()
    }
}
