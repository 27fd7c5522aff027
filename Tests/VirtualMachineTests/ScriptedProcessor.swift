import Engine
import Synchronization
import X86

@testable import VirtualMachine

/// A vCPU that returns prepared exits, one a run, and then halts; it records what devices answered.
final class ScriptedProcessor: VirtualCPU {
    private struct State {
        var exits: [VMExit]
        var answers: [UInt64] = []
        var events: [VirtualCPUEvent] = []
        var interruptions = 0
    }

    private let script: Mutex<State>
    let state: CPUState
    /// Instructions that each run counts.
    private let instructionsPerRun: UInt64

    init(_ exits: [VMExit], instructionsPerRun: UInt64 = 0) {
        script = Mutex(State(exits: exits))
        let block = UnsafeMutableRawPointer.allocate(byteCount: CPUState.byteCount, alignment: 64)
        block.initializeMemory(as: UInt8.self, repeating: 0, count: CPUState.byteCount)
        state = CPUState(raw: block)
        self.instructionsPerRun = instructionsPerRun
    }

    deinit { state.raw.deallocate() }

    func run() throws(VirtualCPUError) -> VMExit {
        state.instructionCount += instructionsPerRun
        return script.withLock { script in
            script.events = []
            return script.exits.isEmpty ? .halted : script.exits.removeFirst()
        }
    }

    func completeRead(with value: UInt64) { script.withLock { $0.answers.append(value) } }
    func interrupt() { script.withLock { $0.interruptions += 1 } }
    func signal(_ event: VirtualCPUEvent) { script.withLock { $0.events.append(event) } }
    var isRunnable: Bool { script.withLock { !$0.exits.isEmpty || !$0.events.isEmpty } }
    var counters: [(name: String, value: UInt64)] { [("instructions", state.instructionCount)] }

    var answers: [UInt64] { script.withLock { $0.answers } }
    var interruptions: Int { script.withLock { $0.interruptions } }
    func append(_ exits: [VMExit]) { script.withLock { $0.exits += exits } }
}

/// Makes scripted vCPUs, a script for each power cycle and then an empty one.
final class ScriptedProcessors: ProcessorFactory {
    private struct State {
        var scripts: [[VMExit]]
        var made: [(setup: ProcessorSetup, cpu: ScriptedProcessor)] = []
    }

    private let scripts: Mutex<State>

    init(_ scripts: [[VMExit]]) { self.scripts = Mutex(State(scripts: scripts)) }

    func makeProcessor(_ setup: ProcessorSetup) throws(MachineError) -> Processor {
        scripts.withLock { state in
            let cpu = ScriptedProcessor(state.scripts.isEmpty ? [] : state.scripts.removeFirst())
            state.made.append((setup, cpu))
            return Processor(cpu: cpu, state: cpu.state)
        }
    }

    var made: [(setup: ProcessorSetup, cpu: ScriptedProcessor)] { scripts.withLock { $0.made } }
}
