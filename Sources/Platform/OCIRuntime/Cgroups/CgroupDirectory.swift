internal import Glibc

/// The folder of one control group, with the files that the kernel shows in it.
struct CgroupDirectory: Hashable, Sendable {
    let path: String

    init(_ path: String) { self.path = path }

    static func / (directory: CgroupDirectory, name: String) -> String { directory.path + "/" + name }

    // MARK: Files

    /// What a file holds, without the white space at its end.
    /// - Throws: ``CgroupError/unreadable(path:errno:)``.
    static func contents(of path: String) throws(CgroupError) -> String {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw .unreadable(path: path, errno: errno) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe Glibc.read(file, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw .unreadable(path: path, errno: errno)
            }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        while let last = bytes.last, last == 0x0A || last == 0x20 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Writes by one call, as the kernel's files want it, into a file that is there.
    static func put(_ value: String, into path: String) throws(CgroupError) {
        func refusal(_ cause: CInt) -> CgroupError { .refused(path: path, value: value, errno: cause) }
        let file = unsafe open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
        guard file >= 0 else { throw refusal(errno) }
        defer { close(file) }
        var text = value
        while true {
            let count = text.withUTF8 { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
            if count >= 0 { return }
            guard errno == EINTR else { throw refusal(errno) }
        }
    }

    func has(_ name: String) -> Bool { unsafe access(self / name, F_OK) == 0 }

    func read(_ name: String) throws(CgroupError) -> String { try Self.contents(of: self / name) }

    /// Nil where the file is not there or cannot be read: what the kernel shows differs by version and driver.
    func readIfPresent(_ name: String) -> String? { try? read(name) }

    func write(_ value: String, to name: String) throws(CgroupError) { try Self.put(value, into: self / name) }

    /// A file that holds one number; `max` and -1 are `UInt64.max`.
    func number(_ name: String) throws(CgroupError) -> UInt64 {
        let text = try read(name)
        guard let number = Self.number(text) else { throw .unexpected(path: self / name, text: text) }
        return number
    }

    static func number(_ text: some StringProtocol) -> UInt64? {
        if text == "max" { return .max }
        if let number = UInt64(text) { return number }
        // A counter that the kernel lets sink below 0 for a moment, or -1 for none.
        guard let negative = Int64(text) else { return nil }
        return negative == -1 ? .max : 0
    }

    func numberIfPresent(_ name: String) -> UInt64? { try? number(name) }

    /// The lines `key value` of a file; none where it is not there.
    func table(_ name: String) -> [(key: String, value: UInt64)] {
        (readIfPresent(name) ?? "").split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, let value = Self.number(words[1]) else { return nil }
            return (String(words[0]), value)
        }
    }

    // MARK: The folder

    var exists: Bool { unsafe access(path, F_OK) == 0 }

    /// Whether this is where a file system is mounted or the root of one: no group of a container's.
    var isMountPoint: Bool {
        var here = stat()
        var above = stat()
        guard unsafe stat(path, &here) == 0, unsafe stat(path + "/..", &above) == 0 else { return false }
        return here.st_dev != above.st_dev || here.st_ino == above.st_ino
    }

    /// Makes the folder and those above it that are missing, from `ancestor` on down.
    ///
    /// `prepare` is called for each folder from `ancestor` on, before the one below it is made. Where one cannot be made,
    /// those made before it are gone again. Gives those made, the outermost first.
    func create(
        below ancestor: String,
        prepare: (CgroupDirectory) -> Void = { _ in }
    ) throws(CgroupError) -> [CgroupDirectory] {
        var made: [CgroupDirectory] = []
        var current = CgroupDirectory(ancestor)
        guard path.hasPrefix(ancestor) else { throw .badPath(path, reason: "it is not below \(ancestor)") }
        for name in path.dropFirst(ancestor.utf8.count).split(separator: "/") {
            prepare(current)
            current = CgroupDirectory(current / String(name))
            if unsafe mkdir(current.path, 0o755) == 0 {
                made.append(current)
            } else if errno != EEXIST {
                // On a read-only or foreign hierarchy the reason comes before that it is there already.
                let cause = errno
                if current.exists { continue }
                for directory in made.reversed() { _ = unsafe rmdir(directory.path) }
                throw .cannotCreate(path: current.path, errno: cause)
            }
        }
        return made
    }

    /// The names of the folders in this one.
    var children: [CgroupDirectory] {
        guard let stream = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(stream) }
        var found: [CgroupDirectory] = []
        while let entry = unsafe readdir(stream) {
            guard unsafe entry.pointee.d_type == UInt8(DT_DIR) else { continue }
            let name = unsafe withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { found.append(CgroupDirectory(self / name)) }
        }
        return found
    }

    /// The processes of this group and of all below it, each once.
    ///
    /// Those that have no number in this process's namespace are left out.
    func processes() throws(CgroupError) -> [Int32] {
        var found: Set<Int32> = []
        var pending = [self]
        while let directory = pending.popLast() {
            do throws(CgroupError) {
                let text = try directory.read("cgroup.procs")
                for line in text.split(separator: "\n") {
                    if let pid = Int32(line), pid > 0 { found.insert(pid) }
                }
            } catch {
                // A group below may go at any time; threaded ones list no processes.
                guard case .unreadable(_, let cause) = error, cause == ENOENT || cause == ENODEV || cause == EOPNOTSUPP
                else {
                    throw error
                }
            }
            pending += directory.children
        }
        return found.sorted()
    }

    /// Deletes the group with all below it, unless there are processes; where it is not there, nothing.
    ///
    /// A group whose last processes are just ending is busy, so that it is tried again five times in 0.3 seconds.
    func delete() throws(CgroupError) {
        if unsafe rmdir(path) == 0 || errno == ENOENT { return }
        guard !isMountPoint else { throw .cannotDelete(path: path, errno: EBUSY) }
        var pause: UInt32 = 10_000
        var attempts = 6
        while true {
            let cause = isPopulated ? EBUSY : remove()
            guard cause != 0 else { return }
            attempts -= 1
            guard cause == EBUSY, attempts > 0 else { throw .cannotDelete(path: path, errno: cause) }
            usleep(pause)
            pause *= 2
        }
    }

    /// Whether there are processes in this group or below it, also those of other namespaces.
    private var isPopulated: Bool {
        if let text = readIfPresent("cgroup.procs"), !text.isEmpty { return true }
        return children.contains { $0.isPopulated }
    }

    /// 0, or the errno of the first folder that stays.
    private func remove() -> CInt {
        if unsafe rmdir(path) == 0 || errno == ENOENT { return 0 }
        let own = errno
        var below: CInt = 0
        for child in children {
            let cause = child.remove()
            if below == 0 { below = cause }
        }
        if below != 0 { return below }
        if unsafe rmdir(path) == 0 || errno == ENOENT { return 0 }
        return own == ENOTEMPTY ? errno : own
    }
}
