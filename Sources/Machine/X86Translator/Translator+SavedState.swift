public import Engine
public import MachineState
internal import X86Interpreter

// Between runs the whole state is the interpreter's: flags, events and registers were put back when the last run ended.
extension Translator: SaveableCPU {
    public func settle() -> VMExit? { interpreter.settle() }
    public var stateName: String { interpreter.stateName }
    public var stateVersion: UInt16 { interpreter.stateVersion }
    public func save(into encoder: inout StateEncoder) throws(StateFault) { try interpreter.save(into: &encoder) }
    public func load(from decoder: inout StateDecoder) throws(StateFault) { try interpreter.load(from: &decoder) }
}
