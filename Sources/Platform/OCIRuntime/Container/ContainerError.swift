internal import Glibc
internal import JSON

/// Why something could not be done to a container.
enum ContainerError: Error {
    /// `action` completes "cannot ".
    case failed(action: String, errno: Int32)
    case step(Step, errno: Int32)
    case refused(String)
}

extension ContainerError: CustomStringConvertible {
    var description: String {
        switch self {
        case .failed(let action, let errno): "cannot \(action): \(Self.text(errno))"
        case .step(.find(let arguments, _), let errno): Self.lookup(arguments.first ?? "", errno)
        case .step(.execute(let arguments, _), let errno): "exec \(arguments.first ?? ""): \(Self.text(errno))"
        case .step(.hook(let path, _, _, _, _), let errno):
            errno == ETIMEDOUT ? "the hook \(path) took too long" : "the hook \(path) failed"
        case .step(let step, let errno): "cannot \(step): \(Self.text(errno))"
        case .refused(let reason): reason
        }
    }

    /// In the words by which engines know a program that is missing from one that may not be run.
    private static func lookup(_ name: String, _ errno: Int32) -> String {
        if errno == ENOENT, !name.contains("/") { return "exec: \"\(name)\": executable file not found in $PATH" }
        return errno == ENOENT
            ? "exec: \"\(name)\": stat \(name): no such file or directory"
            : "exec: \"\(name)\": \(text(errno).lowercased())"
    }

    static func text(_ errno: Int32) -> String {
        guard let text = unsafe strerror(errno) else { return "error \(errno)" }
        return unsafe String(cString: text)
    }
}
