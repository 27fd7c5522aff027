internal import CLinux
internal import Glibc
internal import SystemCalls

extension DeviceProgram {
    /// Makes this the group's only program of its own; between the two both decide.
    func attach(to group: CgroupDirectory) throws(CgroupError) {
        let folder = unsafe open(group.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .unreadable(path: group.path, errno: errno) }
        let directory = FileDescriptor(owning: folder)
        let program = try load()
        let older = try Self.programs(of: directory.rawValue)
        try Self.check(clinux_bpf_attach_device_program(directory.rawValue, program.rawValue), "BPF_PROG_ATTACH")
        for identifier in older {
            let old = clinux_bpf_program(identifier)
            // One that is gone meanwhile decides nothing.
            guard old >= 0 else { continue }
            let owned = FileDescriptor(owning: old)
            try Self.check(clinux_bpf_detach_device_program(directory.rawValue, owned.rawValue), "BPF_PROG_DETACH")
        }
    }

    private func load() throws(CgroupError) -> FileDescriptor {
        let words = instructions.map(\.word)
        func attempt(_ log: inout [CChar]) -> CInt {
            let size = UInt32(truncatingIfNeeded: log.count)
            return unsafe words.withUnsafeBufferPointer { words in
                unsafe log.withUnsafeMutableBufferPointer { log in
                    unsafe clinux_bpf_load_device_program(
                        words.baseAddress,
                        UInt32(truncatingIfNeeded: words.count),
                        size == 0 ? nil : log.baseAddress,
                        size
                    )
                }
            }
        }
        var log: [CChar] = []
        var result = attempt(&log)
        if result == -EPERM {
            // Before Linux 5.11 programs count as locked memory.
            let resource = __rlimit_resource_t(truncatingIfNeeded: __RLIMIT_MEMLOCK.rawValue)
            var old = rlimit()
            var limit = rlimit(rlim_cur: .max, rlim_max: .max)
            guard unsafe getrlimit(resource, &old) == 0, unsafe setrlimit(resource, &limit) == 0 else {
                throw .deviceProgram(call: "BPF_PROG_LOAD", errno: EPERM, log: "")
            }
            result = attempt(&log)
            _ = unsafe setrlimit(resource, &old)
        }
        if result >= 0 { return FileDescriptor(owning: result) }
        let cause = -result
        if cause == EINVAL || cause == EACCES {
            log = [CChar](repeating: 0, count: 65536)
            _ = attempt(&log)
        }
        let text = String(decoding: log.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let last = text.split(separator: "\n").suffix(3).joined(separator: "; ")
        throw .deviceProgram(call: "BPF_PROG_LOAD", errno: cause, log: last)
    }

    static func programs(of group: CInt) throws(CgroupError) -> [UInt32] {
        var identifiers = [UInt32](repeating: 0, count: 64)
        let count = unsafe identifiers.withUnsafeMutableBufferPointer { buffer in
            unsafe clinux_bpf_device_programs(group, buffer.baseAddress, UInt32(buffer.count))
        }
        try check(count, "BPF_PROG_QUERY")
        return Array(identifiers.prefix(Int(count)))
    }

    private static func check(_ result: CInt, _ call: String) throws(CgroupError) {
        guard result >= 0 else { throw .deviceProgram(call: call, errno: -result, log: "") }
    }
}
