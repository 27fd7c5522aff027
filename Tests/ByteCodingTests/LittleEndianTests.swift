import ByteCoding
import Testing

@Suite struct LittleEndianTests {
    @Test func `An integer comes back as it was appended`() {
        var bytes: [UInt8] = [0xEE]
        bytes.append(littleEndian: UInt32(0x1234_5678))
        bytes.append(littleEndian: UInt64(0xFFEE_DDCC_BBAA_9988))
        #expect(bytes[1...4] == [0x78, 0x56, 0x34, 0x12])
        let reader = ByteReader(bytes)
        #expect(reader.load(UInt32.self, at: 1) == 0x1234_5678)
        #expect(reader.load(UInt64.self, at: 5) == 0xFFEE_DDCC_BBAA_9988)
    }

    @Test func `A stored integer replaces its bytes and no others`() {
        var bytes = [UInt8](repeating: 0xAA, count: 6)
        bytes.store(littleEndian: UInt16(0x0102), at: 2)
        #expect(bytes == [0xAA, 0xAA, 0x02, 0x01, 0xAA, 0xAA])
    }

    @Test(arguments: [-1, 1, 4, 5, Int.max, Int.min])
    func `A load that leaves the bytes gives nil`(offset: Int) {
        #expect(ByteReader([1, 2, 3, 4]).load(UInt32.self, at: offset) == nil)
    }

    @Test func `The last bytes can be read`() {
        #expect(ByteReader([1, 2, 3, 4]).load(UInt16.self, at: 2) == 0x0403)
        #expect(ByteReader([]).load(UInt8.self, at: 0) == nil)
    }
}
