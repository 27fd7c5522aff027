internal import Glibc
internal import HostCode

/// The file that gives `perf report` names for generated code: a line with start, size and name for each block.
///
/// `perf` looks for `/tmp/perf-PID.map` (tools/perf/Documentation/jit-interface.txt). Code that was thrown away stays in it, and the
/// last line about an address holds.
final class PerfMap {
    private let file: UnsafeMutablePointer<FILE>

    init?(path: String) {
        // Nobody's link is followed and nobody's file is written over: /tmp is everybody's.
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return nil }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == geteuid(), let file = fdopen(descriptor, "w") else {
            close(descriptor)
            return nil
        }
        self.file = file
    }

    deinit { fclose(file) }

    func add(_ start: UInt, _ byteCount: Int, _ name: String) {
        guard byteCount > 0 else { return }
        fputs("\(String(start, radix: 16)) \(String(byteCount, radix: 16)) \(name)\n", file)
    }

    func flush() { fflush(file) }
}

extension Stubs {
    /// The parts of the shared code and where they start, in order.
    var parts: [(name: String, offset: Int)] {
        let named =
            [
                ("enter", enter), ("read miss", readMiss), ("write miss", writeMiss), ("interpret", fallback),
                ("link", link),
                ("pending event", pending), ("host fault", hostFault), ("leave for an indirect branch", dispatchExit),
                ("return", returnMiss),
            ] + (0..<3).map { ("indirect branch, table \($0)", dispatch[$0]) }
        return named.sorted { $0.1 < $1.1 }.map { (name: $0.0, offset: $0.1) }
    }
}

extension PerfMap {
    /// Names the code that every block shares.
    func add(_ stubs: Stubs, of store: TranslationStore) {
        let base = UInt(bitPattern: store.code.executableBase)
        let parts = stubs.parts
        for (index, part) in parts.enumerated() {
            let end = index + 1 < parts.count ? parts[index + 1].offset : store.firstOffset
            add(base + UInt(part.offset), end - part.offset, "viv: \(part.name)")
        }
    }

    func add(_ record: BlockRecord, of store: TranslationStore) {
        let base = UInt(bitPattern: store.code.executableBase)
        let mode = store.views[Int(record.view)].table == 0 ? "user" : "kernel"
        // The code of a page that several processes share knows the lower bits of its address only.
        let place = record.isRelative ? "shared " : ""
        add(
            base + UInt(record.start),
            Int(record.end - record.start),
            "guest \(mode) \(place)0x\(String(record.rip, radix: 16))"
        )
    }
}
