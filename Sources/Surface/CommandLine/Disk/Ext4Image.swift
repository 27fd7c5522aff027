internal import Glibc

/// An ext4 file system in a file, filled by `mke2fs -d`.
enum Ext4Image {
    static func make(_ path: String, from folder: String, byteCount: UInt64) throws(CommandFailure) {
        var status = stat()
        guard unsafe stat(folder, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw CommandFailure("\(folder) is not a folder")
        }
        let file = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0, ftruncate(file, off_t(clamping: byteCount)) == 0 else {
            throw CommandFailure("\(path) cannot be made: \(unsafe String(cString: strerror(errno)))")
        }
        close(file)
        let words = ["mke2fs", "-q", "-t", "ext4", "-F", "-E", "lazy_itable_init=1,root_owner=0:0", "-d", folder, path]
        let result = try run(words)
        guard result == 0 else {
            unsafe unlink(path)
            throw CommandFailure("mke2fs ended with status \(result): \(folder) may not fit into \(byteCount) bytes")
        }
    }

    /// Bytes that the files take with room for tables and growth: a quarter and 16 MiB more.
    static func byteCount(of folder: String) throws(CommandFailure) -> UInt64 {
        var total: UInt64 = 0
        var folders = [folder]
        while let next = folders.popLast() {
            guard let list = unsafe opendir(next) else {
                throw CommandFailure("\(next) cannot be read: \(unsafe String(cString: strerror(errno)))")
            }
            defer { unsafe closedir(list) }
            while let entry = unsafe readdir(list) {
                let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                    unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
                }
                if name == "." || name == ".." { continue }
                var status = stat()
                guard unsafe lstat(next + "/" + name, &status) == 0 else { continue }
                total += (UInt64(max(0, status.st_size)) + 4095) / 4096 * 4096 + 512
                if status.st_mode & S_IFMT == S_IFDIR { folders.append(next + "/" + name) }
            }
        }
        return (total + total / 4 + (16 << 20) + 0xFFFFF) / 0x100000 * 0x100000
    }

    /// Runs a program of the system folders too, which an ordinary user's PATH may not have.
    private static func run(_ words: [String]) throws(CommandFailure) -> CInt {
        let path = unsafe getenv("PATH").map { unsafe String(cString: $0) } ?? "/usr/bin:/bin"
        for folder in (path + ":/usr/sbin:/sbin").split(separator: ":") {
            let program = "\(folder)/\(words[0])"
            guard unsafe access(program, X_OK) == 0 else { continue }
            var arguments = unsafe words.map { unsafe strdup($0) }
            unsafe arguments.append(nil)
            let settings =
                ["PATH=\(path)"]
                + (unsafe getenv("MKE2FS_CONFIG").map { ["MKE2FS_CONFIG=" + (unsafe String(cString: $0))] } ?? [])
            var environment = unsafe settings.map { unsafe strdup($0) }
            unsafe environment.append(nil)
            defer {
                for index in unsafe arguments.indices { unsafe free(arguments[index]) }
                for index in unsafe environment.indices { unsafe free(environment[index]) }
            }
            var process = pid_t()
            let result = unsafe posix_spawn(&process, program, nil, nil, arguments, environment)
            guard result == 0 else {
                throw CommandFailure("\(program) cannot be started: \(unsafe String(cString: strerror(result)))")
            }
            var status: CInt = 0
            while unsafe waitpid(process, &status, 0) < 0, errno == EINTR {}
            return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + status & 0x7F
        }
        throw CommandFailure("\(words[0]) is not there: install the package e2fsprogs")
    }
}
