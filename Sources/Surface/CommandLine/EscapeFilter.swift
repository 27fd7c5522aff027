internal import Synchronization

/// Finds the keys that speak to `viv` in what is typed for the guest.
///
/// Ctrl-], or Ctrl-A and then x, quits. Ctrl-A a is one Ctrl-A for the guest. Another key after Ctrl-A goes to the guest with it.
struct EscapeFilter: Sendable {
    static let quitKey: UInt8 = 0x1D
    static let prefixKey: UInt8 = 0x01

    private var hasPrefix = false

    /// - Returns: The bytes for the guest, and whether the user asked to quit (the bytes after that are dropped).
    mutating func filter(_ typed: some Sequence<UInt8>) -> (bytes: [UInt8], quits: Bool) {
        var bytes: [UInt8] = []
        for byte in typed {
            if hasPrefix {
                hasPrefix = false
                switch byte {
                case UInt8(ascii: "x"), UInt8(ascii: "X"): return (bytes, true)
                case UInt8(ascii: "a"), Self.prefixKey: bytes.append(Self.prefixKey)
                default: bytes += [Self.prefixKey, byte]
                }
            } else if byte == Self.quitKey {
                return (bytes, true)
            } else if byte == Self.prefixKey {
                hasPrefix = true
            } else {
                bytes.append(byte)
            }
        }
        return (bytes, false)
    }
}

/// An ``EscapeFilter`` for a reading thread.
final class SharedEscapeFilter: Sendable {
    private let state = Mutex(EscapeFilter())

    func filter(_ typed: [UInt8]) -> (bytes: [UInt8], quits: Bool) { state.withLock { $0.filter(typed) } }
}
