import CLinux
import Glibc
import SharedFolder

/// Keeps a request's data and an answer's in arrays.
final class ArrayTransfer: FUSETransfer {
    var filled: [UInt8] = []
    let data: [UInt8]

    init(_ data: [UInt8] = []) { self.data = data }

    func fill(byteCount: Int, _ body: (UnsafeMutableRawBufferPointer, Int) -> Int) -> Int {
        filled = [UInt8](repeating: 0, count: byteCount)
        let result = filled.withUnsafeMutableBytes { body($0, 0) }
        filled = Array(filled.prefix(max(0, result)))
        return result
    }

    func drain(offset: Int, byteCount: Int, _ body: (UnsafeRawBufferPointer, Int) -> Int) -> Int {
        guard byteCount <= data.count else { return -Int(EINVAL) }
        return data.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[..<byteCount]), 0) }
    }
}

/// A guest that speaks the protocol to a folder, and the folder itself, next to a file that it must not reach.
final class FolderGuest: @unchecked Sendable {
    struct Failure: Error, Equatable { let errno: CInt }

    let outside: String
    let path: String
    let folder: SharedFolder

    init(isReadOnly: Bool = false, descriptorLimit: Int? = 1000) throws {
        var name = Array("/tmp/share.XXXXXX".utf8CString)
        _ = mkdtemp(&name)
        outside = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        path = outside + "/folder"
        mkdir(path, 0o755)
        Self.write(outside + "/secret", "SECRET")
        folder = try SharedFolder(path: path, isReadOnly: isReadOnly, descriptorLimit: descriptorLimit)
    }

    deinit { _ = system("rm -rf '\(outside)'") }

    static func write(_ path: String, _ text: String) {
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        _ = Glibc.write(file, text, text.utf8.count)
        close(file)
    }
    static func read(_ path: String) -> String {
        let file = Glibc.open(path, O_RDONLY)
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = Glibc.read(file, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)), as: UTF8.self)
    }

    // MARK: The protocol

    static func bytes<T>(_ value: T) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }
    static func name(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    /// - Throws: ``Failure`` with what the server answers.
    @discardableResult
    func call(
        _ opcode: fuse_opcode,
        _ node: UInt64 = 1,
        _ arguments: [UInt8] = [],
        transfer: ArrayTransfer = ArrayTransfer(),
        room: Int = 1 << 17
    ) throws -> [UInt8] {
        var header = fuse_in_header()
        header.opcode = opcode.rawValue
        header.nodeid = node
        header.unique = 77
        header.uid = getuid()
        header.gid = getgid()
        header.len = UInt32(40 + arguments.count)
        switch folder.answer(Self.bytes(header) + arguments, replyByteLimit: room, transfer) {
        case .none: return []
        case .data(_, let count): return Array(transfer.filled.prefix(count))
        case .bytes(let answer):
            let out = answer.withUnsafeBytes { $0.loadUnaligned(as: fuse_out_header.self) }
            guard out.unique == 77, Int(out.len) == answer.count else { throw Failure(errno: -1) }
            guard out.error == 0 else { throw Failure(errno: -out.error) }
            return Array(answer[16...])
        }
    }

    func take<T>(_ type: T.Type, _ bytes: [UInt8], at offset: Int = 0) throws -> T {
        guard bytes.count >= offset + MemoryLayout<T>.size else { throw Failure(errno: -2) }
        return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: type) }
    }

    func lookup(_ name: String, in parent: UInt64 = 1) throws -> fuse_entry_out {
        try take(fuse_entry_out.self, try call(FUSE_LOOKUP, parent, Self.name(name)))
    }

    typealias Created = (node: UInt64, handle: UInt64)

    func create(
        _ name: String,
        in parent: UInt64 = 1,
        flags: CInt = O_RDWR,
        mode: UInt32 = 0o644
    ) throws -> Created {
        var request = fuse_create_in()
        request.flags = UInt32(bitPattern: flags | O_CREAT)
        request.mode = mode | S_IFREG
        let answer = try call(FUSE_CREATE, parent, Self.bytes(request) + Self.name(name))
        return (try take(fuse_entry_out.self, answer).nodeid, try take(fuse_open_out.self, answer, at: 128).fh)
    }

    func open(_ node: UInt64, flags: CInt = O_RDONLY) throws -> UInt64 {
        var request = fuse_open_in()
        request.flags = UInt32(bitPattern: flags)
        return try take(fuse_open_out.self, try call(FUSE_OPEN, node, Self.bytes(request))).fh
    }

    func release(_ handle: UInt64) throws {
        var request = fuse_release_in()
        request.fh = handle
        try call(FUSE_RELEASE, 1, Self.bytes(request))
    }

    func read(_ handle: UInt64, at offset: UInt64 = 0, _ count: Int = 4096) throws -> [UInt8] {
        var request = fuse_read_in()
        request.fh = handle
        request.offset = offset
        request.size = UInt32(count)
        return try call(FUSE_READ, 1, Self.bytes(request))
    }

    func write(_ handle: UInt64, at offset: UInt64 = 0, _ data: [UInt8]) throws -> Int {
        var request = fuse_write_in()
        request.fh = handle
        request.offset = offset
        request.size = UInt32(data.count)
        let answer = try call(FUSE_WRITE, 1, Self.bytes(request), transfer: ArrayTransfer(data))
        return Int(try take(fuse_write_out.self, answer).size)
    }

    func makeDirectory(_ name: String, in parent: UInt64 = 1) throws -> fuse_entry_out {
        var request = fuse_mkdir_in()
        request.mode = 0o755
        return try take(fuse_entry_out.self, try call(FUSE_MKDIR, parent, Self.bytes(request) + Self.name(name)))
    }

    func makeLink(_ name: String, to target: String, in parent: UInt64 = 1) throws -> fuse_entry_out {
        try take(fuse_entry_out.self, try call(FUSE_SYMLINK, parent, Self.name(name) + Self.name(target)))
    }

    func makeNode(_ name: String, mode: UInt32) throws -> fuse_entry_out {
        var request = fuse_mknod_in()
        request.mode = mode
        return try take(fuse_entry_out.self, try call(FUSE_MKNOD, 1, Self.bytes(request) + Self.name(name)))
    }

    func rename(_ old: String, _ new: String, from: UInt64 = 1, to: UInt64 = 1, flags: UInt32 = 0) throws {
        var request = fuse_rename2_in()
        request.newdir = to
        request.flags = flags
        try call(FUSE_RENAME2, from, Self.bytes(request) + Self.name(old) + Self.name(new))
    }

    func forget(_ node: UInt64, _ count: UInt64 = 1) throws {
        var request = fuse_forget_in()
        request.nlookup = count
        try call(FUSE_FORGET, node, Self.bytes(request))
    }

    /// All names of a folder, read in small answers.
    func names(_ node: UInt64 = 1, plus: Bool = false, size: UInt32 = 1024) throws -> [String] {
        let handle = try take(fuse_open_out.self, try call(FUSE_OPENDIR, node, Self.bytes(fuse_open_in()))).fh
        defer { try? release(handle) }
        var names: [String] = []
        var request = fuse_read_in()
        request.fh = handle
        request.size = size
        while true {
            let part = try call(plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, Self.bytes(request))
            if part.isEmpty { return names }
            var at = 0
            while at < part.count {
                if plus { at += 128 }
                request.offset = try take(UInt64.self, part, at: at + 8)
                let length = Int(try take(UInt32.self, part, at: at + 16))
                names.append(String(decoding: part[(at + 24)..<(at + 24 + length)], as: UTF8.self))
                at += (24 + length + 7) & ~7
            }
        }
    }
}
