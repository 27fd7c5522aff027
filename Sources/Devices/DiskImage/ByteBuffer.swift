internal import Glibc

/// Bytes in page-aligned memory, with checked big-endian access to their words.
///
/// Not synchronised: whoever shares one between threads has a lock of its own.
@safe
public final class ByteBuffer: @unchecked Sendable {
    // SAFETY: the memory lives as long as this object; users that share it hold a lock.
    private let base: UnsafeMutableRawPointer
    public let count: Int

    /// `count` zero bytes.
    public init(count: Int) {
        self.count = count
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 4096)
        unsafe memset(base, 0, count)
    }

    /// Bytes of any value, to be filled.
    public init(uninitialized count: Int) {
        self.count = count
        unsafe base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: 4096)
    }

    public convenience init(_ bytes: [UInt8], count: Int? = nil) {
        self.init(count: max(count ?? bytes.count, bytes.count))
        unsafe self.bytes.copyBytes(from: bytes)
    }

    deinit { unsafe base.deallocate() }

    /// Valid while this object lives.
    public var bytes: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: count)
    }
    public func bytes(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        precondition(range.lowerBound >= 0 && range.upperBound <= count)
        return unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[range])
    }

    func load<Word: FixedWidthInteger & BitwiseCopyable>(_ type: Word.Type, at offset: Int) -> Word {
        precondition(offset >= 0 && offset <= count - MemoryLayout<Word>.size)
        return Word(bigEndian: unsafe base.loadUnaligned(fromByteOffset: offset, as: Word.self))
    }
    func store<Word: FixedWidthInteger & BitwiseCopyable>(_ word: Word, at offset: Int) {
        precondition(offset >= 0 && offset <= count - MemoryLayout<Word>.size)
        unsafe base.storeBytes(of: word.bigEndian, toByteOffset: offset, as: Word.self)
    }
    subscript(offset: Int) -> UInt8 {
        get { load(UInt8.self, at: offset) }
        set { store(newValue, at: offset) }
    }
    func array(_ range: Range<Int>) -> [UInt8] { unsafe [UInt8](bytes(range)) }
    func fill(_ range: Range<Int>, with byte: UInt8 = 0) {
        let part = unsafe bytes(range)
        if let start = part.baseAddress { unsafe memset(start, CInt(byte), part.count) }
    }
    func text(_ range: Range<Int>) -> String { String(decoding: array(range), as: UTF8.self) }
}

extension UnsafeMutableRawBufferPointer {
    func fillWithZeroes() {
        if let start = baseAddress { unsafe memset(start, 0, count) }
    }
    func part(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(rebasing: self[range])
    }
}
extension UnsafeRawBufferPointer {
    func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(rebasing: self[range]) }

    /// Whether all bytes are 0: 64 at a time.
    public var isZero: Bool {
        guard let base = baseAddress else { return true }
        var offset = 0
        // Most data differs from zero at once.
        if count >= 16, unsafe base.loadUnaligned(as: UInt64.self) != 0 { return false }
        while offset &+ 256 <= count {
            var sum = unsafe base.loadUnaligned(fromByteOffset: offset, as: SIMD8<UInt64>.self)
            unsafe sum |= base.loadUnaligned(fromByteOffset: offset &+ 64, as: SIMD8<UInt64>.self)
            unsafe sum |= base.loadUnaligned(fromByteOffset: offset &+ 128, as: SIMD8<UInt64>.self)
            unsafe sum |= base.loadUnaligned(fromByteOffset: offset &+ 192, as: SIMD8<UInt64>.self)
            if sum != SIMD8(repeating: 0) { return false }
            offset &+= 256
        }
        while offset < count {
            if unsafe self[offset] != 0 { return false }
            offset &+= 1
        }
        return true
    }
}
