extension GuestMemory {
    /// Reads a little-endian integer; `address` needs no alignment.
    ///
    /// - Throws: ``GuestMemoryError/notRAM(address:byteCount:)`` where any byte lies outside one region.
    public func load<T: FixedWidthInteger & BitwiseCopyable>(
        _ type: T.Type,
        at address: GuestAddress
    ) throws(GuestMemoryError) -> T {
        let pointer = unsafe try checked(address, MemoryLayout<T>.size)
        // SAFETY: `checked` proved that the bytes lie inside the mapping.
        return T(littleEndian: unsafe pointer.loadUnaligned(as: T.self))
    }

    /// Writes a little-endian integer; `address` needs no alignment.
    ///
    /// - Throws: ``GuestMemoryError/notRAM(address:byteCount:)`` where any byte lies outside one region; nothing is written.
    public func store<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T,
        at address: GuestAddress
    ) throws(GuestMemoryError) {
        let pointer = unsafe try checked(address, MemoryLayout<T>.size)
        // SAFETY: as in `load(_:at:)`.
        unsafe pointer.storeBytes(of: value.littleEndian, as: T.self)
        noteWrite(at: address, byteCount: MemoryLayout<T>.size)
    }

    /// Copies `bytes` to guest memory, read-only regions included (that is how ROM gets its contents).
    public func copyIn(_ bytes: some Collection<UInt8>, at address: GuestAddress) throws(GuestMemoryError) {
        let pointer = unsafe try checked(address, bytes.count)
        let target = unsafe UnsafeMutableRawBufferPointer(start: pointer, count: bytes.count)
        // SAFETY: `checked` proved that the bytes lie inside the mapping.
        unsafe target.copyBytes(from: bytes)
        noteWrite(at: address, byteCount: bytes.count)
    }

    /// A copy of `byteCount` bytes of guest memory.
    public func copyOut(at address: GuestAddress, byteCount: Int) throws(GuestMemoryError) -> [UInt8] {
        let pointer = unsafe try checked(address, byteCount)
        // SAFETY: `checked` proved that the bytes lie inside the mapping.
        return unsafe [UInt8](UnsafeRawBufferPointer(start: pointer, count: byteCount))
    }

    /// Lends the bytes themselves, for system calls that read or write guest memory; they may change at any time.
    ///
    /// `writing`: Whether `body` changes them (engines are then told).
    public func withBytes<Result>(
        at address: GuestAddress,
        byteCount: Int,
        writing: Bool,
        _ body: (UnsafeMutableRawBufferPointer) -> Result
    ) throws(GuestMemoryError) -> Result {
        let pointer = unsafe try checked(address, byteCount)
        defer { if writing { noteWrite(at: address, byteCount: byteCount) } }
        return unsafe body(UnsafeMutableRawBufferPointer(start: pointer, count: byteCount))
    }

    private func checked(_ address: GuestAddress, _ byteCount: Int) throws(GuestMemoryError) -> UnsafeMutableRawPointer
    {
        guard let pointer = unsafe hostPointer(at: address, byteCount: byteCount) else {
            throw .notRAM(address: address, byteCount: byteCount)
        }
        return unsafe pointer
    }
}
