import Engine
import GuestMemory
import Synchronization
import VirtualMachine
import X86

/// A vCPU that executes nothing: it accesses devices at random, and drives virtio queues with hostile rings.
final class RandomDriver: VirtualCPU, @unchecked Sendable {
    // SAFETY: everything but the unread events is touched only by the one thread that runs the machine.
    private let memory: GuestMemory
    private let controller: any InterruptController
    private let control: MachineControl
    private var random: RandomSource
    private var left: Int
    private var queued: [VMExit] = []
    let state: CPUState
    private(set) var accessCount: UInt64 = 0

    init(_ setup: ProcessorSetup, control: MachineControl, accessCount: Int, random: RandomSource) {
        memory = setup.memory
        controller = setup.controller
        self.control = control
        self.random = random
        left = accessCount
        let block = UnsafeMutableRawPointer.allocate(byteCount: CPUState.byteCount, alignment: 64)
        block.initializeMemory(as: UInt8.self, repeating: 0, count: CPUState.byteCount)
        state = CPUState(raw: block)
    }

    deinit { state.raw.deallocate() }

    func run() throws(VirtualCPUError) -> VMExit {
        state.instructionCount &+= UInt64(random.below(random.oneIn(64) ? 10_000_000 : 100))
        guard left > 0 else {
            control.end(.quit)
            return .interrupted
        }
        left -= 1
        accessCount += 1
        if queued.isEmpty { plan() }
        return queued.isEmpty ? .interrupted : queued.removeFirst()
    }

    private func width() -> AccessWidth { random.pick([.byte, .byte, .word, .dword, .dword, .qword]) }

    private func plan() {
        switch random.below(16) {
        case 0...4:
            let port =
                random.oneIn(64)
                ? random.pick(Layout.endingPorts)
                : random.oneIn(32) ? UInt16(random.below(0x10000)) : random.pick(Layout.ports)
            var width = width()
            if width == .qword { width = .byte }
            // Reset and power-off are asked for seldom enough.
            let isReset = port == 0x64 || port == 0xCF9
            queued.append(
                random.oneIn(3) || isReset && !random.oneIn(16)
                    ? .portRead(port: port, width: width) : .portWrite(port: port, value: value(), width: width)
            )
        case 5: configuration()
        case 6: interruptController()
        case 7, 8: virtio()
        case 9: _ = try? memory.store(random.number(), at: GuestAddress(UInt64(random.below(0x10000))))
        case 10:
            _ = controller.acknowledge()
            _ = controller.readRegister(register())
        case 11: _ = controller.writeRegister(register(), random.number())
        default:
            let address = GuestAddress(Layout.deviceAddress(&random))
            let width = width()
            queued.append(
                random.oneIn(3)
                    ? .memoryRead(address, width: width) : .memoryWrite(address, value: value(), width: width)
            )
        }
    }

    private func register() -> UInt32 {
        random.oneIn(4) ? random.pick([0x1B, 0x6E0]) : 0x800 + UInt32(random.below(0x40))
    }
    private func value() -> UInt64 { random.number() }

    /// PCI configuration by ports: base addresses, commands, capabilities.
    private func configuration() {
        let register = random.pick([4, 0x10, 0x14, 0x18, 0x20, 0x30, 0x3C, 0x40, 0x44, 0x60, 0x64, random.below(256)])
        let address =
            0x8000_0000 | UInt64(random.below(32)) << 11 | UInt64(random.below(8) * random.below(2)) << 8
            | UInt64(register & 0xFC)
        queued.append(.portWrite(port: 0xCF8, value: address, width: .dword))
        if random.oneIn(2) {
            queued.append(.portRead(port: 0xCFC + UInt16(register & 3), width: .byte))
        } else {
            let value =
                random.oneIn(4)
                ? random.number()
                : random.pick([7, 0xFFFF_FFFF, 0xC000_0000, 0xFEC0_0000, 0xFEE0_0000, 0xC000, 0x3F8, 0xB000_0001])
            queued.append(.portWrite(port: 0xCFC, value: value, width: .dword))
        }
    }

    private func interruptController() {
        let index = UInt64(random.below(0x42))
        queued.append(.memoryWrite(GuestAddress(0xFEC0_0000), value: index, width: .dword))
        queued.append(
            .memoryWrite(
                GuestAddress(0xFEC0_0010),
                value: random.next() & (random.oneIn(2) ? 0x1FFFF : .max),
                width: .dword
            )
        )
    }

    /// Sets a device up as a driver does, with a ring of random descriptors, and kicks it.
    private func virtio() {
        let base = Layout.barBase + UInt64(random.below(4)) * 0x8000
        func write(_ offset: UInt64, _ value: UInt64, _ width: AccessWidth) {
            queued.append(.memoryWrite(GuestAddress(base + offset), value: value, width: width))
        }
        // Memory and mastering on, in whatever slot.
        queued.append(.portWrite(port: 0xCF8, value: 0x8000_0004 | UInt64(random.below(6)) << 11, width: .dword))
        queued.append(.portWrite(port: 0xCFC, value: 0x7, width: .word))
        if random.oneIn(2) { write(0x14, 0, .byte) }
        write(0x14, 1, .byte)
        write(0x14, 3, .byte)
        write(0x08, 1, .dword)
        write(0x0C, random.oneIn(8) ? random.next() : 1, .dword)
        write(0x08, 0, .dword)
        write(0x0C, random.oneIn(2) ? random.next() : 0, .dword)
        write(0x14, 11, .byte)
        let queue = random.oneIn(8) ? random.below(0x10000) : random.below(3)
        let size = random.oneIn(8) ? random.below(0x10000) : 1 << random.below(9)
        let ring = random.oneIn(8) ? random.number() : 0x20000 + UInt64(random.below(16)) * 0x1000
        let (available, used) = (ring &+ 0x4000, random.oneIn(8) ? ring : ring &+ 0x8000)
        fillRing(ring, available, size)
        write(0x16, UInt64(queue), .word)
        write(0x18, UInt64(size), .word)
        if random.oneIn(2) { write(0x1A, random.number(), .word) }
        for (offset, address) in [(0x20, ring), (0x28, available), (0x30, used)] as [(UInt64, UInt64)] {
            write(offset, address, random.oneIn(2) ? .qword : .dword)
        }
        write(0x1C, 1, .word)
        write(0x14, 15, .byte)
        for _ in 0..<1 + random.below(3) { write(0x3000 + UInt64(queue) * 4 % 0x1000, UInt64(queue), .word) }
    }

    private func fillRing(_ ring: UInt64, _ available: UInt64, _ size: Int) {
        let count = min(max(size, 1), 256)
        for index in 0..<UInt64(count) {
            let address = random.oneIn(4) ? random.number() : 0x40000 + UInt64(random.below(0x10000))
            let length = random.oneIn(4) ? random.next() & 0xFFFF_FFFF : UInt64(random.pick([0, 1, 8, 16, 512, 4096]))
            let flags = UInt64(random.oneIn(8) ? random.below(0x10000) : random.below(4))
            let next = UInt64(random.oneIn(8) ? random.below(0x10000) : (Int(index) + 1) % count)
            try? memory.store(address, at: GuestAddress(ring &+ index &* 16))
            try? memory.store(length | flags << 32 | next << 48, at: GuestAddress(ring &+ index &* 16 &+ 8))
            try? memory.store(
                UInt16(truncatingIfNeeded: random.oneIn(8) ? random.below(0x10000) : random.below(count)),
                at: GuestAddress(available &+ 4 &+ index &* 2)
            )
        }
        // Headers of block requests.
        for place in stride(from: 0x40000 as UInt64, to: 0x50000, by: 16) {
            try? memory.store(UInt64(random.pick([0, 1, 4, 8, 11, 13, 0xFFFF])), at: GuestAddress(place))
            try? memory.store(random.oneIn(4) ? random.next() : UInt64(random.below(4096)), at: GuestAddress(place + 8))
        }
        let head = UInt16(random.oneIn(8) ? random.below(0x10000) : random.below(count + 1))
        try? memory.store(UInt16(random.below(2)), at: GuestAddress(available))
        try? memory.store(head, at: GuestAddress(available &+ 2))
    }

    func completeRead(with value: UInt64) {}
    func interrupt() {}
    func signal(_ event: VirtualCPUEvent) {}
    var isRunnable: Bool { true }
    var counters: [(name: String, value: UInt64)] { [("accesses", accessCount)] }
}

final class RandomDrivers: ProcessorFactory {
    private let control: MachineControl
    private let seed: UInt64
    private let limit: Int
    private let made = Mutex<[RandomDriver]>([])

    init(control: MachineControl, seed: UInt64, limit: Int) {
        self.control = control
        self.seed = seed
        self.limit = limit
    }

    var accessCount: UInt64 { made.withLock { $0.reduce(0) { $0 + $1.accessCount } } }

    func makeProcessor(_ setup: ProcessorSetup) throws(MachineError) -> Processor {
        // After a reset others than before, and not for ever.
        let count = made.withLock { $0.count }
        let random = RandomSource(seed: seed &* 64 &+ UInt64(count))
        let cpu = RandomDriver(setup, control: control, accessCount: count > 6 ? 0 : limit, random: random)
        made.withLock { $0.append(cpu) }
        return Processor(cpu: cpu, state: cpu.state)
    }
}
