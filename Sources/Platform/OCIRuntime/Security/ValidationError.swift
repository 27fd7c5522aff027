/// What makes a configuration one that no container can be made of, found before anything is made.
public enum ValidationError: Error, Hashable, Sendable {
    /// `field` is written as `process.args[0]`; `reason` completes "is refused: ".
    case refused(field: String, value: String, reason: String)
    case missing(field: String, reason: String)
}

extension ValidationError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .refused(let field, let value, let reason): "\(field) is '\(value)': \(reason)"
        case .missing(let field, let reason): "\(field) is missing: \(reason)"
        }
    }
}
