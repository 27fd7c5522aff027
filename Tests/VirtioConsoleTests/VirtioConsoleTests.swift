import GuestMemory
import Synchronization
import Testing
import Virtio
import VirtioConsole

/// Keeps what the guest printed.
final class Screen: Sendable {
    private let bytes = Mutex<[UInt8]>([])
    func append(_ more: [UInt8]) { bytes.withLock { $0 += more } }
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }
}

@Suite struct VirtioConsoleTests {
    let memory: GuestMemory
    let receive: DriverRing
    let transmit: DriverRing
    let screen = Screen()
    let console: VirtioConsole
    let changes = CallCount()
    let wakes = CallCount()

    init() throws {
        memory = try GuestMemory(byteCount: 0x10_0000)
        receive = DriverRing(memory, base: 0x1000)
        transmit = DriverRing(memory, base: 0x4000)
        console = VirtioConsole(columns: 100, rows: 30) { [screen] in screen.append($0) }
        console.activate(
            Activation(
                memory: memory,
                features: [.version1, VirtioFeatures(bit: 0)],
                queues: [try receive.queue(), try transmit.queue()],
                wake: { [wakes] _ in wakes.add() },
                configurationChanged: { [changes] in changes.add() }
            )
        )
    }

    @Test func `Output reaches the sink in order`() throws {
        try memory.copyIn(Array("hello, world".utf8), at: GuestAddress(0x8000))
        try transmit.offer([(0x8000, 5, false)])
        try transmit.offer([(0x8005, 3, false), (0x8008, 4, false)])
        try console.process(queue: 1)
        #expect(screen.text == "hello, world")
        #expect(try transmit.usedIndex == 2)
    }

    @Test func `Input fills the driver's buffers and waits where there are none`() throws {
        #expect(console.receive(Array("abcdef".utf8)) == 6)
        #expect(wakes.count == 1)
        try console.process(queue: 0)
        #expect(try receive.usedIndex == 0)
        try receive.offer([(0x8000, 4, true)])
        try receive.offer([(0x9000, 4, true)])
        try receive.offer([(0xA000, 4, true)])
        try console.process(queue: 0)
        #expect(try receive.takeUsed()?.byteCount == 4)
        #expect(try receive.takeUsed()?.byteCount == 2)
        #expect(try receive.takeUsed() == nil, "a buffer stays for the next input")
        #expect(try memory.copyOut(at: GuestAddress(0x9000), byteCount: 2) == Array("ef".utf8))
        console.receive(Array("g".utf8))
        try console.process(queue: 0)
        #expect(try memory.load(UInt8.self, at: GuestAddress(0xA000)) == UInt8(ascii: "g"))
    }

    @Test func `Input beyond the limit is not taken`() {
        let bytes = [UInt8](repeating: 0, count: VirtioConsole.inputLimit - 1)
        #expect(console.receive(bytes) == bytes.count)
        #expect(console.receive([1, 2, 3]) == 1)
        #expect(console.receive([1]) == 0)
    }

    @Test func `The size is told and its changes are announced`() {
        #expect(console.readConfig(at: 0, width: .word) == 100)
        #expect(console.readConfig(at: 2, width: .word) == 30)
        #expect(console.readConfig(at: 4, width: .dword) == 1)
        console.resize(columns: 132, rows: 43)
        #expect(console.readConfig(at: 0, width: .dword) == 43 << 16 | 132)
        #expect(changes.count == 1)
    }

    @Test func `An emergency write is printed without a queue`() {
        console.reset()
        console.writeConfig(UInt64(UInt8(ascii: "!")), at: 8, width: .dword)
        #expect(screen.text == "!")
    }
}
