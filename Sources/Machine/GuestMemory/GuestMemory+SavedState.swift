internal import CLinux
internal import Glibc
public import MachineState

// Memory is saved in parts of 16 MiB of the memory file, each of runs of pages that are not all zeros:
//
//     page in the part (4) · number of pages (4) · bytes
extension GuestMemory {
    public static let partByteCount = 16 << 20
    public static var partVersion: UInt16 { 1 }

    public var partCount: Int { (byteCount + Self.partByteCount - 1) / Self.partByteCount }

    /// What is not zero in part `index`, or nil where all is.
    ///
    /// Pages that nobody has touched stay so.
    public func savedPart(_ index: Int) -> [UInt8]? {
        let (start, end) = (index * Self.partByteCount, min((index + 1) * Self.partByteCount, byteCount))
        guard index >= 0, start < end else { return nil }
        var encoder = StateEncoder()
        var offset = start
        while offset < end {
            let data = Int(clamping: clinux_next_data(fileDescriptor, Int64(offset)))
            // No data up to the end of the file; any other error: what is data cannot be told.
            if data == -Int(ENXIO) { break }
            let first = max(data < 0 ? offset : data, offset) & ~(Self.pageByteCount - 1)
            guard first < end else { break }
            let hole = Int(clamping: clinux_next_hole(fileDescriptor, Int64(first)))
            let last = min(hole <= first ? end : hole, end)
            append(first..<last, from: start, to: &encoder)
            offset = (last + Self.pageByteCount - 1) & ~(Self.pageByteCount - 1)
        }
        return encoder.bytes.isEmpty ? nil : encoder.bytes
    }

    /// Appends the runs of pages of `range`, which is in bytes of the memory file.
    private func append(_ range: Range<Int>, from start: Int, to encoder: inout StateEncoder) {
        let page = Self.pageByteCount
        var offset = range.lowerBound
        while offset < range.upperBound {
            guard !isZero(offset) else {
                offset += page
                continue
            }
            let first = offset
            while offset < range.upperBound, !isZero(offset) { offset += page }
            encoder.encode(UInt32((first - start) / page))
            encoder.encode(UInt32((offset - first) / page))
            let run = unsafe UnsafeRawBufferPointer(start: hostBase + first, count: offset - first)
            unsafe encoder.encodeFixed(run)
        }
    }

    private func isZero(_ offset: Int) -> Bool {
        let words = unsafe UnsafeRawBufferPointer(start: hostBase + offset, count: Self.pageByteCount)
        var bits: UInt64 = 0
        for at in stride(from: 0, to: Self.pageByteCount, by: 64) {
            var part: UInt64 = 0
            for step in stride(from: 0, to: 64, by: 8) {
                part |= unsafe words.load(fromByteOffset: at + step, as: UInt64.self)
            }
            bits |= part
            if bits != 0 { return false }
        }
        return true
    }

    /// Fills part `index` of memory that is all zeros, before any code of it was decoded.
    public func loadPart(_ index: Int, from decoder: inout StateDecoder) throws(StateFault) {
        let page = Self.pageByteCount
        let start = index * Self.partByteCount
        let pageCount = (min(start + Self.partByteCount, byteCount) - start) / page
        guard index >= 0, pageCount > 0 else { throw .unknown }
        var next = 0
        while decoder.remainingByteCount > 0 {
            let first = Int(try decoder.decode(UInt32.self, "first page of a run"))
            let count = Int(try decoder.decode(UInt32.self, "number of pages of a run"))
            guard first >= next, first < pageCount else {
                throw .badValue(field: "first page of a run", value: "\(first)")
            }
            guard count > 0, count <= pageCount - first else {
                throw .badValue(field: "number of pages of a run", value: "\(count)")
            }
            let bytes = try decoder.decodeFixed(count * page, "pages")
            let target = unsafe UnsafeMutableRawBufferPointer(
                start: hostBase + start + first * page,
                count: count * page
            )
            unsafe target.copyBytes(from: bytes)
            next = first + count
        }
    }
}
