internal import CSeccomp
internal import Glibc
internal import SystemCalls

/// A filter of libseccomp's in the making.
@safe
struct SeccompContext: ~Copyable {
    private let context: scmp_filter_ctx

    /// A filter of the host's own architecture that does `defaultAction` for every call.
    init(defaultAction: UInt32) throws(SeccompError) {
        guard let context = unsafe seccomp_init(defaultAction) else {
            throw .failed(call: "seccomp_init", errno: EINVAL)
        }
        unsafe self.context = unsafe context
        // The stage sets or leaves no_new_privs itself.
        unsafe seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0)
    }

    deinit { unsafe seccomp_release(context) }

    /// Makes the filter search calls as a tree, which libseccomp has from 2.5 on.
    borrowing func searchAsTree() { unsafe seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) }

    borrowing func add(architecture: UInt32, name: String, field: String) throws(SeccompError) {
        let result = unsafe seccomp_arch_add(context, architecture)
        guard result == 0 || result == -EEXIST else { throw .refused(field: field, value: name, errno: -result) }
    }

    /// Adds a rule on every architecture that has the call.
    borrowing func add(_ rule: SeccompRule, field: String) throws(SeccompError) {
        let call = unsafe seccomp_syscall_resolve_name(rule.name)
        let conditions = rule.conditions.map {
            scmp_arg_cmp(arg: $0.argument, op: $0.comparison, datum_a: $0.value, datum_b: $0.valueTwo)
        }
        let result = unsafe conditions.withUnsafeBufferPointer {
            unsafe seccomp_rule_add_array(context, rule.action, call, UInt32($0.count), $0.baseAddress)
        }
        guard result == 0 else { throw .refused(field: field, value: rule.name, errno: -result) }
    }

    /// The filter as an array of `struct sock_filter`.
    borrowing func program() throws(SeccompError) -> [UInt8] {
        let file = try Self.memoryFile()
        let result = unsafe seccomp_export_bpf(context, file.rawValue)
        guard result == 0 else { throw .failed(call: "seccomp_export_bpf", errno: -result) }
        let byteCount = lseek(file.rawValue, 0, SEEK_END)
        guard byteCount > 0 else { throw .failed(call: "lseek", errno: errno) }
        var cause: CInt = 0
        let program = unsafe [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
            count = max(0, unsafe pread(file.rawValue, buffer.baseAddress, byteCount, 0))
            if count != byteCount { cause = errno == 0 ? EIO : errno }
        }
        guard cause == 0 else { throw .failed(call: "pread", errno: cause) }
        return program
    }

    private static func memoryFile() throws(SeccompError) -> FileDescriptor {
        do { return try FileDescriptor(memory: "seccomp", byteCount: 0) } catch {
            throw .failed(call: error.call, errno: error.errno)
        }
    }
}
