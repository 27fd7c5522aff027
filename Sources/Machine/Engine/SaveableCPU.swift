public import MachineState

/// A vCPU whose state can be saved between two instructions.
///
/// What it saves is the guest's alone, in one format for every engine.
public protocol SaveableCPU: VirtualCPU, Saveable {
    /// Ends an instruction that is under way: one that waits for a device's answer, or whose writes to devices were not handed out.
    ///
    /// Called between runs, until it says nil; the exits are served as those of ``VirtualCPU/run()``.
    func settle() -> VMExit?
}
