internal import Glibc
public import NetworkFrames
internal import Synchronization
internal import SystemCalls

/// A file of frames that other tools read (the pcap format of libpcap, with nanoseconds), from any number of ports.
///
/// Frames are written as they pass the device: several segments may be one frame, and a checksum that is left to be completed is wrong.
public final class PacketCapture: FrameObserver {
    private static let magic: UInt32 = 0xA1B2_3C4D
    private static let ethernet: UInt32 = 1
    private static let longestFrame: UInt32 = 262_144

    private let file: FileDescriptor
    /// Nil once a write has failed.
    private let isOpen = Mutex(true)

    /// Makes the file, or cuts it to nothing.
    public init(path: String) throws(NetworkError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0o600)
        guard descriptor >= 0 else {
            throw .cannotOpen(path: path, cause: SystemCallError("open", errno: errno))
        }
        file = FileDescriptor(owning: descriptor)
        var header: [UInt8] = []
        let version: UInt32 = 4 << 16 | 2
        for value in [Self.magic, version, 0, 0, Self.longestFrame, Self.ethernet] as [UInt32] {
            Self.append(value, &header)
        }
        guard write(header) else {
            throw .cannotOpen(path: path, cause: SystemCallError("write", errno: errno))
        }
    }

    public func observe(_ frames: [Frame]) {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(frames.reduce(0) { $0 + $1.bytes.count + 16 })
        for frame in frames {
            let count = UInt32(clamping: frame.bytes.count)
            Self.append(UInt32(truncatingIfNeeded: now.tv_sec), &bytes)
            Self.append(UInt32(truncatingIfNeeded: now.tv_nsec), &bytes)
            // Written and original bytes.
            Self.append(count, &bytes)
            Self.append(count, &bytes)
            bytes += frame.bytes
        }
        // A record is whole or the last: after a failed write there are no more.
        isOpen.withLock { isOpen in if isOpen { isOpen = write(bytes) } }
    }

    private static func append(_ value: UInt32, _ bytes: inout [UInt8]) {
        for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    private func write(_ bytes: [UInt8]) -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}

/// Several observers as one.
public final class FrameObservers: FrameObserver {
    private let all: [any FrameObserver]

    public init(_ all: [any FrameObserver]) { self.all = all }

    public func observe(_ frames: [Frame]) { for one in all { one.observe(frames) } }
}
