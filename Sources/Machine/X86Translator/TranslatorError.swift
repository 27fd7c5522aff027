public import HostCode
public import SystemCalls

/// Why there can be no translator.
public enum TranslatorError: Error, CustomStringConvertible {
    case hostLacks([String])
    case signals
    case code(HostCodeError)
    case system(SystemCallError)

    public var description: String {
        switch self {
        case .hostLacks(let names):
            "the host's CPU lacks \(names.joined(separator: ", ")), which translated code needs: use --engine interpret"
        case .signals: "cannot install the handlers of SIGSEGV, SIGBUS, SIGFPE and SIGILL"
        case .code(let error): "\(error)"
        case .system(let error): "\(error)"
        }
    }
}
