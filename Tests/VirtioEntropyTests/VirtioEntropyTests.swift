import GuestMemory
import Testing
import Virtio
import VirtioEntropy

@Suite struct VirtioEntropyTests {
    @Test func `A buffer is filled with bytes that differ each time`() throws {
        let memory = try GuestMemory(byteCount: 0x10_0000)
        let ring = DriverRing(memory)
        let device = VirtioEntropy()
        device.activate(Activation(memory: memory, features: .version1, queues: [try ring.queue()]))
        try ring.offer([(0x8000, 300, true), (0x9000, 300, true)])
        try device.process(queue: 0)
        #expect(try ring.takeUsed()?.byteCount == 600)
        let first = try memory.copyOut(at: GuestAddress(0x8000), byteCount: 300)
        let second = try memory.copyOut(at: GuestAddress(0x9000), byteCount: 300)
        #expect(first != second)
        #expect(Set(first[256...]).count > 1)
    }

    @Test func `A buffer that cannot be written is the driver's fault`() throws {
        let memory = try GuestMemory(byteCount: 0x10_0000)
        let ring = DriverRing(memory)
        let device = VirtioEntropy()
        device.activate(Activation(memory: memory, features: .version1, queues: [try ring.queue()]))
        try ring.offer([(0x8000, 300, false)])
        #expect(throws: VirtioQueueError.requestTooShort(byteCount: 0)) { try device.process(queue: 0) }
    }

    @Test func `A huge buffer is filled in part`() throws {
        let memory = try GuestMemory(byteCount: 0x10_0000)
        let ring = DriverRing(memory)
        let device = VirtioEntropy()
        device.activate(Activation(memory: memory, features: .version1, queues: [try ring.queue()]))
        try ring.offer([(0x8000, 0x8_0000, true)])
        try device.process(queue: 0)
        #expect(try ring.takeUsed()?.byteCount == 0x1_0000)
    }
}
