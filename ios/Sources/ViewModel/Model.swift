import VirtualChannels

#if canImport(Combine)
import Combine
#endif

/// What every screen shows, whatever else it shows.
public protocol ScreenState: Sendable, Equatable {
    /// Why the last action did not work, as a sentence for people; `nil` once the next one begins.
    var problem: String? { get set }
    /// Whether an action is under way.
    var busy: Bool { get set }
}

/// A view model: one immutable state, and actions that change it.
///
/// Actions never throw: what goes wrong is ``ScreenState/problem``. An action that is pressed again while it is under way does
/// nothing. On Apple's systems a model is an `ObservableObject`; elsewhere ``states`` says when there is something new.
@MainActor
public class Model<State: ScreenState> {
    #if canImport(Combine)
    /// What the screen shows.
    @Published public private(set) var state: State {
        didSet { tell(after: oldValue) }
    }
    #else
    /// What the screen shows.
    public private(set) var state: State {
        didSet { tell(after: oldValue) }
    }
    #endif

    private var listeners: [Int: AsyncStream<State>.Continuation] = [:]
    private var subscriptions = 0
    private var running: Set<String> = []

    init(_ state: State) {
        self.state = state
    }

    /// The state as it is now, and after each change; who is slow gets the latest one. Ends with the model.
    public var states: AsyncStream<State> {
        subscriptions += 1
        let number = subscriptions
        let (stream, continuation) = AsyncStream.makeStream(of: State.self, bufferingPolicy: .bufferingNewest(1))
        continuation.yield(state)
        continuation.onTermination = { [weak self] _ in
            Task { @MainActor in self?.listeners[number] = nil }
        }
        listeners[number] = continuation
        return stream
    }

    deinit {
        for listener in listeners.values { listener.finish() }
    }

    /// Takes the sentence off the screen.
    public func dismissProblem() {
        update { $0.problem = nil }
    }

    /// Changes the state in one step: nobody sees half of a change.
    func update(_ change: (inout State) -> Void) {
        var next = state
        change(&next)
        if next != state { state = next }
    }

    private func tell(after old: State) {
        if state != old { for listener in listeners.values { listener.yield(state) } }
    }

    /// Runs an action, unless the same one is under way.
    func act(_ name: String, _ work: () async throws -> Void) async {
        guard running.insert(name).inserted else { return }
        update {
            $0.problem = nil
            $0.busy = true
        }
        var problem: String?
        do {
            try await work()
        } catch is CancellationError {
            // The screen has gone. What the library had begun goes on by itself.
        } catch {
            problem = sentence(error)
        }
        running.remove(name)
        update {
            $0.busy = !running.isEmpty
            if let problem { $0.problem = problem }
        }
    }
}

#if canImport(Combine)
extension Model: ObservableObject {}
#endif

/// Something that was asked for and cannot be, in a sentence for people.
struct Problem: Error {
    let sentence: String

    init(_ sentence: String) {
        self.sentence = sentence
    }
}

/// What a person reads: the library's own sentence, with a capital letter and a full stop.
func sentence(_ error: any Error) -> String {
    let text: String
    switch error {
    case let problem as Problem: text = problem.sentence
    case let error as WalletError: text = error.description
    default: text = error.localizedDescription
    }
    let end = text.hasSuffix(".") || text.hasSuffix("!") ? "" : "."
    return text.prefix(1).uppercased() + String(text.dropFirst()) + end
}
