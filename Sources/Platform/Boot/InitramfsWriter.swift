/// Writes an initramfs: a cpio archive in the "newc" format (Linux Documentation/driver-api/early-userspace/buffer-format.rst).
public struct InitramfsWriter: Sendable {
    /// What a character or block special file stands for.
    public struct Device: Hashable, Sendable {
        public var isBlock: Bool
        public var major: UInt32
        public var minor: UInt32

        public static func character(_ major: UInt32, _ minor: UInt32) -> Device {
            Device(isBlock: false, major: major, minor: minor)
        }

        public static func block(_ major: UInt32, _ minor: UInt32) -> Device {
            Device(isBlock: true, major: major, minor: minor)
        }
    }

    private var bytes: [UInt8] = []
    private var inode: UInt32 = 0

    public init() {}

    /// Adds a regular file, whose parent directories are the caller's.
    ///
    /// The low 12 bits of `permissions` count.
    public mutating func addFile(_ name: String, permissions: UInt32 = 0o644, _ content: [UInt8]) throws(BootError) {
        try add(name, mode: 0o100000 | permissions & 0o7777, content)
    }

    public mutating func addDirectory(_ name: String, permissions: UInt32 = 0o755) throws(BootError) {
        try add(name, mode: 0o040000 | permissions & 0o7777, linkCount: 2, [])
    }

    public mutating func addSymbolicLink(_ name: String, to target: String) throws(BootError) {
        try add(name, mode: 0o120777, Array(target.utf8))
    }

    public mutating func addDevice(_ name: String, permissions: UInt32 = 0o600, _ device: Device) throws(BootError) {
        let type: UInt32 = device.isBlock ? 0o060000 : 0o020000
        try add(name, mode: type | permissions & 0o7777, device: device, [])
    }

    /// The archive so far with its end mark, padded to 512 bytes.
    public var archive: [UInt8] {
        var writer = self
        writer.append("TRAILER!!!", mode: 0, inode: 0, linkCount: 1, device: nil, [])
        let padding = (512 - writer.bytes.count % 512) % 512
        return writer.bytes + [UInt8](repeating: 0, count: padding)
    }

    /// Names are relative to the root; a slash at their start is dropped.
    private mutating func add(
        _ name: String,
        mode: UInt32,
        linkCount: UInt32 = 1,
        device: Device? = nil,
        _ content: [UInt8]
    ) throws(BootError) {
        let relative = String(name.drop { $0 == "/" })
        let parts = relative.split(separator: "/", omittingEmptySubsequences: false)
        guard !relative.isEmpty, relative.utf8.count < 4096, !relative.utf8.contains(0), relative != "TRAILER!!!",
            !parts.contains(where: { $0.isEmpty || $0 == "." || $0 == ".." })
        else { throw .badArchiveName(name: name) }
        guard content.count <= Int(UInt32.max) else { throw .memberTooLarge(name: name, byteCount: content.count) }
        inode += 1
        append(relative, mode: mode, inode: inode, linkCount: linkCount, device: device, content)
    }

    /// A header of the magic and thirteen fields of eight hexadecimal digits, the name, the content; each padded to 4 bytes.
    private mutating func append(
        _ name: String,
        mode: UInt32,
        inode: UInt32,
        linkCount: UInt32,
        device: Device?,
        _ content: [UInt8]
    ) {
        bytes += Array("070701".utf8)
        let nameByteCount = UInt32(name.utf8.count + 1)
        let fields: [UInt32] = [
            inode, mode, 0, 0, linkCount, 0, UInt32(content.count), 0, 0, device?.major ?? 0, device?.minor ?? 0,
            nameByteCount, 0,
        ]
        for field in fields {
            let digits = String(field, radix: 16)
            bytes += [UInt8](repeating: 0x30, count: 8 - digits.utf8.count) + Array(digits.utf8)
        }
        bytes += Array(name.utf8) + [0]
        pad()
        bytes += content
        pad()
    }

    private mutating func pad() { while !bytes.count.isMultiple(of: 4) { bytes.append(0) } }
}
