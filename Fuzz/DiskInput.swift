import DiskImage
import Synchronization

/// A file in memory of at most 16 MiB.
private final class MemoryFile: ImageFile {
    static let limit: UInt64 = 16 << 20
    let name = "fuzzed"
    private let content: Mutex<[UInt8]>

    init(_ bytes: [UInt8]) { content = Mutex(bytes) }

    var bytes: [UInt8] { content.withLock { $0 } }
    var byteCount: UInt64 { UInt64(content.withLock { $0.count }) }

    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) {
        content.withLock { content in
            let start = min(Int(clamping: offset), content.count)
            let count = min(bytes.count, content.count - start)
            for place in 0..<bytes.count { bytes[place] = place < count ? content[start + place] : 0 }
        }
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        let new = [UInt8](bytes)
        guard offset <= Self.limit, UInt64(new.count) <= Self.limit - offset else {
            throw .outOfRange(path: name, offset: offset, byteCount: UInt64(new.count), capacity: Self.limit)
        }
        content.withLock { content in
            let end = Int(offset) + new.count
            if content.count < end { content += [UInt8](repeating: 0, count: end - content.count) }
            content.replaceSubrange(Int(offset)..<end, with: new)
        }
    }
    func flush() {}
    func resize(to byteCount: UInt64) throws(DiskImageError) {
        guard byteCount <= Self.limit else {
            throw .outOfRange(path: name, offset: 0, byteCount: byteCount, capacity: Self.limit)
        }
        content.withLock { content in
            let count = Int(byteCount)
            if content.count > count {
                content.removeLast(content.count - count)
            } else {
                content += [UInt8](repeating: 0, count: count - content.count)
            }
        }
    }
    func punchHole(at offset: UInt64, byteCount: UInt64) -> Bool {
        content.withLock { content in
            let start = min(Int(clamping: offset), content.count)
            let end = byteCount > UInt64(content.count - start) ? content.count : start + Int(byteCount)
            for place in start..<end { content[place] = 0 }
        }
        return true
    }
    func span(at offset: UInt64) -> FileSpan {
        let end = byteCount
        return FileSpan(isData: offset < end, end: offset < end ? end : .max)
    }
}

/// Damaged qcow2 images, opened, read, written to, checked.
enum DiskInput {
    private static func sample(_ random: inout RandomSource) throws -> [UInt8] {
        var options = QCOW2CreateOptions(byteCount: UInt64(random.pick([1 << 18, 1 << 20])))
        options.clusterBits = UInt32(random.pick([9, 12, 16]))
        options.version = random.oneIn(4) ? 2 : 3
        if options.version == 3 {
            options.refcountBits = random.pick([1, 8, 16, 64])
            options.isLazy = random.oneIn(3)
            options.compression = random.oneIn(3) ? .zstd : .zlib
        }
        let file = MemoryFile([])
        let builder = try QCOW2Builder(file, options)
        let size = builder.clusterByteCount
        let compressor = ClusterCompressor(options.compression)
        let output = ByteBuffer(count: size)
        for cluster in 0..<min(8, Int(options.byteCount) / size) {
            let bytes = [UInt8](repeating: UInt8(cluster + 1), count: size)
            try bytes.withUnsafeBytes { content in
                let offset = UInt64(cluster * size)
                if random.oneIn(2), let count = compressor.compress(content, into: output.bytes) {
                    try builder.writeCompressed(UnsafeRawBufferPointer(output.bytes(0..<count)), [(offset, count)])
                } else {
                    try builder.write(content, at: offset)
                }
            }
        }
        try builder.finish()
        if options.refcountBits > 1 {
            let image = try QCOW2Image(file, isReadOnly: false)
            try image.createSnapshot(name: "one", seconds: 1)
            try image.close()
        }
        return file.bytes
    }

    private static func damage(_ bytes: inout [UInt8], _ random: inout RandomSource) {
        for _ in 0...random.below(8) {
            let count = random.pick([1, 2, 4, 8])
            let limit = random.oneIn(3) ? 512 : bytes.count
            guard limit > 16 else { return }
            let place = random.below(min(limit, bytes.count) - 8) & ~(count - 1)
            let value =
                random.oneIn(2)
                ? UInt64(random.below(bytes.count)) & ~511 | (random.oneIn(2) ? 1 << 63 : 0) : random.number()
            for index in 0..<count {
                bytes[place + index] = UInt8(truncatingIfNeeded: value >> UInt64((count - 1 - index) * 8))
            }
        }
        if random.oneIn(8) { bytes = Array(bytes.prefix(random.below(bytes.count))) }
    }

    /// True where the image opened.
    static func run(seed: UInt64) -> Bool {
        var random = RandomSource(seed: seed)
        do {
            var bytes = try sample(&random)
            damage(&bytes, &random)
            let file = MemoryFile(bytes)
            let reader = try QCOW2Image(file, isReadOnly: true)
            let end = reader.byteCount
            _ = try reader.check()
            let buffer = ByteBuffer(count: 1 << 16)
            var place: UInt64 = 0
            while place < min(end, 4 << 20) {
                let count = Int(min(end - place, UInt64(buffer.count)))
                do throws(DiskImageError) { try reader.read(into: buffer.bytes(0..<count), at: place) } catch {}
                do throws(DiskImageError) { _ = try reader.extent(at: place, byteCount: end - place) } catch {}
                place += UInt64(count)
            }
            let image = try QCOW2Image(file, isReadOnly: false)
            for _ in 0..<20 {
                let place = random.next() % max(1, min(end, 4 << 20))
                let count = min(UInt64(random.below(20000)), end - place)
                do throws(DiskImageError) {
                    switch random.below(6) {
                    case 0: try image.discard(at: place, byteCount: count)
                    case 1: try image.writeZeroes(at: place, byteCount: count, mayUnmap: random.oneIn(2))
                    case 2: try image.flush()
                    case 3: try image.createSnapshot(name: "s\(random.below(4))", seconds: 0)
                    case 4:
                        let name = image.snapshotList.first?.name ?? ""
                        if random.oneIn(2) { try image.applySnapshot(name) } else { try image.deleteSnapshot(name) }
                    default: try image.write(UnsafeRawBufferPointer(buffer.bytes(0..<Int(count))), at: place)
                    }
                } catch {}
            }
            _ = try image.check()
            try image.resize(to: end / 512 * 512 + 65536)
            try image.close()
            return true
        } catch {
            return "\(error)".isEmpty
        }
    }
}
