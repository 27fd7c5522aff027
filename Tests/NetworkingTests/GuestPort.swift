import Glibc
import NetworkFrames
import Synchronization

/// The guest's end of a network, which keeps what it gets.
final class GuestPort: FrameReceiver {
    let offloads: Offloads
    private let kept = Mutex<[Frame]>([])

    init(_ offloads: Offloads = []) { self.offloads = offloads }

    func receive(_ frames: [Frame]) -> Bool {
        kept.withLock { $0 += frames }
        return true
    }

    var frames: [Frame] { kept.withLock { $0 } }

    /// Waits up to ten seconds for a frame.
    func first(where isWanted: (Frame) -> Bool) -> Frame? {
        for _ in 0..<10_000 {
            if let found = frames.first(where: isWanted) { return found }
            usleep(1000)
        }
        return nil
    }
}

/// Calls `body` until it is true, for ten seconds.
func holds(_ body: () -> Bool) -> Bool {
    for _ in 0..<10_000 {
        if body() { return true }
        usleep(1000)
    }
    return false
}

/// A new folder under /tmp, for the sockets of a test.
func makeFolder() -> String {
    var name = Array("/tmp/viv-lan.XXXXXX".utf8CString)
    guard mkdtemp(&name) != nil else { return "" }
    return String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
