import Engine
import GuestMemory
import X86
import X86Decoder

/// What the interpreter needs beside its hot state. Touched only by the vCPU's thread, but for what says otherwise.
final class Services {
    let memory: GuestMemory
    let controller: any InterruptController
    let clock: any MachineClock
    let model: CPUModel

    init(memory: GuestMemory, controller: any InterruptController, clock: any MachineClock, model: CPUModel) {
        self.memory = memory
        self.controller = controller
        self.clock = clock
        self.model = model
    }
}
