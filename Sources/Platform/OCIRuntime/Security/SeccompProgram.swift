internal import CSeccomp

/// A filter's program for x86-64 and its sub-architectures, as a search tree over the numbers of calls.
///
/// It does what libseccomp's program does, which takes that library tens of milliseconds to make for an ordinary profile of
/// three architectures: longer than all else that starting a container takes. The names and numbers of calls are libseccomp's.
struct SeccompProgram {
    /// `struct sock_filter`s.
    let instructions: [SeccompInstruction]

    /// `architectures`: libseccomp's tokens, the host's own first.
    /// - Returns: nil where only libseccomp says what is meant: other architectures, or rules of several actions for the same
    ///   arguments of a call.
    init?(rules: [SeccompRule], defaultAction: UInt32, architectures: [UInt32]) {
        var abis: [SeccompABI] = []
        for architecture in architectures {
            guard let abi = SeccompABI.all.first(where: { $0.token == architecture }) else { return nil }
            abis.append(abi)
        }
        var trees: [SeccompABI: [SeccompInstruction]] = [:]
        for abi in abis {
            guard let decisions = SeccompDecisions(rules: rules, defaultAction: defaultAction, abi: abi) else {
                return nil
            }
            trees[abi] = decisions.program
        }
        guard let long = trees[.amd64] else { return nil }
        let killing = [SeccompInstruction.leave(0)]
        let load = SeccompInstruction.load(SeccompInstruction.callOffset)
        // No call is that number, with which tracers cancel one.
        let other = trees[.x32] ?? SeccompInstruction.choose(from: .max, killing, [.leave(defaultAction)])
        let whole = [load] + SeccompInstruction.choose(from: SeccompABI.x32Bit, long, other)
        let rest =
            trees[.x86].map { SeccompInstruction.choose(only: SeccompABI.x86.token, [load] + $0, killing) } ?? killing
        instructions =
            [.load(SeccompInstruction.architectureOffset)]
            + SeccompInstruction.choose(only: SeccompABI.amd64.token, whole, rest)
    }
}

/// A rule for one call, before it has numbers.
struct SeccompRule {
    let name: String
    let action: UInt32
    /// All hold for the rule to; sorted by argument.
    let conditions: [SeccompCondition]
}

/// One of the ways in which a processor's programs call the kernel.
struct SeccompABI: Hashable {
    /// libseccomp's token.
    let token: UInt32
    /// Whether only the low halves of arguments are looked at.
    let isShort: Bool

    /// What marks the calls of x32, which come under the architecture of x86-64.
    static let x32Bit: UInt32 = 0x4000_0000

    static let amd64 = SeccompABI(token: unsafe seccomp_arch_resolve_name("x86_64"), isShort: false)
    static let x86 = SeccompABI(token: unsafe seccomp_arch_resolve_name("x86"), isShort: true)
    static let x32 = SeccompABI(token: unsafe seccomp_arch_resolve_name("x32"), isShort: true)
    static let all = [amd64, x86, x32]

    /// The number of a call; nil where this has none of that name.
    func number(of name: String) -> UInt32? {
        if let number = UInt32(exactly: unsafe seccomp_syscall_resolve_name_arch(token, name)) { return number }
        // libseccomp names the multiplexed ones first.
        return self == .x86 ? Self.directCalls.first { $0.name == name }?.number : nil
    }

    /// The call that does what `name` says when its first argument is a number, and that number (socketcall(2), ipc(2)).
    func multiplexed(_ name: String) -> (call: UInt32, number: UInt64)? {
        guard self == .x86 else { return nil }
        // libseccomp's numbers below 0 of such calls have it in them (`seccomp.h`, __PNR_socket and so on).
        switch unsafe seccomp_syscall_resolve_name_arch(token, name) {
        case let number where (-120...(-101)).contains(number): return (102, UInt64(-number - 100))
        case let number where (-224...(-201)).contains(number): return (117, UInt64(-number - 200))
        default: return nil
        }
    }

    /// Calls that 32-bit x86 has beside its multiplexed ones (`asm/unistd_32.h`).
    private static let directCalls: [(name: String, number: UInt32)] = [
        ("socket", 359), ("socketpair", 360), ("bind", 361), ("connect", 362), ("listen", 363), ("accept4", 364),
        ("getsockopt", 365), ("setsockopt", 366), ("getsockname", 367), ("getpeername", 368), ("sendto", 369),
        ("sendmsg", 370), ("recvfrom", 371), ("recvmsg", 372), ("shutdown", 373), ("recvmmsg", 337), ("sendmmsg", 345),
        ("semget", 393), ("semctl", 394), ("shmget", 395), ("shmctl", 396), ("shmat", 397), ("shmdt", 398),
        ("msgget", 399), ("msgsnd", 400), ("msgrcv", 401), ("msgctl", 402),
    ]
}

/// What is done for each call of one ABI.
struct SeccompDecisions {
    private enum Decision {
        case always(UInt32)
        /// The first that holds.
        case rules([(conditions: [SeccompCondition], action: UInt32)])
    }

    private var decisions: [UInt32: Decision] = [:]
    private let defaultAction: UInt32
    private let isShort: Bool

    init?(rules: [SeccompRule], defaultAction: UInt32, abi: SeccompABI) {
        self.defaultAction = defaultAction
        isShort = abi.isShort
        for rule in rules {
            let conditions = isShort ? rule.conditions.map(\.short) : rule.conditions
            if let number = abi.number(of: rule.name) { add(conditions, rule.action, to: number) }
            if let (call, number) = abi.multiplexed(rule.name) {
                let first = SeccompCondition(argument: 0, comparison: SCMP_CMP_EQ, value: number, valueTwo: 0)
                add([first] + conditions.filter { $0.argument != 0 }, rule.action, to: call)
            }
        }
        for (call, decision) in decisions {
            guard case .rules(let rules) = decision else { continue }
            guard let distinct = Self.distinct(rules) else { return nil }
            decisions[call] = .rules(distinct)
        }
    }

    /// A rule without conditions is stronger than those with some, and an earlier one than a later.
    private mutating func add(_ conditions: [SeccompCondition], _ action: UInt32, to call: UInt32) {
        switch decisions[call] {
        case .always: break
        case .rules(let rules) where !conditions.isEmpty: decisions[call] = .rules(rules + [(conditions, action)])
        case .rules, nil: decisions[call] = conditions.isEmpty ? .always(action) : .rules([(conditions, action)])
        }
    }

    /// The rules of which at most one action holds for any arguments; nil where that cannot be seen.
    ///
    /// Of two of which one has all of the other's conditions first, and then more, the shorter is stronger.
    private static func distinct(
        _ rules: [(conditions: [SeccompCondition], action: UInt32)]
    ) -> [(conditions: [SeccompCondition], action: UInt32)]? {
        var kept: [(conditions: [SeccompCondition], action: UInt32)] = []
        for (index, rule) in rules.enumerated() {
            var isKept = true
            for (place, other) in rules.enumerated() where place != index && other.action != rule.action {
                let isApart = rule.conditions.contains { one in other.conditions.contains { one.excludes($0) } }
                guard !isApart else { continue }
                guard rule.conditions != other.conditions else { return nil }
                if rule.conditions.starts(with: other.conditions) {
                    isKept = false
                } else if !other.conditions.starts(with: rule.conditions) {
                    return nil
                }
            }
            if isKept { kept.append(rule) }
        }
        return kept
    }

    /// What does the action for the call whose number is in the accumulator.
    var program: [SeccompInstruction] {
        let standard = [SeccompInstruction.leave(defaultAction)]
        // Runs of numbers, each from its start to the next one's, that one piece of code answers.
        var runs: [(start: UInt32, code: [SeccompInstruction])] = [(0, standard)]
        for (call, decision) in decisions.sorted(by: { $0.key < $1.key }) {
            let code: [SeccompInstruction]
            switch decision {
            case .always(let action): code = [.leave(action)]
            case .rules(let rules):
                code =
                    rules.flatMap { rule in
                        SeccompCondition.code(rule.conditions, isShort: isShort, action: rule.action)
                    } + standard
            }
            if runs[runs.count - 1].start == call { runs.removeLast() }
            if runs.last?.code != code { runs.append((call, code)) }
            if runs.last?.code != standard, call != .max {
                runs.append((call + 1, standard))
            }
        }
        // A default run that a next call's start has taken away leaves two alike beside one another.
        return Self.tree(Self.merged(runs)[...])
    }

    private static func merged(
        _ runs: [(start: UInt32, code: [SeccompInstruction])]
    ) -> [(start: UInt32, code: [SeccompInstruction])] {
        var merged: [(start: UInt32, code: [SeccompInstruction])] = []
        for run in runs where merged.last?.code != run.code { merged.append(run) }
        return merged
    }

    private static func tree(_ runs: ArraySlice<(start: UInt32, code: [SeccompInstruction])>) -> [SeccompInstruction] {
        guard runs.count > 1 else { return runs.first?.code ?? [] }
        let middle = runs.startIndex + runs.count / 2
        return SeccompInstruction.choose(from: runs[middle].start, tree(runs[..<middle]), tree(runs[middle...]))
    }
}
