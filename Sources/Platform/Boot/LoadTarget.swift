internal import ByteCoding
internal import GuestMemory

/// Guest memory as a loader of segments sees it: only free RAM of the guest's map may be written.
struct LoadTarget {
    let memory: GuestMemory
    let map: MemoryMap

    /// Copies `content` to `address` and zeroes the rest of `memoryByteCount` bytes.
    ///
    /// - Returns: The end of the segment.
    func load(
        _ content: ArraySlice<UInt8>,
        of path: String,
        at address: UInt64,
        memoryByteCount: UInt64
    ) throws(BootError) -> UInt64 {
        guard map.isFree(base: address, byteCount: memoryByteCount) else {
            throw .occupied(path: path, address: address, byteCount: memoryByteCount)
        }
        let contentByteCount = UInt64(content.count)
        try memory.place(content, at: address, for: path)
        try memory.zero(at: address + contentByteCount, byteCount: memoryByteCount - contentByteCount, for: path)
        return address + memoryByteCount
    }
}

/// Bytes that grow in the information area of low memory; each part gets a known address.
struct InformationArea {
    private(set) var bytes: [UInt8]

    /// - Parameter headByteCount: The size of the structure that the area begins with.
    init(headByteCount: Int) { bytes = [UInt8](repeating: 0, count: headByteCount) }

    /// Appends `content` and returns where it will lie.
    mutating func append(_ content: [UInt8]) -> UInt64 {
        while !bytes.count.isMultiple(of: 8) { bytes.append(0) }
        defer { bytes += content }
        return LowMemory.information + UInt64(bytes.count)
    }

    mutating func store<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        bytes.store(littleEndian: value, at: offset)
    }

    func write(to memory: GuestMemory, for path: String) throws(BootError) {
        guard bytes.count <= LowMemory.informationByteCount else {
            throw .doesNotFit(
                path: path,
                byteCount: UInt64(bytes.count),
                memoryByteCount: LowMemory.informationByteCount
            )
        }
        try memory.place(bytes, at: LowMemory.information, for: path)
    }
}
