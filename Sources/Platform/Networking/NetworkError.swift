public import SystemCalls

/// Why a network cannot be set up; the message names the option and its value.
public enum NetworkError: Error, Hashable, Sendable {
    /// One part of an option's value makes no sense.
    case badOption(String, reason: String)
    /// The host refused something that `option` needs.
    case host(option: String, cause: SystemCallError)
    /// A file or folder of the host's is not as it has to be.
    case badFile(path: String, reason: String)
    case cannotOpen(path: String, cause: SystemCallError)
}

extension NetworkError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .badOption(let option, let reason): "\(option): \(reason)"
        case .host(let option, let cause): "--net \(option): \(cause)"
        case .badFile(let path, let reason): "\(path): \(reason)"
        case .cannotOpen(let path, let cause): "\(path): cannot be opened: \(cause)"
        }
    }
}
