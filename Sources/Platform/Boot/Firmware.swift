public import GuestMemory

/// A PC's BIOS image, such as Debian's `bios-256k.bin` of SeaBIOS.
public struct Firmware: Sendable {
    public let file: HostFile

    /// Checks the image's size: a power of two from 64 KiB to 16 MiB.
    public init(_ file: HostFile) throws(BootError) {
        let byteCount = file.bytes.count
        guard byteCount.nonzeroBitCount == 1, byteCount >= 1 << 16, byteCount <= 1 << 24 else {
            throw .unsupported(
                path: file.path,
                field: "the firmware's size",
                value: "\(byteCount) bytes",
                wanted: "a power of two from 64 KiB to 16 MiB"
            )
        }
        self.file = file
    }

    public var byteCount: Int { file.bytes.count }

    /// Copies the image to the end of the 4 GiB, which is ROM, and its last 128 KiB to the end of the first MiB, which is
    /// RAM, as a chip set's shadow has it after reset.
    ///
    /// - Returns: The reset state.
    public func load(into memory: GuestMemory) throws(BootError) -> BootEntry {
        try memory.place(file.bytes, at: MemoryMap.fourGiB - UInt64(byteCount), for: file.path)
        let shadow = file.bytes.suffix(0x20000)
        try memory.place(shadow, at: 0x10_0000 - UInt64(shadow.count), for: file.path)
        return .resetVector
    }
}
