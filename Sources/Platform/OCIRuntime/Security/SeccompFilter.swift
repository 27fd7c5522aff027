internal import CSeccomp

/// A filter of system calls as the kernel takes it, made from `linux.seccomp` (runtime-spec 1.2 config-linux.md "Seccomp").
public struct SeccompFilter: Sendable {
    /// An array of `struct sock_filter` (`linux/filter.h`).
    public let program: [UInt8]

    /// Flags for seccomp(2) SECCOMP_SET_MODE_FILTER; SECCOMP_FILTER_FLAG_NEW_LISTENER is among them where a rule notifies.
    public let flags: UInt32

    /// The socket that gets the listener, and what is told it beside; nil where nobody is asked.
    public let listenerPath: String?
    public let listenerMetadata: String?

    /// Names that libseccomp does not know, whose rules are left out: worth a debug message each.
    public let unknownNames: [String]

    public var instructionCount: Int { program.count / 8 }
    public var hasListener: Bool { flags & SeccompVocabulary.listenerFlag != 0 }

    /// Reads the configuration and makes the program.
    ///
    /// `unnotifiable`: Calls that the process makes between loading the filter and having handed over its listener.
    public init(
        configuration: SeccompConfiguration,
        unnotifiable: [String] = ["write", "sendmsg"]
    ) throws(SeccompError) {
        try self.init(configuration: configuration, unnotifiable: unnotifiable, byLibrary: false)
    }

    /// `byLibrary`: Whether libseccomp makes the program though it could be made here.
    package init(
        configuration: SeccompConfiguration,
        unnotifiable: [String],
        byLibrary: Bool
    ) throws(SeccompError) {
        let place = "linux.seccomp"
        guard configuration.defaultAction != Self.notify else { throw .notifyByDefault }
        let defaultAction = try SeccompVocabulary.action(
            configuration.defaultAction,
            number: configuration.defaultErrorNumber,
            field: place + ".defaultAction",
            numberField: place + ".defaultErrnoRet"
        )
        var architectures = [(token: seccomp_arch_native(), name: "", field: "")]
        for (index, name) in configuration.architectures.enumerated() {
            let field = "\(place).architectures[\(index)]"
            let token = try SeccompVocabulary.architecture(name, field: field)
            if !architectures.contains(where: { $0.token == token }) { architectures.append((token, name, field)) }
        }
        var flags: UInt32 = configuration.flags == nil ? SeccompVocabulary.spectreFlag : 0
        for (index, name) in (configuration.flags ?? []).enumerated() {
            flags |= try SeccompVocabulary.flag(name, field: "\(place).flags[\(index)]")
        }

        var rules: [(rule: SeccompRule, field: String)] = []
        var unknown: [String] = []
        var notifies = false
        for (index, rule) in configuration.rules.enumerated() {
            let field = "\(place).syscalls[\(index)]"
            let action = try SeccompVocabulary.action(
                rule.action,
                number: rule.errorNumber,
                field: field + ".action",
                numberField: field + ".errnoRet"
            )
            if rule.action == Self.notify {
                try Self.checkNotifying(rule, configuration: configuration, unnotifiable: unnotifiable, field: field)
                notifies = notifies || !rule.names.isEmpty
            }
            let alternatives = try Self.alternatives(of: rule, field: field)
            for name in rule.names {
                guard unsafe seccomp_syscall_resolve_name(name) != __NR_SCMP_ERROR else {
                    unknown.append(name)
                    continue
                }
                // libseccomp has no rules that say what happens anyway.
                guard action != defaultAction else { continue }
                for conditions in alternatives {
                    rules.append((SeccompRule(name: name, action: action, conditions: conditions), field + ".names"))
                }
            }
        }
        if configuration.listenerMetadata != nil, configuration.listenerPath?.isEmpty != false {
            throw .metadataWithoutListener
        }

        // The kernel knows the wait only beside a listener.
        if notifies { flags |= SeccompVocabulary.listenerFlag } else { flags &= ~SeccompVocabulary.killableFlag }
        let tokens = architectures.map(\.token)
        let prologue = SeccompPrologue(configuration: configuration, architectures: tokens)
        let own =
            byLibrary
            ? nil : SeccompProgram(rules: rules.map(\.rule), defaultAction: defaultAction, architectures: tokens)
        let body: [UInt8]
        if let own {
            body = SeccompInstruction.bytes(own.instructions)
        } else {
            let context = try SeccompContext(defaultAction: defaultAction)
            for architecture in architectures.dropFirst() {
                try context.add(architecture: architecture.token, name: architecture.name, field: architecture.field)
            }
            if rules.count > 32 { context.searchAsTree() }
            for (rule, field) in rules { try context.add(rule, field: field) }
            body = try context.program()
        }
        program = SeccompInstruction.bytes(prologue.instructions) + body
        guard program.count <= 4096 * 8 else { throw .tooLong(instructionCount: program.count / 8) }
        self.flags = flags
        listenerPath = notifies ? configuration.listenerPath : nil
        listenerMetadata = notifies ? configuration.listenerMetadata : nil
        unknownNames = unknown
    }

    private static let notify = "SCMP_ACT_NOTIFY"

    private static func checkNotifying(
        _ rule: SeccompConfiguration.Rule,
        configuration: SeccompConfiguration,
        unnotifiable: [String],
        field: String
    ) throws(SeccompError) {
        guard configuration.listenerPath?.isEmpty == false else {
            throw .notifyWithoutListener(field: field + ".action")
        }
        for name in rule.names where unnotifiable.contains(name) {
            throw .notifyOf(field: field + ".names", call: name)
        }
    }

    /// The conditions of a rule, of which one list has to hold.
    ///
    /// All of one rule hold together, but if several are about one argument, which libseccomp cannot say, each is a rule by
    /// itself: that is how runc reads them, and profiles are written for it.
    private static func alternatives(
        of rule: SeccompConfiguration.Rule,
        field: String
    ) throws(SeccompError) -> [[SeccompCondition]] {
        var conditions: [SeccompCondition] = []
        var arguments: Set<UInt32> = []
        for (index, argument) in rule.arguments.enumerated() {
            let field = "\(field).args[\(index)]"
            guard argument.index < 6 else { throw .badArgumentIndex(field: field + ".index", value: argument.index) }
            conditions.append(
                SeccompCondition(
                    argument: argument.index,
                    comparison: try SeccompVocabulary.comparison(argument.comparison, field: field + ".op"),
                    value: argument.value,
                    valueTwo: argument.valueTwo
                )
            )
            arguments.insert(argument.index)
        }
        guard arguments.count == conditions.count else { return conditions.map { [$0] } }
        return [conditions.sorted { $0.argument < $1.argument }]
    }
}
