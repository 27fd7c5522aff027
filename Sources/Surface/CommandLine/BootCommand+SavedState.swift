internal import Networking
internal import VirtualMachine
internal import X86

extension BootCommand {
    /// What a machine has where the command line says nothing.
    static let usualMemory = ByteCount(bytes: 512 << 20)
    static let usualProcessorCount = 1
    static let usualModel = "auto"
    static let usualNetworks = [NetworkConfiguration.user]

    /// Opens the saved machine at `path` and gives `configuration` its shape.
    ///
    /// - Throws: Where the command line asks for another shape.
    func takeUp(_ path: String, _ configuration: inout MachineConfiguration) throws(CommandFailure) -> SavedMachine {
        let saved: SavedMachine
        do throws(MachineError) { saved = try SavedMachine(path: path) } catch { throw CommandFailure(error) }
        let shape = saved.shape
        func refuse(_ option: String, _ value: String, _ saved: String) -> CommandFailure {
            CommandFailure("\(path): the saved machine has \(saved): \(option) \(value) cannot be")
        }
        if memory.bytes != Self.usualMemory.bytes, memory.bytes != shape.memoryByteCount {
            throw refuse("--memory", "\(memory)", "\(ByteCount(bytes: shape.memoryByteCount)) of memory")
        }
        if cpus != Self.usualProcessorCount, cpus != shape.processorCount {
            throw refuse("--cpus", "\(cpus)", "\(shape.processorCount) processors")
        }
        if cpu != Self.usualModel, cpu != shape.model { throw refuse("--cpu", cpu, "the CPU model \(shape.model)") }
        configuration.memoryByteCount = shape.memoryByteCount
        configuration.processorCount = shape.processorCount
        if let model = CPUModel.named(shape.model) { configuration.model = model }
        configuration.hasVirtioConsole = shape.hasVirtioConsole
        return saved
    }

    /// The server of `--control`, if that was given.
    func serve(_ control: MachineControl) throws(CommandFailure) -> ControlServer? {
        guard let path = self.control else { return nil }
        do throws(MachineError) { return try ControlServer(path: path, control: control) } catch {
            throw CommandFailure(error)
        }
    }
}
