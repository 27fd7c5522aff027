internal import Engine
internal import GuestMemory
internal import Synchronization
internal import SystemCalls
internal import X86Interpreter
internal import X86Translator

/// Makes vCPUs whose 64-bit code is translated; those of one machine share their translations.
final class TranslatedProcessors: ProcessorFactory {
    /// The caches of the machine whose memory this is.
    private struct Shared {
        var memory: ObjectIdentifier
        var interpreted: InterpreterCodeCache
        var translated: TranslationCache
    }

    private let shared = Mutex<Shared?>(nil)
    private let observation: TranslatorObservation
    private let checks: Bool

    /// `observation`: What is counted and sampled while the machine runs. `checks`: All that runs is compared with the interpreter.
    init(_ observation: TranslatorObservation, checks: Bool = false) {
        self.observation = observation
        self.checks = checks
    }

    func makeProcessor(_ setup: ProcessorSetup) throws(MachineError) -> Processor {
        let caches = try caches(setup.memory)
        let interpreter: Interpreter
        do throws(SystemCallError) {
            interpreter = try Interpreter(
                memory: setup.memory,
                controller: setup.controller,
                clock: setup.clock,
                model: setup.model,
                codeCache: caches.interpreted,
                identifier: setup.index,
                cpuCount: setup.count,
                trace: setup.trace
            )
        } catch {
            throw .memory(.mappingFailed(byteCount: 0, cause: error))
        }
        do throws(TranslatorError) {
            let cpu = try Translator(
                interpreter: interpreter,
                cache: caches.translated,
                cpuCount: setup.count,
                observation: observation,
                reportsShared: setup.index == 0,
                checks: checks
            )
            return Processor(cpu: cpu, state: cpu.state, endsTurns: false) { cpu.stateChanged() }
        } catch {
            throw .engine(reason: error.description)
        }
    }

    private func caches(_ memory: GuestMemory) throws(MachineError) -> Shared {
        let result = shared.withLock { shared -> Result<Shared, MachineError> in
            if let shared, shared.memory == ObjectIdentifier(memory) { return .success(shared) }
            do throws(SystemCallError) {
                let interpreted = try InterpreterCodeCache(memory: memory)
                do throws(TranslatorError) {
                    let made = Shared(
                        memory: ObjectIdentifier(memory),
                        interpreted: interpreted,
                        translated: try TranslationCache(interpreted, observation: observation)
                    )
                    shared = made
                    return .success(made)
                } catch {
                    return .failure(.engine(reason: error.description))
                }
            } catch {
                return .failure(.memory(.mappingFailed(byteCount: 0, cause: error)))
            }
        }
        return try result.get()
    }
}
