public import ArgumentParser
internal import VirtualMachine

/// What `--engine` names.
public enum EngineOption: String, ExpressibleByArgument, CaseIterable, Sendable {
    case auto
    case interpret
    case translate
    /// The translator, compared with the interpreter.
    case check
    case kvm

    /// Why this engine cannot be had, or nil where it can.
    var refusal: String? {
        switch self {
        case .auto, .interpret, .translate, .check: nil
        case .kvm: "this version has no engine '\(rawValue)': use --engine interpret"
        }
    }

    /// The engine for a guest whose time comes from `clock`.
    func kind(clock: ClockOption) -> EngineKind {
        switch self {
        case .translate: .translate
        case .check: .check
        case .interpret, .kvm: .interpret
        case .auto: .interpret
        }
    }
}

/// What `--clock` names.
public enum ClockOption: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// The guest's time is the host's monotonic clock.
    case host
    /// The guest's time is counted in executed instructions.
    case instructions
}
