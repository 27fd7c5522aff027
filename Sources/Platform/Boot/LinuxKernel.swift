internal import ByteCoding

/// A Linux kernel in the bzImage format, checked (Linux x86 boot protocol, Documentation/arch/x86/boot.rst).
public struct LinuxKernel: Sendable {
    public let file: HostFile
    /// Major number in the high byte, minor in the low one.
    public let protocolVersion: UInt16
    /// Bytes of boot sector and real-mode code before the protected-mode kernel.
    public let setupByteCount: Int
    /// Bytes of the protected-mode kernel.
    public let kernelByteCount: Int
    /// Where the kernel would like to be loaded.
    public let preferredAddress: UInt64
    /// What the load address must be a multiple of, where the kernel is loaded elsewhere.
    public let alignment: UInt64
    public let isRelocatable: Bool
    /// What the kernel needs from its load address on before it knows its memory map.
    public let initByteCount: UInt64
    /// The last byte that an initrd may occupy.
    public let initrdAddressLimit: UInt64
    /// The longest command line, without its NUL.
    public let commandLineLimit: Int
    /// Whether the kernel can be entered in 64-bit mode, 512 bytes after its start.
    public let has64BitEntry: Bool

    /// Offsets in the file, and so in boot_params.
    enum Field {
        static let setupSectors = 0x1F1
        static let systemSize = 0x1F4
        static let bootFlag = 0x1FE
        static let headerLength = 0x201
        static let magic = 0x202
        static let version = 0x206
        static let loadFlags = 0x211
        static let initrdAddressMax = 0x22C
        static let kernelAlignment = 0x230
        static let relocatable = 0x234
        static let minimumAlignment = 0x235
        static let extendedLoadFlags = 0x236
        static let commandLineSize = 0x238
        static let preferredAddress = 0x258
        static let initSize = 0x260
    }

    static let magic: UInt32 = 0x5372_6448  // "HdrS"
    static let oldestVersion: UInt16 = 0x0206

    /// Checks the setup header and that the file holds all that it announces.
    public init(_ file: HostFile) throws(BootError) {
        self.file = file
        let header = HeaderReader(file)
        guard try header.load(UInt16.self, at: Field.bootFlag, "the boot sector") == 0xAA55 else {
            throw .notAKernel(path: file.path)
        }
        let magic = try header.load(UInt32.self, at: Field.magic, "the setup header's magic")
        guard magic == Self.magic else {
            throw .wrongMagic(
                path: file.path,
                field: "the setup header's magic",
                found: UInt64(magic),
                expected: UInt64(Self.magic)
            )
        }
        let version = try header.load(UInt16.self, at: Field.version, "the boot protocol version")
        guard version >= Self.oldestVersion else {
            throw .unsupported(
                path: file.path,
                field: "the boot protocol version",
                value: "\(version >> 8).\(version & 0xFF)",
                wanted: "2.6 or later"
            )
        }
        protocolVersion = version

        let sectors = Int(try header.load(UInt8.self, at: Field.setupSectors, "setup_sects"))
        setupByteCount = ((sectors == 0 ? 4 : sectors) + 1) * 512
        let paragraphs = try header.load(UInt32.self, at: Field.systemSize, "syssize")
        let announced = Int(paragraphs) * 16
        guard announced > 512 else { throw .badField(path: file.path, field: "syssize", value: UInt64(paragraphs)) }
        guard setupByteCount <= file.bytes.count else {
            throw header.truncated("setup_sects", needed: UInt64(setupByteCount))
        }
        // The size is in paragraphs of 16 bytes; the last one need not be whole (memtest86+ ends inside it).
        guard setupByteCount + announced - 15 <= file.bytes.count else {
            throw header.truncated("syssize", needed: UInt64(setupByteCount + announced - 15))
        }
        kernelByteCount = min(announced, file.bytes.count - setupByteCount)
        try Self.checkSignatureTable(header)

        let loadFlags = try header.load(UInt8.self, at: Field.loadFlags, "loadflags")
        guard loadFlags & 1 != 0 else {
            throw .unsupported(
                path: file.path,
                field: "loadflags",
                value: hex(loadFlags),
                wanted: "a kernel loaded high (bzImage)"
            )
        }
        let alignment = UInt64(try header.load(UInt32.self, at: Field.kernelAlignment, "kernel_alignment"))
        isRelocatable = try header.load(UInt8.self, at: Field.relocatable, "relocatable_kernel") != 0
        if isRelocatable {
            guard alignment.nonzeroBitCount == 1, alignment <= 1 << 30 else {
                throw .badField(path: file.path, field: "kernel_alignment", value: alignment)
            }
        }
        self.alignment = max(4096, alignment)
        initrdAddressLimit = UInt64(try header.load(UInt32.self, at: Field.initrdAddressMax, "initrd_addr_max"))
        commandLineLimit = Int(try header.load(UInt32.self, at: Field.commandLineSize, "cmdline_size"))

        if version >= 0x020A {
            preferredAddress = try header.load(UInt64.self, at: Field.preferredAddress, "pref_address")
            let size = UInt64(try header.load(UInt32.self, at: Field.initSize, "init_size"))
            initByteCount = max(size, UInt64(kernelByteCount))
        } else {
            preferredAddress = 0x10_0000
            initByteCount = UInt64(kernelByteCount)
        }
        guard preferredAddress >= 0x10_0000 else {
            throw .badField(path: file.path, field: "pref_address", value: preferredAddress)
        }
        if version >= 0x020C {
            has64BitEntry = try header.load(UInt16.self, at: Field.extendedLoadFlags, "xloadflags") & 1 != 0
        } else {
            has64BitEntry = false
        }
    }

    /// Checks that a signed kernel's certificate table, which follows the kernel, is whole (PE format, data directory 4).
    private static func checkSignatureTable(_ header: HeaderReader) throws(BootError) {
        guard header.peek(UInt16.self, at: 0) == 0x5A4D, let pe = header.peek(UInt32.self, at: 0x3C).map(Int.init),
            header.peek(UInt32.self, at: pe) == 0x4550, let optional = header.peek(UInt16.self, at: pe + 24)
        else { return }
        let directories = pe + 24 + (optional == 0x20B ? 112 : 96)
        guard let count = header.peek(UInt32.self, at: directories - 4), count > 4,
            let offset = header.peek(UInt32.self, at: directories + 32),
            let byteCount = header.peek(UInt32.self, at: directories + 36), byteCount > 0
        else { return }
        let end = UInt64(offset) + UInt64(byteCount)
        guard end <= UInt64(header.byteCount) else { throw header.truncated("the signature", needed: end) }
    }
}

/// Reads a file's fields, and says which one a short file lacks.
struct HeaderReader: Sendable {
    let path: String
    private let reader: ByteReader

    init(_ file: HostFile) {
        path = file.path
        reader = ByteReader(file.bytes)
    }

    var byteCount: Int { reader.bytes.count }

    func load<T: FixedWidthInteger>(_ type: T.Type, at offset: Int, _ field: String) throws(BootError) -> T {
        guard let value = reader.load(type, at: offset) else {
            throw truncated(field, needed: UInt64(clamping: offset) &+ UInt64(T.bitWidth / 8))
        }
        return value
    }

    /// The integer at `offset`, or nil outside the file.
    func peek<T: FixedWidthInteger>(_ type: T.Type, at offset: Int) -> T? { reader.load(type, at: offset) }

    func truncated(_ field: String, needed: UInt64) -> BootError {
        .truncated(path: path, field: field, needed: needed, found: byteCount)
    }
}
