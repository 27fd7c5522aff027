/// CRC-32C (polynomial 0x1EDC6F41, reflected; RFC 3720 §B.4), eight bytes at a time.
struct Checksum {
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for index in 0..<256 {
            var value = UInt32(index)
            for _ in 0..<8 { value = value >> 1 ^ (value & 1 != 0 ? 0x82F6_3B78 : 0) }
            tables[index] = value
        }
        for table in 1..<8 {
            for index in 0..<256 {
                let value = tables[(table - 1) * 256 + index]
                tables[table * 256 + index] = value >> 8 ^ tables[Int(value & 0xFF)]
            }
        }
        return tables
    }()

    private var state = UInt32.max

    var value: UInt32 { ~state }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        var crc = state
        unsafe Self.tables.withUnsafeBufferPointer { tables in
            var index = 0
            while bytes.count - index >= 8 {
                let low = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self)) ^ crc
                let high = unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: index + 4, as: UInt32.self))
                let first = unsafe tables[0x700 + Int(low & 0xFF)] ^ tables[0x600 + Int(low >> 8 & 0xFF)]
                let second = unsafe tables[0x500 + Int(low >> 16 & 0xFF)] ^ tables[0x400 + Int(low >> 24)]
                let third = unsafe tables[0x300 + Int(high & 0xFF)] ^ tables[0x200 + Int(high >> 8 & 0xFF)]
                let fourth = unsafe tables[0x100 + Int(high >> 16 & 0xFF)] ^ tables[Int(high >> 24)]
                crc = first ^ second ^ third ^ fourth
                index += 8
            }
            while index < bytes.count {
                crc = unsafe crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[index])) & 0xFF)]
                index += 1
            }
        }
        state = crc
    }

    mutating func update(_ bytes: [UInt8]) { unsafe bytes.withUnsafeBytes { unsafe update($0) } }

    static func of(_ bytes: [UInt8]) -> UInt32 {
        var sum = Checksum()
        sum.update(bytes)
        return sum.value
    }
}
