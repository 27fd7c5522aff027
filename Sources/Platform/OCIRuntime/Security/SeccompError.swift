/// Why a filter of system calls cannot be made.
public enum SeccompError: Error, Hashable, Sendable {
    case unknownAction(field: String, name: String)
    case unknownOperator(field: String, name: String)
    case unknownArchitecture(field: String, name: String)
    case unknownFlag(field: String, name: String)
    /// An error number beside an action that returns none, or one that the action cannot return.
    case badErrorNumber(field: String, value: UInt32, action: String)
    case badArgumentIndex(field: String, value: UInt32)
    /// The default action would ask the listener about every call, those that hand it the filter included.
    case notifyByDefault
    /// The runtime needs the call itself to give the listener the filter.
    case notifyOf(field: String, call: String)
    case notifyWithoutListener(field: String)
    case metadataWithoutListener
    /// libseccomp refused a rule or an architecture.
    case refused(field: String, value: String, errno: CInt)
    case tooLong(instructionCount: Int)
    /// A call to the host's kernel or library that made no filter.
    case failed(call: String, errno: CInt)
}

extension SeccompError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownAction(let field, let name): "\(field) is '\(name)', which is no action of seccomp's"
        case .unknownOperator(let field, let name): "\(field) is '\(name)', which is no comparison of seccomp's"
        case .unknownArchitecture(let field, let name):
            "\(field) is '\(name)', which is no architecture that libseccomp knows"
        case .unknownFlag(let field, let name): "\(field) is '\(name)', which is no flag of a seccomp filter"
        case .badErrorNumber(let field, let value, let action): "\(field) is '\(value)', which \(action) cannot return"
        case .badArgumentIndex(let field, let value): "\(field) is '\(value)', but system calls have arguments 0 to 5"
        case .notifyByDefault:
            "linux.seccomp.defaultAction is 'SCMP_ACT_NOTIFY', which is for the rules of single calls only"
        case .notifyOf(let field, let call):
            "\(field) has '\(call)', for which SCMP_ACT_NOTIFY cannot be used: it hands over the listener itself"
        case .notifyWithoutListener(let field):
            "\(field) is 'SCMP_ACT_NOTIFY', but linux.seccomp.listenerPath is missing"
        case .metadataWithoutListener:
            "linux.seccomp.listenerMetadata is there, but linux.seccomp.listenerPath is missing"
        case .refused(let field, let value, let errno): "\(field) is '\(value)', which libseccomp refuses (\(errno))"
        case .tooLong(let count): "linux.seccomp makes a filter of \(count) instructions, more than the kernel's 4096"
        case .failed(let call, let errno): "cannot make the filter of linux.seccomp: \(call) (\(errno))"
        }
    }
}
