import Synchronization
import Testing
import Virtio

@Suite(.timeLimit(.minutes(1))) struct DeviceWorkerTests {
    @Test func `Every signalled queue is served`() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Int.self)
        let worker = try #require(DeviceWorker { continuation.yield($0) })
        worker.signal(63)
        worker.signal(64)
        worker.signal(-1)
        worker.signal(0)
        var served: Set<Int> = []
        for await queue in stream {
            served.insert(queue)
            if served.count == 2 { break }
        }
        #expect(served == [0, 63])
        worker.stop()
    }

    @Test func `Nothing is served once stop has returned`() throws {
        let served = CallCount()
        let worker = try #require(DeviceWorker { _ in served.add() })
        worker.signal(1)
        worker.stop()
        let before = served.count
        worker.signal(1)
        worker.stop()
        #expect(served.count == before)
    }

    @Test func `A worker may stop itself`() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let holder = Holder()
        let worker = try #require(
            DeviceWorker { _ in
                holder.worker.withLock { $0 }?.stop()
                continuation.yield()
            }
        )
        holder.worker.withLock { $0 = worker }
        worker.signal(0)
        for await _ in stream { break }
        holder.worker.withLock { $0 = nil }
    }

    private final class Holder: Sendable { let worker = Mutex<DeviceWorker?>(nil) }
}
