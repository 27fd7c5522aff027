public import ArgumentParser
internal import Engine
internal import VirtualMachine
internal import X86Translator

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

    /// The engine for a guest whose time comes from `clock` and of which `trace` is logged.
    ///
    /// `obstacle`: Why this host cannot run translated code, if it cannot.
    func choice(
        clock: ClockOption,
        trace: TraceEvents = [],
        obstacle: String? = TranslatorHost.obstacle
    ) -> EngineChoice {
        switch self {
        case .translate: return EngineChoice(kind: .translate)
        case .check: return EngineChoice(kind: .check)
        case .interpret, .kvm: return EngineChoice(kind: .interpret)
        case .auto:
            if clock == .instructions {
                return EngineChoice(kind: .interpret, reason: "--clock instructions counts every one")
            }
            if trace.contains(.blocks) {
                return EngineChoice(kind: .interpret, reason: "--trace blocks hears of every one")
            }
            if let obstacle { return EngineChoice(kind: .interpret, reason: obstacle) }
            return EngineChoice(kind: .translate, reason: "the host has what translated code needs")
        }
    }
}

/// An engine, and why `--engine auto` took it.
struct EngineChoice: Equatable, CustomStringConvertible {
    var kind: EngineKind
    var reason: String?

    var description: String {
        let name = kind == .translate ? "translate" : "interpret"
        return reason.map { "\(name) (auto: \($0))" } ?? name
    }
}

/// What `--clock` names.
public enum ClockOption: String, ExpressibleByArgument, CaseIterable, Sendable {
    /// The guest's time is the host's monotonic clock.
    case host
    /// The guest's time is counted in executed instructions.
    case instructions
}
