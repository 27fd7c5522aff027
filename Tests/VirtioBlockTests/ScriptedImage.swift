import DiskImage
import Glibc
import Synchronization
import SystemCalls

/// A disk in memory whose calls fail and wait as a test says, and are written down.
final class ScriptedImage: DiskImage {
    struct State {
        var bytes: [UInt8]
        var log: [String] = []
        /// Calls that change the disk and are still to fail, and with what.
        var failures = 0
        var failure = DiskImageError.failed(path: "scripted", cause: .init("pwrite", errno: ENOSPC))
        /// Reads that begin at these offsets wait.
        var gates: Set<UInt64> = []
        var reading = 0
        var mostReading = 0
        var writes = 0
    }
    let isReadOnly = false
    let byteCount: UInt64
    private let state: Mutex<State>
    /// Reads wait until so many are under way at once.
    let rendezvous: Int

    init(byteCount: Int = 1 << 20, rendezvous: Int = 1) {
        self.byteCount = UInt64(byteCount)
        self.rendezvous = rendezvous
        state = Mutex(State(bytes: [UInt8](repeating: 0, count: byteCount)))
    }

    func update<Result: Sendable>(_ body: (inout sending State) -> sending Result) -> sending Result {
        state.withLock { body(&$0) }
    }
    var log: [String] { state.withLock { $0.log } }
    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var mostReading: Int { state.withLock { $0.mostReading } }
    func note(_ text: String) { state.withLock { $0.log.append(text) } }
    func fail(_ count: Int, _ call: String = "pwrite", _ errno: CInt = ENOSPC) {
        state.withLock {
            $0.failures = count
            $0.failure = .failed(path: "scripted", cause: .init(call, errno: errno))
        }
    }
    func close(_ offset: UInt64) { state.withLock { _ = $0.gates.insert(offset) } }
    func open(_ offset: UInt64) { state.withLock { _ = $0.gates.remove(offset) } }

    func read(into bytes: UnsafeMutableRawBufferPointer, at offset: UInt64) {
        state.withLock {
            $0.reading += 1
            $0.mostReading = max($0.mostReading, $0.reading)
        }
        // A minute stands for ever.
        for _ in 0..<60_000 {
            if state.withLock({ $0.mostReading >= rendezvous && !$0.gates.contains(offset) }) { break }
            usleep(1000)
        }
        state.withLock {
            $0.reading -= 1
            $0.log.append("read \(offset)")
            bytes.copyBytes(from: $0.bytes[Int(offset)..<Int(offset) + bytes.count])
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(DiskImageError) {
        let content = [UInt8](bytes)
        try change("write \(offset)") { state in
            state.writes += 1
            state.bytes.replaceSubrange(Int(offset)..<Int(offset) + content.count, with: content)
        }
    }
    func flush() throws(DiskImageError) { try change("flush") { _ in } }
    func discard(at offset: UInt64, byteCount: UInt64) throws(DiskImageError) {
        try change("discard \(offset) \(byteCount)") { _ in }
    }
    func writeZeroes(at offset: UInt64, byteCount: UInt64, mayUnmap: Bool) throws(DiskImageError) {
        try change("zero \(offset) \(byteCount)") { state in
            let zeros = [UInt8](repeating: 0, count: Int(byteCount))
            state.bytes.replaceSubrange(Int(offset)..<Int(offset + byteCount), with: zeros)
        }
    }
    func extent(at offset: UInt64, byteCount: UInt64) -> DiskExtent {
        DiskExtent(.data, offset: offset, byteCount: byteCount)
    }

    private func change(_ text: String, _ body: (inout State) -> Void) throws(DiskImageError) {
        let failure = state.withLock { state -> DiskImageError? in
            if state.failures > 0 {
                state.failures -= 1
                state.log.append("failed \(text)")
                return state.failure
            }
            state.log.append(text)
            body(&state)
            return nil
        }
        if let failure { throw failure }
    }
}
