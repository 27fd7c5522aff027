/// What device rules come to, as version 1's devices controller keeps it: a default and what is otherwise.
struct DevicePolicy: Hashable, Sendable {
    typealias Rule = ResourceConfiguration.DeviceRule

    struct Device: Hashable, Sendable {
        /// `b` or `c`.
        var type: Character
        var major: Int64?
        var minor: Int64?

        func covers(_ other: Device) -> Bool {
            type == other.type && (major == nil || major == other.major) && (minor == nil || minor == other.minor)
        }
        func overlaps(_ other: Device) -> Bool {
            type == other.type && (major == nil || other.major == nil || major == other.major)
                && (minor == nil || other.minor == nil || minor == other.minor)
        }
    }

    var allowsByDefault = false
    var exceptions: [(device: Device, access: DeviceAccess)] = []

    static func == (left: DevicePolicy, right: DevicePolicy) -> Bool {
        left.allowsByDefault == right.allowsByDefault
            && left.exceptions.elementsEqual(right.exceptions) { $0.device == $1.device && $0.access == $1.access }
    }
    func hash(into hasher: inout Hasher) {
        hasher.combine(allowsByDefault)
        for exception in exceptions { hasher.combine(exception.device) }
    }

    /// Every container's own devices, which follow its rules.
    ///
    /// All may be made, and null, zero, full, random, urandom, tty, ptmx and the pseudo terminals be used. (/dev/console is
    /// a pseudo terminal.)
    static let defaults: [Rule] =
        [
            Rule(isAllowed: true, type: "c", major: nil, minor: nil, access: "m"),
            Rule(isAllowed: true, type: "b", major: nil, minor: nil, access: "m"),
        ]
        + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)].map {
            Rule(isAllowed: true, type: "c", major: $0.0, minor: $0.1, access: "rwm")
        } + [Rule(isAllowed: true, type: "c", major: 136, minor: nil, access: "rwm")]

    /// The policy of `rules`, of which later ones count more; without any, nothing is allowed.
    /// - Throws: ``CgroupError/deviceRule(_:reason:)`` for one that the controller has no form for.
    init(_ rules: [Rule]) throws(CgroupError) {
        for rule in rules { try add(rule) }
    }

    private mutating func add(_ rule: Rule) throws(CgroupError) {
        let access = DeviceAccess(rule.access)
        guard !access.isEmpty else { return }
        guard rule.type != "a" else {
            if rule.major == nil, rule.minor == nil, access == .all {
                allowsByDefault = rule.isAllowed
                exceptions = []
            } else {
                for type: Character in ["b", "c"] {
                    var one = rule
                    one.type = type
                    try add(one)
                }
            }
            return
        }
        let device = Device(type: rule.type, major: rule.major, minor: rule.minor)
        if rule.isAllowed != allowsByDefault {
            if let index = exceptions.firstIndex(where: { $0.device == device }) {
                exceptions[index].access.formUnion(access)
            } else {
                exceptions.append((device, access))
            }
            return
        }
        for index in exceptions.indices where exceptions[index].device.overlaps(device) {
            guard !exceptions[index].access.isDisjoint(with: access) else { continue }
            guard device.covers(exceptions[index].device) else {
                throw .deviceRule(
                    rule.text,
                    reason: "it is a part of '\(exceptions[index].device.text)', which version 1 cannot take out"
                )
            }
            exceptions[index].access.subtract(access)
        }
        exceptions.removeAll { $0.access.isEmpty }
    }

    /// What is written to which file of the controller, in that order.
    var writes: [(file: String, value: String)] {
        var writes = [(file: allowsByDefault ? "devices.allow" : "devices.deny", value: "a")]
        for (device, access) in exceptions {
            writes.append((allowsByDefault ? "devices.deny" : "devices.allow", "\(device.text) \(access.text)"))
        }
        return writes
    }
}

extension DevicePolicy.Device {
    var text: String { "\(type) \(major.map { "\($0)" } ?? "*"):\(minor.map { "\($0)" } ?? "*")" }
}

extension ResourceConfiguration.DeviceRule {
    var text: String {
        let device = DevicePolicy.Device(type: type, major: major, minor: minor)
        return "\(isAllowed ? "allow" : "deny") \(device.text) \(access)"
    }
}
