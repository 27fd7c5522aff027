internal import ByteCoding
internal import GuestMemory

/// Where the structures of a start without firmware lie, below 640 KiB, and the code that writes them.
///
/// ```
/// 0x00400  BIOS data area: EBDA segment, KiB of base memory
/// 0x01000  GDT: null, null, code (0x10), data (0x18), TSS (0x20)
/// 0x02000  hvm_start_info or multiboot information, with what they point to; 0x07000  boot_params
/// 0x09000  PML4, PDPT and four page directories of 2 MiB pages
/// 0x20000  command line, up to 64 KiB
/// ```
enum LowMemory {
    static let gdt: UInt64 = 0x1000
    static let information: UInt64 = 0x2000
    static let informationByteCount = 0x5000
    static let bootParameters: UInt64 = 0x7000
    static let pageTables: UInt64 = 0x9000
    static let commandLine: UInt64 = 0x20000
    static let commandLineLimit = 0xFFFF
    /// Where the guest's own parts may begin.
    static let end: UInt64 = 0x30000

    static let codeSelector: UInt16 = 0x10
    static let dataSelector: UInt16 = 0x18
    static let taskSelector: UInt16 = 0x20
    static let gdtByteCount = 0x28

    /// Writes the GDT and the words of the BIOS data area that kernels look at.
    ///
    /// `isLong` makes the code segment a 64-bit one.
    static func writeDescriptors(isLong: Bool, to memory: GuestMemory, for path: String) throws(BootError) {
        var table: [UInt8] = []
        let code: UInt64 = isLong ? 0x00AF_9B00_0000_FFFF : 0x00CF_9B00_0000_FFFF
        for descriptor: UInt64 in [0, 0, code, 0x00CF_9300_0000_FFFF, 0x0000_8B00_0000_0067] {
            table.append(littleEndian: descriptor)
        }
        try memory.place(table, at: gdt, for: path)
        try memory.place([0xC0, 0x9F], at: 0x40E, for: path)
        try memory.place([0x7F, 0x02], at: 0x413, for: path)
    }

    /// Maps the low 4 GiB to themselves with 2 MiB pages (SDM 3A §4.5) and returns the root for CR3.
    static func writePageTables(to memory: GuestMemory, for path: String) throws(BootError) -> UInt64 {
        var tables = [UInt8](repeating: 0, count: 6 * 4096)
        tables.store(littleEndian: pageTables + 0x1003, at: 0)
        for directory in 0..<4 {
            let address = pageTables + 0x2003 + UInt64(directory) * 4096
            tables.store(littleEndian: address, at: 4096 + directory * 8)
        }
        for page in 0..<2048 { tables.store(littleEndian: UInt64(page) << 21 | 0x83, at: 0x2000 + page * 8) }
        try memory.place(tables, at: pageTables, for: path)
        return pageTables
    }

    /// Writes `text` with its NUL where every kernel format of ours finds its command line.
    static func writeCommandLine(
        _ text: String,
        limit: Int,
        to memory: GuestMemory,
        for path: String
    ) throws(BootError) {
        var bytes = Array(text.utf8)
        let limit = min(limit, commandLineLimit)
        guard bytes.count <= limit else {
            throw .commandLineTooLong(path: path, byteCount: bytes.count, limit: limit)
        }
        guard !bytes.contains(0) else { throw .commandLineHasNUL(path: path) }
        bytes.append(0)
        try memory.place(bytes, at: commandLine, for: path)
    }
}

extension GuestMemory {
    /// Copies `bytes` of the file `path` to `address`.
    func place(_ bytes: some Collection<UInt8>, at address: UInt64, for path: String) throws(BootError) {
        do throws(GuestMemoryError) {
            try copyIn(bytes, at: GuestAddress(address))
        } catch {
            throw .memory(path: path, cause: error)
        }
    }

    /// Zeroes `byteCount` bytes at `address`: RAM may hold what an earlier run of the guest left.
    func zero(at address: UInt64, byteCount: UInt64, for path: String) throws(BootError) {
        guard byteCount > 0 else { return }
        do throws(GuestMemoryError) {
            // SAFETY: `withBytes` proves that the bytes lie inside the mapping; they are trivial.
            unsafe try withBytes(at: GuestAddress(address), byteCount: Int(byteCount), writing: true) { bytes in
                _ = unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
            }
        } catch {
            throw .memory(path: path, cause: error)
        }
    }
}
