internal import Glibc

/// Why a control group cannot be made, limited or read.
public enum CgroupError: Error, Hashable, Sendable {
    /// The host has no control groups below `root`.
    case noHierarchy(root: String)
    case unreadable(path: String, errno: CInt)
    /// The kernel refused `value` in the file `path`.
    case refused(path: String, value: String, errno: CInt)
    case cannotCreate(path: String, errno: CInt)
    case cannotDelete(path: String, errno: CInt)
    /// A limit is wanted whose controller the container has no group of. `reason`: Why, where that is known.
    case controllerAbsent(String, reason: String?)
    /// A file of the kernel's does not hold what it should.
    case unexpected(path: String, text: String)
    case badPath(String, reason: String)
    case badValue(name: String, value: String, reason: String)
    /// A limit that is not above what is used.
    case belowUsage(name: String, limit: UInt64, usage: UInt64)
    case notEmpty(path: String, processCount: Int)
    case frozen(path: String)
    /// The group did not become frozen in time.
    case stuck(path: String, wanted: String)
    case signalRefused(pid: Int32, signal: Int32, errno: CInt)
    case deviceRule(String, reason: String)
    case deviceProgram(call: String, errno: CInt, log: String)
    /// A system call that has no file, on the group `path`.
    case callFailed(call: String, path: String, errno: CInt)
}

extension CgroupError: CustomStringConvertible {
    public var description: String {
        func text(_ errno: CInt) -> String { "\(unsafe String(cString: strerror(errno))) (\(errno))" }
        switch self {
        case .noHierarchy(let root): return "no control groups are mounted below \(root)"
        case .unreadable(let path, let errno): return "cannot read \(path): \(text(errno))"
        case .refused(let path, let value, let errno): return "cannot write '\(value)' to \(path): \(text(errno))"
        case .cannotCreate(let path, let errno): return "cannot create the control group \(path): \(text(errno))"
        case .cannotDelete(let path, let errno): return "cannot delete the control group \(path): \(text(errno))"
        case .controllerAbsent(let name, let reason):
            let cause = reason.map { ": " + $0 } ?? ""
            return "cannot set \(name) limit: container could not join or create cgroup\(cause)"
        case .unexpected(let path, let found): return "\(path) holds '\(found)'"
        case .badPath(let path, let reason): return "the cgroups path '\(path)' cannot be used: \(reason)"
        case .badValue(let name, let value, let reason): return "\(name) cannot be '\(value)': \(reason)"
        case .belowUsage(let name, let limit, let usage):
            return "the \(name) limit \(limit) is not above the usage, \(usage)"
        case .notEmpty(let path, let count):
            return "the container's control group \(path) is not empty: it has \(count) processes"
        case .frozen(let path): return "the container's control group \(path) is frozen"
        case .stuck(let path, let wanted): return "the control group \(path) did not become \(wanted) in time"
        case .signalRefused(let pid, let signal, let errno):
            return "cannot send signal \(signal) to process \(pid): \(text(errno))"
        case .deviceRule(let rule, let reason): return "the device rule '\(rule)' cannot be applied: \(reason)"
        case .deviceProgram(let call, let errno, let log):
            return "cannot filter devices: \(call): \(text(errno))\(log.isEmpty ? "" : ": " + log)"
        case .callFailed(let call, let path, let errno): return "\(path): \(call): \(text(errno))"
        }
    }
}
