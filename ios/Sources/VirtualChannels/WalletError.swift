import Foundation

// The generated type is a `LocalizedError` whose text is `String(reflecting:)`; with this that text is the library's own sentence,
// and so are `"\(error)"`, `description` and `localizedDescription`.
extension WalletError: CustomStringConvertible {}

// The same for what an object of the app answers.
extension ListenerError: CustomStringConvertible {}
