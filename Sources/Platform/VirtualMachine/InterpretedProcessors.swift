internal import Engine
internal import GuestMemory
internal import Synchronization
internal import SystemCalls
internal import X86Interpreter

/// Makes vCPUs that the interpreter executes; those of one machine share their decoded code.
final class InterpretedProcessors: ProcessorFactory {
    /// The code cache of the machine whose memory this is.
    private let shared = Mutex<(memory: ObjectIdentifier, cache: InterpreterCodeCache)?>(nil)

    func makeProcessor(_ setup: ProcessorSetup) throws(MachineError) -> Processor {
        do throws(SystemCallError) {
            let cpu = try Interpreter(
                memory: setup.memory,
                controller: setup.controller,
                clock: setup.clock,
                model: setup.model,
                codeCache: try cache(setup.memory),
                identifier: setup.index,
                cpuCount: setup.count,
                trace: setup.trace
            )
            return Processor(cpu: cpu, state: cpu.state) { cpu.stateChanged() }
        } catch {
            throw .memory(.mappingFailed(byteCount: 0, cause: error))
        }
    }

    private func cache(_ memory: GuestMemory) throws(SystemCallError) -> InterpreterCodeCache {
        let result = shared.withLock { shared -> Result<InterpreterCodeCache, SystemCallError> in
            if let shared, shared.memory == ObjectIdentifier(memory) { return .success(shared.cache) }
            do throws(SystemCallError) {
                let cache = try InterpreterCodeCache(memory: memory)
                shared = (ObjectIdentifier(memory), cache)
                return .success(cache)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
