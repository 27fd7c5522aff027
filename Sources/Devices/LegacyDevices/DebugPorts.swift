public import DeviceModel
internal import GuestMemory
internal import Synchronization

/// The ports that firmware and test programs report by: a console at 0xE9, the progress code at 0x80, and an exit at 0xF4.
public final class DebugPorts: Sendable {
    struct State {
        var progressCode: UInt8 = 0
        var line: [UInt8] = []
    }

    let state = Mutex(State())
    private let output: Mutex<(any SerialOutput)?>
    private let machine: any MachineRequestSink
    static let batchByteCount = 1024

    /// - Parameters:
    ///   - output: Where console bytes go, a line at a time; nil drops them.
    ///   - machine: Told to end with a value.
    public init(output: (any SerialOutput)?, machine: any MachineRequestSink) {
        self.output = Mutex(output)
        self.machine = machine
    }

    /// The last progress (POST) code.
    public var progressCode: UInt8 { state.withLock { $0.progressCode } }

    /// Hands on what the guest wrote since the last line ended.
    public func flush() {
        output.withLock { output in
            let batch = state.withLock { state -> [UInt8] in
                defer { state.line = [] }
                return state.line
            }
            if !batch.isEmpty { output?.write(batch) }
        }
    }

    /// One port: 0xE9.
    ///
    /// Reads as 0xE9, which is how a guest knows that it is there.
    public var console: any BusDevice {
        RegisterWindow(
            readByte: { _ in 0xE9 },
            writeByte: { [self] value, _ in
                let isComplete = state.withLock { state -> Bool in
                    state.line.append(value)
                    return value == 0x0A || state.line.count >= Self.batchByteCount
                }
                if isComplete { flush() }
            }
        )
    }

    /// One port: 0x80.
    public var progressPort: any BusDevice {
        RegisterWindow(
            readByte: { [self] _ in progressCode },
            writeByte: { [self] value, _ in state.withLock { $0.progressCode = value } }
        )
    }

    /// Up to four ports: 0xF4.
    ///
    /// The machine ends with the low byte of what is written.
    public var exitPort: any BusDevice {
        RegisterWindow(
            read: { _, _ in 0 },
            write: { [self] value, _, _ in machine.request(.exit(value: UInt8(truncatingIfNeeded: value))) }
        )
    }
}
