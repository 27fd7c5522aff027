import Glibc
import Testing

/// qemu-img, where it is installed.
enum PeerTool {
    static let path: String? = ["/usr/bin/qemu-img", "/usr/local/bin/qemu-img"].first { access($0, X_OK) == 0 }

    /// The exit status of `qemu-img` with these words; its output is thrown away.
    static func run(_ words: [String]) -> CInt {
        guard let path else { return -1 }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var arguments = ([path] + words).map { strdup($0) }
        arguments.append(nil)
        defer { for argument in arguments { free(argument) } }
        let environment: [UnsafeMutablePointer<CChar>?] = [nil]
        var process = pid_t()
        guard posix_spawn(&process, path, &actions, nil, arguments, environment) == 0 else { return -1 }
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : 128
    }

    static func write(_ bytes: [UInt8], to path: String) {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        var done = 0
        bytes.withUnsafeBytes { buffer in
            while done < buffer.count {
                let count = Glibc.write(file, buffer.baseAddress.map { $0 + done }, buffer.count - done)
                if count <= 0 { break }
                done += count
            }
        }
        close(file)
    }

    /// A new folder, in memory where the host has such a place.
    static func memoryFolder(_ name: String) -> String {
        let place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        let path = "\(place)/viv-disk-\(getpid())-\(name)"
        mkdir(path, 0o755)
        return path
    }

    /// Removes a folder of files.
    static func remove(_ folder: String) {
        guard let stream = opendir(folder) else { return }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                tuple.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { unlink(folder + "/" + name) }
        }
        closedir(stream)
        rmdir(folder)
    }

    static func temporaryPath(_ name: String) -> String { "/tmp/viv-disk-\(getpid())-\(name)" }
}
