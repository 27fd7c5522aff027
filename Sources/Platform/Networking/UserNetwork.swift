internal import Glibc
public import NetworkFrames
internal import Synchronization
internal import SystemCalls

/// A network without privileges: NAT in this process, by libslirp.
///
/// The stack belongs to a lock. The device's worker enters it with the guest's frames and takes the answers with it; the network's own
/// thread waits for sockets and enters it when one is ready. The guest's segments stay as large as they are, and those for it are joined.
public final class UserNetwork: NetworkBackend {
    /// What the thread and the owner share.
    private final class Core: Sendable {
        let stack: Mutex<SlirpStack>
        let receiver = Mutex<(any FrameReceiver)?>(nil)
        let thread: NetworkThread

        init(_ stack: sending SlirpStack, _ thread: NetworkThread) {
            self.stack = Mutex(stack)
            self.thread = thread
        }

        func run() {
            let event = thread.wake
            while !thread.isOver {
                var (polled, wait) = stack.withLock { stack -> ([pollfd], CInt) in
                    let wait = stack.prepare(event: event.descriptor)
                    return (stack.polled, wait)
                }
                let found = unsafe poll(&polled, nfds_t(polled.count), wait)
                if thread.isOver { return }
                if polled[0].revents != 0 { event.clear() }
                let output = stack.withLock { stack -> [Frame] in
                    stack.finish(polled, failed: found < 0)
                    return stack.output.take()
                }
                deliver(output)
            }
        }

        /// Frames that find no room are sent anew by TCP, as on any network.
        func deliver(_ frames: [Frame]) {
            guard !frames.isEmpty, let receiver = receiver.withLock({ $0 }) else { return }
            _ = receiver.receive(frames)
        }
    }

    /// libslirp copies what it gets, of any length; checksums it looks at, and IPv6 packets above the MTU it refuses.
    public let offloads: Offloads = [.tcp4, .congestionNotice]
    private let core: Core

    /// `mtu`: Of the packets that libslirp sends; nil for 1500 bytes.
    public init(_ configuration: UserNetworkConfiguration, mtu: UInt16? = nil) throws(NetworkError) {
        let thread: NetworkThread
        do throws(SystemCallError) { thread = try NetworkThread() } catch { throw .host(option: "user", cause: error) }
        let stack = try SlirpStack(configuration, mtu: mtu)
        stack.wake = { thread.wake.signal() }
        let core = Core(stack, thread)
        self.core = core
        do throws(SystemCallError) { try thread.start { core.run() } } catch {
            throw .host(option: "user", cause: error)
        }
    }

    deinit { core.thread.stop() }

    public func attach(_ receiver: (any FrameReceiver)?) {
        core.receiver.withLock { $0 = receiver }
        let wanted = receiver?.offloads ?? []
        core.stack.withLock { $0.output.offloads = wanted }
    }

    public func transmit(_ frames: [Frame]) {
        let output = core.stack.withLock { stack -> [Frame] in
            for var frame in frames {
                if frame.offload.segmentation != .none {
                    guard frame.completeWithoutSegmentation() else { continue }
                }
                stack.input(frame.bytes)
            }
            return stack.output.take()
        }
        core.deliver(output)
        // Other sockets, and more room in them, are to be waited for.
        core.thread.wake.signal()
    }

    /// What the guest had no room for is lost.
    public func resume() {}
}
