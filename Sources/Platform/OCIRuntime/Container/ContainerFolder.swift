internal import Glibc
internal import JSON
internal import SystemCalls

/// A container's folder below the runtime's root, and the lock that keeps two calls apart.
final class ContainerFolder: Sendable {
    let id: String
    let path: String
    private let lock: Int32

    static let idLimit = 1024

    private init(id: String, path: String, lock: Int32) {
        self.id = id
        self.path = path
        self.lock = lock
    }

    // The container's process has a copy of the descriptor until it has its program.
    deinit {
        flock(lock, LOCK_UN)
        close(lock)
    }

    var statePath: String { path + "/state.json" }
    var configurationPath: String { path + "/config.json" }
    var socketPath: String { path + "/start.sock" }

    /// Letters, digits and `_+-.`, and no path.
    static func check(_ id: String) throws(ContainerError) {
        let isPlain = id.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x5F, 0x2B, 0x2D, 0x2E: true
            default: false
            }
        }
        guard !id.isEmpty, id.utf8.count <= idLimit, isPlain, id != ".", id != ".." else {
            throw .refused("invalid container ID format: '\(id.prefix(64))'")
        }
    }

    /// Makes the folder of a new container, which is locked.
    static func make(_ id: String, below root: String) throws(ContainerError) -> ContainerFolder {
        try check(id)
        try makeFolders(root)
        let path = root + "/" + id
        guard unsafe mkdir(path, 0o711) == 0 else {
            if errno == EEXIST { throw .refused("container with given ID already exists") }
            throw .failed(action: "create \(path)", errno: errno)
        }
        return try open(id, path)
    }

    /// The folder of a container that is there; waits while another call works on it.
    static func find(_ id: String, below root: String) throws(ContainerError) -> ContainerFolder {
        try check(id)
        let path = root + "/" + id
        guard unsafe access(path, F_OK) == 0 else { throw .refused("container does not exist") }
        return try open(id, path)
    }

    private static func open(_ id: String, _ path: String) throws(ContainerError) -> ContainerFolder {
        let file = unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard file >= 0 else { throw .failed(action: "open \(path)", errno: errno) }
        while flock(file, LOCK_EX) != 0 {
            guard errno == EINTR else {
                close(file)
                throw .failed(action: "lock \(path)", errno: errno)
            }
        }
        return ContainerFolder(id: id, path: path, lock: file)
    }

    private static func makeFolders(_ path: String) throws(ContainerError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/" + part
            guard unsafe mkdir(made, 0o700) == 0 || errno == EEXIST else {
                throw .failed(action: "create \(made)", errno: errno)
            }
        }
    }

    func load() throws(ContainerError) -> SavedContainer {
        guard let bytes = HostText.bytes(statePath) else { throw .refused("container does not exist") }
        do throws(JSONError) { return try SavedContainer(try JSON(parsing: bytes)) } catch {
            throw .refused("\(statePath): \(error)")
        }
    }

    func save(_ container: SavedContainer) throws(ContainerError) {
        try HostText.replace(statePath, container.json.text(indentation: 0))
    }

    func loadConfiguration() throws(ContainerError) -> Configuration {
        try Self.readConfiguration(configurationPath)
    }

    static func readConfiguration(_ path: String) throws(ContainerError) -> Configuration {
        guard let bytes = HostText.bytes(path) else {
            throw errno == ENOENT
                ? .refused("JSON specification file \(path) not found") : .failed(action: "read \(path)", errno: errno)
        }
        do throws(JSONError) { return try Configuration(try JSON(parsing: bytes)) } catch {
            throw .refused("\(path): \(error)")
        }
    }

    /// Removes the folder with what the runtime has put there.
    func remove() throws(ContainerError) {
        for name in ["state.json", "state.json.new", "config.json", "config.json.new", "start.sock"] {
            unsafe unlink(path + "/" + name)
        }
        guard unsafe rmdir(path) == 0 || errno == ENOENT else { throw .failed(action: "remove \(path)", errno: errno) }
    }

    /// The address of the start socket: short, whatever the folder's path.
    func socketAddress() -> sockaddr_un {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let name = Array("/proc/self/fd/\(lock)/start.sock".utf8)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { place in unsafe place.copyBytes(from: name) }
        return address
    }
}
