import DiskImage
import Synchronization

/// A file in memory that records what is done to it, to be cut anywhere.
final class RecordingFile: ImageFile {
    enum Event {
        case write(UInt64, [UInt8])
        case hole(UInt64, UInt64)
        case resize(UInt64)
        case flush
    }
    struct State {
        var bytes: [UInt8]
        var events: [Event] = []
        var isRecording = false
        /// Writes left before the host's disk is full; nil: it never is.
        var room: Int?
    }
    let name: String
    private let state: Mutex<State>

    init(_ bytes: [UInt8] = [], name: String = "recorded") {
        self.name = name
        state = Mutex(State(bytes: bytes))
    }

    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var events: [Event] { state.withLock { $0.events } }
    func record() {
        state.withLock {
            $0.isRecording = true
            $0.events = []
        }
    }
    func setRoom(_ writes: Int?) { state.withLock { $0.room = writes } }

    var byteCount: UInt64 { UInt64(state.withLock { $0.bytes.count }) }

    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) {
        state.withLock { state in
            let start = min(Int(clamping: offset), state.bytes.count)
            let end = min(start + bytes.count, state.bytes.count)
            for place in 0..<bytes.count { bytes[place] = start + place < end ? state.bytes[start + place] : 0 }
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        let content = [UInt8](bytes)
        let isFull = state.withLock { state -> Bool in
            if let room = state.room {
                if room == 0 { return true }
                state.room = room - 1
            }
            if state.isRecording { state.events.append(.write(offset, content)) }
            Self.apply(.write(offset, content), to: &state.bytes)
            return false
        }
        if isFull { throw .noSuchSnapshot(path: name, name: "room") }
    }

    func flush() { state.withLock { if $0.isRecording { $0.events.append(.flush) } } }

    func resize(to byteCount: UInt64) {
        state.withLock {
            if $0.isRecording { $0.events.append(.resize(byteCount)) }
            Self.apply(.resize(byteCount), to: &$0.bytes)
        }
    }

    func punchHole(at offset: UInt64, byteCount: UInt64) -> Bool {
        state.withLock {
            if $0.isRecording { $0.events.append(.hole(offset, byteCount)) }
            Self.apply(.hole(offset, byteCount), to: &$0.bytes)
        }
        return true
    }

    func span(at offset: UInt64) -> FileSpan {
        let end = byteCount
        return FileSpan(isData: offset < end, end: offset < end ? end : .max)
    }

    static func apply(_ event: Event, to bytes: inout [UInt8]) {
        switch event {
        case .write(let offset, let content):
            let end = Int(offset) + content.count
            if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
            bytes.replaceSubrange(Int(offset)..<end, with: content)
        case .hole(let offset, let count):
            let start = min(Int(offset), bytes.count)
            let end = min(start + Int(count), bytes.count)
            for place in start..<end { bytes[place] = 0 }
        case .resize(let count):
            if bytes.count > Int(count) {
                bytes.removeLast(bytes.count - Int(count))
            } else {
                bytes += [UInt8](repeating: 0, count: Int(count) - bytes.count)
            }
        case .flush: break
        }
    }

    /// What may be on the disk when power fails after `count` events: all that was flushed, and any sectors of what was not.
    static func cut(_ before: [UInt8], _ events: ArraySlice<Event>, _ random: inout SeededRandom) -> [UInt8] {
        var bytes = before
        let lastFlush = events.lastIndex { if case .flush = $0 { true } else { false } } ?? events.startIndex
        for event in events[events.startIndex..<lastFlush] { apply(event, to: &bytes) }
        for event in events[lastFlush...] {
            switch event {
            case .write(let offset, let content):
                var start = 0
                let isTorn = random.below(3) == 0
                let isKept = random.below(2) == 0
                while start < content.count {
                    let end = min(content.count, start + 512 - (Int(offset) + start) % 512)
                    if isTorn ? random.below(2) == 0 : isKept {
                        apply(.write(offset + UInt64(start), Array(content[start..<end])), to: &bytes)
                    }
                    start = end
                }
            case .hole, .resize: if random.below(2) == 0 { apply(event, to: &bytes) }
            case .flush: break
            }
        }
        return bytes
    }
}

/// SplitMix64.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64
    /// The seed is mixed, by another constant than each step's: neighbours are no later parts of the same stream.
    init(_ seed: UInt64) {
        state = seed
        state = next() ^ 0xD6E8_FEB8_6659_FD93
    }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
