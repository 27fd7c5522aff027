public import SystemCalls

/// Why host code could not be made.
public enum HostCodeError: Error, Hashable, Sendable {
    /// The host refused the memory.
    case mapping(byteCount: Int, cause: SystemCallError)
    /// The buffer has no room left; its owner may ``CodeBuffer/reset()`` it once nothing runs in it.
    case full(byteCount: Int)
}

extension HostCodeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .mapping(let byteCount, let cause): "cannot map \(byteCount) bytes for host code: \(cause)"
        case .full(let byteCount): "host code buffer of \(byteCount) bytes is full"
        }
    }
}
