/// A cluster of metadata in memory: an L2 table or a refcount block.
///
/// Guarded by the image's metadata lock; only the holder of the allocation lock changes words.
final class QCOW2Table {
    let offset: UInt64
    let buffer: ByteBuffer
    /// The bytes that differ from the file.
    private(set) var dirty: Range<Int>?
    var lastUse: UInt64 = 0

    init(offset: UInt64, buffer: ByteBuffer) {
        self.offset = offset
        self.buffer = buffer
    }

    subscript(index: Int) -> UInt64 {
        get { buffer.load(UInt64.self, at: index * 8) }
        set {
            buffer.store(newValue, at: index * 8)
            markDirty(index * 8..<index * 8 + 8)
        }
    }

    func markDirty(_ range: Range<Int>) {
        guard let old = dirty else {
            dirty = range
            return
        }
        dirty = min(old.lowerBound, range.lowerBound)..<max(old.upperBound, range.upperBound)
    }
    func markAllDirty() { dirty = 0..<buffer.count }
    func markClean() { dirty = nil }

    /// The whole sectors that have to be written.
    var dirtySectors: Range<Int>? { dirty.map { $0.lowerBound & ~511..<($0.upperBound + 511) & ~511 } }

    /// Refcount `index` of a block of refcounts of 2^`order` bits; those below a byte start at its least bit.
    func refcount(_ index: Int, order: UInt32) -> UInt64 {
        switch order {
        case 3: return UInt64(buffer.load(UInt8.self, at: index))
        case 4: return UInt64(buffer.load(UInt16.self, at: index * 2))
        case 5: return UInt64(buffer.load(UInt32.self, at: index * 4))
        case 6: return buffer.load(UInt64.self, at: index * 8)
        default:
            let bits = 1 << Int(order)
            let place = index * bits
            return UInt64(buffer[place / 8] >> UInt8(place % 8)) & ((1 << UInt64(bits)) - 1)
        }
    }

    func setRefcount(_ index: Int, _ value: UInt64, order: UInt32) {
        switch order {
        case 3:
            buffer.store(UInt8(truncatingIfNeeded: value), at: index)
            markDirty(index..<index + 1)
        case 4:
            buffer.store(UInt16(truncatingIfNeeded: value), at: index * 2)
            markDirty(index * 2..<index * 2 + 2)
        case 5:
            buffer.store(UInt32(truncatingIfNeeded: value), at: index * 4)
            markDirty(index * 4..<index * 4 + 4)
        case 6:
            buffer.store(value, at: index * 8)
            markDirty(index * 8..<index * 8 + 8)
        default:
            let bits = 1 << Int(order)
            let place = index * bits
            let mask = UInt8((1 << bits) - 1) << UInt8(place % 8)
            let byte = buffer[place / 8] & ~mask | UInt8(truncatingIfNeeded: value) << UInt8(place % 8) & mask
            buffer[place / 8] = byte
            markDirty(place / 8..<place / 8 + 1)
        }
    }
}

/// The tables that are in memory, by their place in the file.
///
/// The least recently used clean ones make room.
struct QCOW2TableCache {
    private var tables: [UInt64: QCOW2Table] = [:]
    private var clock: UInt64 = 0
    let limit: Int

    init(limit: Int) { self.limit = limit }

    mutating func table(at offset: UInt64) -> QCOW2Table? {
        guard let found = tables[offset] else { return nil }
        clock &+= 1
        found.lastUse = clock
        return found
    }

    mutating func insert(_ table: QCOW2Table) {
        if tables.count >= limit {
            let clean = tables.values.filter { $0.dirty == nil }.sorted { $0.lastUse < $1.lastUse }
            for old in clean.prefix(max(1, limit / 4)) { tables[old.offset] = nil }
        }
        clock &+= 1
        table.lastUse = clock
        tables[table.offset] = table
    }

    mutating func remove(at offset: UInt64) { tables[offset] = nil }
    mutating func removeAll() { tables = [:] }
    /// Tables to be written, in the file's order.
    var dirty: [QCOW2Table] { tables.values.filter { $0.dirty != nil }.sorted { $0.offset < $1.offset } }
    var dirtyCount: Int { tables.values.reduce(0) { $0 + ($1.dirty == nil ? 0 : 1) } }
}
