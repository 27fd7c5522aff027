internal import CLinux
internal import Glibc
public import NetworkFrames
internal import Synchronization
internal import SystemCalls

/// A tap interface of the host's, which takes and gives frames with their offloads.
public final class TapNetwork: NetworkBackend {
    private final class Core: Sendable {
        let file: FileDescriptor
        let thread: NetworkThread
        let receiver = Mutex<(any FrameReceiver)?>(nil)
        /// The guest has no room.
        let isPaused = Atomic(false)
        /// Frames that are read before they are handed on.
        static let batchCount = 64

        init(_ file: consuming FileDescriptor, _ thread: NetworkThread) {
            self.file = file
            self.thread = thread
        }

        func run() {
            var buffer = [UInt8](repeating: 0, count: FrameOffload.byteCount + Frame.byteLimit)
            while !thread.isOver {
                let wanted = isPaused.load(ordering: .acquiring) ? 0 : Int16(POLLIN)
                var polled = [
                    pollfd(fd: thread.wake.descriptor, events: Int16(POLLIN), revents: 0),
                    pollfd(fd: file.rawValue, events: wanted, revents: 0),
                ]
                unsafe poll(&polled, 2, -1)
                if polled[0].revents != 0 { thread.wake.clear() }
                // An interface that was deleted leaves nothing to wait for.
                if polled[1].revents & Int16(POLLERR | POLLHUP | POLLNVAL) != 0 { return }
                guard polled[1].revents & Int16(POLLIN) != 0 else { continue }
                var frames: [Frame] = []
                while frames.count < Self.batchCount, let frame = next(&buffer) {
                    if let frame { frames.append(frame) }
                }
                guard !frames.isEmpty, let receiver = receiver.withLock({ $0 }) else { continue }
                if !receiver.receive(frames) { isPaused.store(true, ordering: .releasing) }
            }
        }

        /// The next frame, nil inside where it makes no sense, nil where there is none.
        private func next(_ buffer: inout [UInt8]) -> Frame?? {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(file.rawValue, $0.baseAddress, $0.count) }
            guard count >= 0 else { return nil }
            let frameByteCount = count - FrameOffload.byteCount
            guard frameByteCount >= Frame.headerByteCount,
                let offload = FrameOffload(buffer, frameByteCount: frameByteCount)
            else { return .some(nil) }
            return Frame(Array(buffer[FrameOffload.byteCount..<count]), offload: offload)
        }
    }

    public let offloads = Offloads.all
    private let core: Core

    /// - Throws: ``NetworkError`` where the interface cannot be had; making one takes CAP_NET_ADMIN, using one that belongs to the user does not.
    public init(name: String) throws(NetworkError) {
        let option = "tap=\(name)"
        let descriptor = unsafe open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw .cannotOpen(path: "/dev/net/tun", cause: SystemCallError("open", errno: errno))
        }
        let file = FileDescriptor(owning: descriptor)
        let attached = unsafe clinux_tap_attach(descriptor, name)
        guard attached == 0 else { throw .host(option: option, cause: SystemCallError("TUNSETIFF", errno: -attached)) }
        let sized = clinux_tap_set_header_size(descriptor, CInt(FrameOffload.byteCount))
        guard sized == 0 else { throw .host(option: option, cause: SystemCallError("TUNSETVNETHDRSZ", errno: -sized)) }
        do throws(SystemCallError) {
            let thread = try NetworkThread()
            let core = Core(file, thread)
            self.core = core
            try thread.start { core.run() }
        } catch {
            throw .host(option: option, cause: error)
        }
    }

    deinit { core.thread.stop() }

    public func attach(_ receiver: (any FrameReceiver)?) {
        core.receiver.withLock { $0 = receiver }
        let wanted = receiver?.offloads ?? []
        // What the kernel does not hand on whole it cuts itself.
        _ = clinux_tap_set_offloads(
            core.file.rawValue,
            wanted.contains(.checksum) ? 1 : 0,
            wanted.contains(.tcp4) ? 1 : 0,
            wanted.contains(.tcp6) ? 1 : 0,
            wanted.contains(.congestionNotice) ? 1 : 0
        )
        resume()
    }

    /// A frame for which the interface has no room is lost, as on a wire.
    public func transmit(_ frames: [Frame]) {
        for frame in frames {
            var message = frame.offload.encoded()
            message += frame.bytes
            _ = unsafe message.withUnsafeBytes { unsafe write(core.file.rawValue, $0.baseAddress, $0.count) }
        }
    }

    public func resume() {
        core.isPaused.store(false, ordering: .releasing)
        core.thread.wake.signal()
    }
}
