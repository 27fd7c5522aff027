public import SystemCalls

/// Why an access to guest memory, or its set-up, failed.
public enum GuestMemoryError: Error, Hashable, Sendable {
    /// Some of the `byteCount` bytes at `address` are not RAM.
    case notRAM(address: GuestAddress, byteCount: Int)
    /// RAM of `byteCount` bytes could not be mapped on the host.
    case mappingFailed(byteCount: Int, cause: SystemCallError)
    /// The layout asked for has regions that overlap, are empty or are not made of whole pages.
    case badLayout(address: GuestAddress, byteCount: Int)
}

extension GuestMemoryError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .notRAM(let address, let byteCount): "no RAM for \(byteCount) bytes at guest address \(address)"
        case .mappingFailed(let byteCount, let cause): "cannot map \(byteCount) bytes of guest RAM: \(cause)"
        case .badLayout(let address, let byteCount):
            "no region of \(byteCount) bytes can lie at guest address \(address)"
        }
    }
}
