public import DeviceModel
public import GuestMemory
internal import Synchronization

/// A 16550A serial port: eight byte registers (National PC16550D datasheet).
///
/// Characters take no time: the transmitter is empty as soon as it was written, and received bytes wait in a queue behind
/// the 16-byte FIFO, so none is ever lost. Output is gathered and handed on in batches: when 4096 bytes wait, and otherwise
/// ``flushDelay`` nanoseconds after the first of them, so that a guest that prints costs few system calls.
///
/// Lock order: the output lock before the register lock. Output is written under the output lock alone, which keeps batches
/// in order; ``SerialOutput/write(_:)`` must not call ``flush()``.
public final class UART16550A: BusDevice {
    public static let byteCount: UInt64 = 8
    /// How long output waits for more, in nanoseconds.
    public static let flushDelay: UInt64 = 1_000_000
    private static let batchByteCount = 4096

    let state = Mutex(State())
    private let timers: any TimerService
    let interrupt: InterruptLine
    private let output: Mutex<any SerialOutput>
    private let timer = Mutex<(any DeviceTimer)?>(nil)

    public init(output: any SerialOutput, timers: any TimerService, interrupt: InterruptLine) {
        self.output = Mutex(output)
        self.timers = timers
        self.interrupt = interrupt
        let newTimer = timers.makeTimer { [weak self] in self?.flush() }
        timer.withLock { $0 = newTimer }
    }

    /// To the state after a master reset; output that waits is handed on first.
    public func reset() {
        flush()
        change { $0 = State() }
    }

    /// Bytes for the guest, in order; they wait until it reads them.
    public func receive(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        change { $0.receive(bytes) }
    }

    /// A break condition on the line: a zero byte with the break bit.
    public func receiveBreak() { change { $0.receiveBreak() } }

    /// How many received bytes the guest has not read yet, so that a source can hold back.
    public var unreadByteCount: Int { state.withLock { $0.incoming.count } }

    /// Hands on the output that waits.
    ///
    /// Returns when it was written.
    public func flush() {
        output.withLock { output in
            let batch = state.withLock { state -> [UInt8] in
                guard !state.outgoing.isEmpty else { return [] }
                let batch = state.outgoing
                state.outgoing = []
                state.outgoing.reserveCapacity(Self.batchByteCount)
                return batch
            }
            if !batch.isEmpty { output.write(batch) }
        }
    }

    // MARK: Registers

    public func read(at offset: UInt64, width: AccessWidth) -> UInt64 {
        ByteAccess.read(at: offset, width: width) { offset in change { $0.read(offset) } }
    }

    public func write(_ value: UInt64, at offset: UInt64, width: AccessWidth) {
        ByteAccess.write(value, at: offset, width: width) { value, offset in
            let waiting = change { state -> Int? in
                let before = state.outgoing.count
                state.write(value, offset)
                return state.outgoing.count == before ? nil : state.outgoing.count
            }
            guard let waiting else { return }
            if waiting == 1 {
                timer.withLock { $0 }?.arm(at: timers.now &+ Self.flushDelay)
            } else if waiting >= Self.batchByteCount {
                flush()
            }
        }
    }

    func change<Result>(_ body: (inout State) -> Result) -> Result {
        let (result, hasChanged) = state.withLock { state -> (Result, Bool) in
            let before = state.interruptLevel
            let result = body(&state)
            return (result, state.interruptLevel != before)
        }
        if hasChanged { interrupt.follow { state.withLock { $0.interruptLevel } } }
        return result
    }
}
