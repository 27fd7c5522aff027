internal import ByteCoding

/// ACPI tables in one block of bytes, whose addresses and checksums are open until it is known where the block lies.
struct ACPITableBlob: Sendable {
    /// A field that holds an offset into the tables block, to which the block's address is to be added.
    struct Pointer: Sendable {
        let offset: Int
        let byteCount: Int
    }

    /// A byte that makes the sum of a range 0.
    struct Checksum: Sendable {
        let offset: Int
        let start: Int
        let byteCount: Int
    }

    private(set) var bytes: [UInt8] = []
    private(set) var pointers: [Pointer] = []
    private(set) var checksums: [Checksum] = []

    /// Appends a table with its header (ACPI 6.4 §5.2.6), 8-byte aligned, and returns its offset.
    mutating func appendTable(_ signature: String, revision: UInt8, body: [UInt8]) -> Int {
        let offset = align(to: 8)
        let byteCount = 36 + body.count
        bytes += Array(signature.utf8)
        bytes.append(littleEndian: UInt32(byteCount))
        bytes += [revision, 0] + Array("VIVARM".utf8) + Array("VIVARIUM".utf8)
        bytes.append(littleEndian: UInt32(1))
        bytes += Array("VIV ".utf8)
        bytes.append(littleEndian: UInt32(1))
        bytes += body
        addChecksum(at: offset + 9, over: offset, byteCount: byteCount)
        return offset
    }

    /// Appends bytes without a header and returns their offset.
    mutating func appendRaw(_ content: [UInt8], alignment: Int) -> Int {
        let offset = align(to: alignment)
        bytes += content
        return offset
    }

    /// Writes a pointer to `target`, an offset into the tables block.
    mutating func setPointer(at offset: Int, byteCount: Int, to target: Int) {
        if byteCount == 8 {
            bytes.store(littleEndian: UInt64(target), at: offset)
        } else {
            bytes.store(littleEndian: UInt32(target), at: offset)
        }
        pointers.append(Pointer(offset: offset, byteCount: byteCount))
    }

    mutating func setLength(_ byteCount: UInt32, at offset: Int) { bytes.store(littleEndian: byteCount, at: offset) }

    mutating func addChecksum(at offset: Int, over start: Int, byteCount: Int) {
        checksums.append(Checksum(offset: offset, start: start, byteCount: byteCount))
    }

    private mutating func align(to alignment: Int) -> Int {
        while !bytes.count.isMultiple(of: alignment) { bytes.append(0) }
        return bytes.count
    }

    /// The bytes with every pointer and checksum filled in for a tables block at `base`.
    func resolved(tablesBase base: UInt64) -> [UInt8] {
        var result = bytes
        for pointer in pointers {
            var value: UInt64 = 0
            for index in 0..<pointer.byteCount { value |= UInt64(result[pointer.offset + index]) << UInt64(8 * index) }
            value &+= base
            if pointer.byteCount == 8 {
                result.store(littleEndian: value, at: pointer.offset)
            } else {
                result.store(littleEndian: UInt32(truncatingIfNeeded: value), at: pointer.offset)
            }
        }
        for checksum in checksums {
            let sum = result[checksum.start..<(checksum.start + checksum.byteCount)].reduce(0, &+)
            result[checksum.offset] = result[checksum.offset] &- sum
        }
        return result
    }
}
