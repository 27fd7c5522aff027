/// Compares what two images read as.
public enum ImageComparison {
    public enum Outcome: Hashable, Sendable {
        case identical
        /// At this byte's sector.
        case differs(at: UInt64)
        case sizesDiffer(UInt64, UInt64)
    }

    /// `isStrict`: Sizes and what is allocated count too.
    public static func compare(
        _ first: any DiskImage,
        _ second: any DiskImage,
        isStrict: Bool = false,
        progress: (UInt64, UInt64) -> Void = { _, _ in }
    ) throws(DiskImageError) -> Outcome {
        let sizes = (first.byteCount, second.byteCount)
        if isStrict, sizes.0 != sizes.1 { return .sizesDiffer(sizes.0, sizes.1) }
        let common = min(sizes.0, sizes.1)
        let end = max(sizes.0, sizes.1)
        let buffers = (ByteBuffer(uninitialized: 1 << 20), ByteBuffer(uninitialized: 1 << 20))
        var place: UInt64 = 0
        while place < common {
            progress(place, end)
            let one = try first.extent(at: place, byteCount: common - place)
            let two = try second.extent(at: place, byteCount: common - place)
            let alike = min(one.byteCount, two.byteCount)
            if isStrict, (one.kind == .unallocated) != (two.kind == .unallocated) { return .differs(at: place) }
            if one.kind != .data, two.kind != .data {
                place += alike
                continue
            }
            let count = Int(min(alike, UInt64(buffers.0.count)))
            unsafe try first.read(into: buffers.0.bytes(0..<count), at: place)
            unsafe try second.read(into: buffers.1.bytes(0..<count), at: place)
            if let difference = unsafe firstDifference(buffers.0.bytes(0..<count), buffers.1.bytes(0..<count)) {
                return .differs(at: place + UInt64(difference) & ~511)
            }
            place += UInt64(count)
        }
        // A longer image is the same where the rest is zeros.
        let longer = sizes.0 > sizes.1 ? first : second
        while place < end {
            progress(place, end)
            let extent = try longer.extent(at: place, byteCount: end - place)
            if extent.kind == .data {
                let count = Int(min(extent.byteCount, UInt64(buffers.0.count)))
                unsafe try longer.read(into: buffers.0.bytes(0..<count), at: place)
                for start in stride(from: 0, to: count, by: 512)
                where unsafe !UnsafeRawBufferPointer(buffers.0.bytes(start..<min(count, start + 512))).isZero {
                    return .differs(at: place + UInt64(start))
                }
                place += UInt64(count)
            } else {
                place += extent.byteCount
            }
        }
        return .identical
    }

    static func firstDifference(_ one: UnsafeMutableRawBufferPointer, _ two: UnsafeMutableRawBufferPointer) -> Int? {
        var place = 0
        let count = min(one.count, two.count)
        while place &+ 8 <= count {
            let words = unsafe (
                one.loadUnaligned(fromByteOffset: place, as: UInt64.self),
                two.loadUnaligned(fromByteOffset: place, as: UInt64.self)
            )
            if words.0 != words.1 { break }
            place &+= 8
        }
        while place < count {
            if unsafe one[place] != two[place] { return place }
            place &+= 1
        }
        return nil
    }
}
