internal import CLinux
internal import Glibc

/// An error that a request is answered with.
struct FUSEError: Error, Hashable {
    let errno: CInt

    init(_ errno: CInt) { self.errno = errno }

    /// Throws where a shim's result is `-errno`.
    @discardableResult
    static func check<Result: SignedInteger>(_ result: Result) throws(FUSEError) -> Result {
        guard result >= 0 else { throw FUSEError(CInt(truncatingIfNeeded: -result)) }
        return result
    }
}

/// What follows a request's header: structures of the protocol (linux/fuse.h), names, data; taken one after another.
struct FUSEArguments {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    var byteCount: Int { rest.count }

    /// - Throws: `EINVAL` where the request has fewer bytes.
    mutating func take<T: BitwiseCopyable>(_ type: T.Type) throws(FUSEError) -> T {
        let size = MemoryLayout<T>.size
        guard rest.count >= size else { throw FUSEError(EINVAL) }
        defer { rest = rest.dropFirst(size) }
        return unsafe rest.withUnsafeBytes { bytes in
            // SAFETY: the structures of the protocol are made of integers only, and the bytes are there.
            unsafe bytes.loadUnaligned(as: type)
        }
    }

    mutating func takeBytes(_ count: Int) throws(FUSEError) -> [UInt8] {
        guard count >= 0, rest.count >= count else { throw FUSEError(EINVAL) }
        defer { rest = rest.dropFirst(count) }
        return Array(rest.prefix(count))
    }

    /// Bytes up to a zero byte, without it.
    mutating func takeText(limit: Int) throws(FUSEError) -> [CChar] {
        guard let end = rest.firstIndex(of: 0) else { throw FUSEError(EINVAL) }
        let bytes = rest[rest.startIndex..<end]
        guard bytes.count <= limit else { throw FUSEError(ENAMETOOLONG) }
        rest = rest[(end + 1)...]
        return bytes.map { CChar(bitPattern: $0) } + [0]
    }

    /// One component of a path: not empty, neither `.` nor `..`, and without a slash.
    mutating func takeName() throws(FUSEError) -> FileName { try FileName(try takeText(limit: FileName.limit)) }
}

/// A name in a folder, which leads nowhere else.
struct FileName: Hashable {
    static let limit = 255
    /// Ends with a zero byte.
    let text: [CChar]

    /// `text` ends with a zero byte.
    init(_ text: [CChar]) throws(FUSEError) {
        let slash = CChar(bitPattern: UInt8(ascii: "/"))
        let dot = CChar(bitPattern: UInt8(ascii: "."))
        guard text.count > 1, !text.contains(slash), text != [dot, 0], text != [dot, dot, 0],
            text.firstIndex(of: 0) == text.count - 1
        else { throw FUSEError(EINVAL) }
        self.text = text
    }
}

/// The body of an answer: structures of the protocol and bytes, one after another.
struct FUSEBody {
    private(set) var bytes: [UInt8] = []

    init() {}
    init<T: BitwiseCopyable>(_ value: T) { append(value) }

    mutating func append<T: BitwiseCopyable>(_ value: T) {
        unsafe withUnsafeBytes(of: value) { unsafe bytes.append(contentsOf: $0) }
    }
    mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }
    /// Fills up with zeros to a multiple of 8 bytes.
    mutating func align() { bytes.append(contentsOf: repeatElement(0, count: -bytes.count & 7)) }
}

/// The data of reads and writes, which goes between files and the driver's buffers without a copy.
public protocol FUSETransfer {
    /// Lends the room for `byteCount` bytes of an answer's data, part by part, with each one's position.
    ///
    /// `body`: Returns how many bytes it put there, or `-errno`; fewer than the part holds ends it.
    /// - Returns: The bytes put there, or `-errno` where the first part failed.
    func fill(byteCount: Int, _ body: (UnsafeMutableRawBufferPointer, Int) -> Int) -> Int
    /// The same with the `byteCount` bytes of a request's data from `offset` on, to be read.
    func drain(offset: Int, byteCount: Int, _ body: (UnsafeRawBufferPointer, Int) -> Int) -> Int
}

/// How a request is answered.
public enum FUSEAnswer: Hashable, Sendable {
    /// Not at all.
    case none
    /// With these bytes, header included.
    case bytes([UInt8])
    /// With this header and as many bytes of data, which ``FUSETransfer/fill(byteCount:_:)`` was given.
    case data(header: [UInt8], byteCount: Int)
}
