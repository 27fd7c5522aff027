public import ArgumentParser

/// What `--engine` names.
public enum EngineOption: String, ExpressibleByArgument, CaseIterable, Sendable {
    case auto
    case interpret
    case translate
    case kvm

    /// Why this engine cannot be had, or nil where it can.
    var refusal: String? {
        switch self {
        case .auto, .interpret: nil
        case .translate, .kvm: "this version has no engine '\(rawValue)': use --engine interpret"
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
