import Glibc
import Testing

@testable import OCIRuntime

private typealias Rule = ResourceConfiguration.DeviceRule

private func allow(_ type: Character, _ major: Int64?, _ minor: Int64?, _ access: String = "rwm") -> Rule {
    Rule(isAllowed: true, type: type, major: major, minor: minor, access: access)
}

private func deny(_ type: Character, _ major: Int64?, _ minor: Int64?, _ access: String = "rwm") -> Rule {
    Rule(isAllowed: false, type: type, major: major, minor: minor, access: access)
}

/// Runs a device program as the kernel would: what it answers, or nil where it does what none may.
private func answer(_ program: DeviceProgram, access: UInt32, type: UInt32, major: UInt32, minor: UInt32) -> Int? {
    let context = [access << 16 | type, major, minor]
    var registers = [UInt64](repeating: 0, count: 11)
    var index = 0
    for _ in 0..<program.instructions.count {
        guard program.instructions.indices.contains(index) else { return nil }
        let one = program.instructions[index]
        let immediate = UInt64(bitPattern: Int64(one.immediate))
        let target = Int(one.destination)
        index += 1
        switch one.opcode {
        case 0x61:
            guard one.source == 1, context.indices.contains(Int(one.offset) / 4) else { return nil }
            registers[target] = UInt64(context[Int(one.offset) / 4])
        case 0xBC: registers[target] = registers[Int(one.source)] & 0xFFFF_FFFF
        case 0xB4: registers[target] = immediate & 0xFFFF_FFFF
        case 0x54: registers[target] &= immediate & 0xFFFF_FFFF
        case 0x74: registers[target] = (registers[target] & 0xFFFF_FFFF) >> immediate
        case 0x55: if registers[target] != immediate { index += Int(one.offset) }
        case 0x45: if registers[target] & immediate != 0 { index += Int(one.offset) }
        case 0x05: index += Int(one.offset)
        case 0x95: return Int(registers[0])
        default: return nil
        }
    }
    return nil
}

/// Whether the last rule for each right allows it: the meaning, plainly.
private func isAllowed(_ rules: [Rule], access: UInt32, type: UInt32, major: UInt32, minor: UInt32) -> Bool {
    for (bit, letter) in [(UInt32(1), Character("m")), (2, "r"), (4, "w")] where access & bit != 0 {
        let last = rules.last { rule in
            rule.access.contains(letter) && (rule.type == "a" || (rule.type == "b") == (type == 1))
                && (rule.major ?? Int64(major)) == Int64(major) && (rule.minor ?? Int64(minor)) == Int64(minor)
        }
        guard last?.isAllowed == true else { return false }
    }
    return true
}

@Suite struct CgroupDeviceTests {
    @Test func `Device programs decide as the last matching rule for each right`() throws {
        var generator = SystemRandomNumberGenerator()
        var differences: [String] = []
        for _ in 0..<400 {
            let rules = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                Rule(
                    isAllowed: Bool.random(using: &generator),
                    type: ["a", "b", "c"].randomElement(using: &generator) ?? "a",
                    major: [nil, 1, 2].randomElement(using: &generator) ?? nil,
                    minor: [nil, 3, 4].randomElement(using: &generator) ?? nil,
                    access: ["r", "w", "m", "rw", "rwm", "rwm", ""].randomElement(using: &generator) ?? "r"
                )
            }
            let program = try DeviceProgram(rules)
            for access in UInt32(1)...7 {
                for (type, major, minor) in [(UInt32(1), UInt32(1), UInt32(3)), (2, 1, 4), (2, 2, 3), (1, 9, 9)] {
                    let found = answer(program, access: access, type: type, major: major, minor: minor)
                    let expected = isAllowed(rules, access: access, type: type, major: major, minor: minor) ? 1 : 0
                    if found != expected {
                        differences.append("\(rules.map(\.text)) \(access) \(type) \(major):\(minor): \(found ?? -1)")
                    }
                }
            }
        }
        #expect(differences.prefix(10).isEmpty, "\(differences.prefix(10))")
    }

    @Test func `A device program has no instructions after a rule for everything`() throws {
        let program = try DeviceProgram([allow("c", 1, 3), deny("a", nil, nil), allow("c", 1, 5)])
        #expect(answer(program, access: 2, type: 2, major: 1, minor: 3) == 0)
        #expect(answer(program, access: 2, type: 2, major: 1, minor: 5) == 1)
        // Six for the context, five for the one rule, two for the end.
        #expect(program.instructions.count == 13)
    }

    @Test func `A device number that none can have is refused`() {
        #expect(throws: CgroupError.self) { try DeviceProgram([allow("c", 1 << 40, 3)]) }
    }

    @Test func `Version 1 denies all first and then allows in order`() throws {
        let policy = try DevicePolicy([deny("a", nil, nil), allow("c", 10, 229, "rw"), allow("b", 8, nil, "r")])
        let texts = policy.writes.map { "\($0.file) \($0.value)" }
        #expect(texts == ["devices.deny a", "devices.allow c 10:229 rw", "devices.allow b 8:* r"])
    }

    @Test func `Version 1 allows all but what is denied after it`() throws {
        let policy = try DevicePolicy(
            [allow("c", 1, 3), allow("a", nil, nil), deny("c", 1, 11)] + DevicePolicy.defaults
        )
        // All containers may make devices.
        #expect(policy.writes.map { "\($0.file) \($0.value)" } == ["devices.allow a", "devices.deny c 1:11 rw"])
    }

    @Test func `A denial takes back what an earlier rule allowed`() throws {
        let policy = try DevicePolicy([allow("c", 1, 3), allow("c", 1, 5), deny("c", 1, nil, "w"), deny("c", nil, 5)])
        #expect(policy.writes.map(\.value) == ["a", "c 1:3 rm"])
    }

    @Test func `A hole in what version 1 allows is refused`() {
        #expect(throws: CgroupError.self) { try DevicePolicy([allow("c", 1, nil), deny("c", 1, 3)]) }
        #expect(throws: CgroupError.self) { try DevicePolicy([allow("c", 1, nil), deny("c", nil, 3)]) }
    }

    @Test(.enabled(if: CgroupFixture.unifiedHost != nil, "needs root and version 2"))
    func `The kernel takes device programs and asks the last one`() throws {
        let host = try #require(CgroupFixture.unifiedHost)
        try withGroup(host) { group in
            func canOpen(_ device: String) throws -> Bool {
                let child = try Child(["/bin/sh", "-c", "exec < \(device)"], isStopped: true)
                try group.add(child.pid)
                child.resume()
                return child.wait() == 0
            }
            #expect(try canOpen("/dev/kmsg"))
            let warnings = try group.apply(CgroupFixture.resources(#"{"devices":[{"allow":false,"access":"rwm"}]}"#))
            #expect(warnings.isEmpty)
            #expect(try !canOpen("/dev/kmsg"))
            #expect(try canOpen("/dev/null"))
            let rules = #"{"devices":[{"allow":false},{"allow":true,"type":"c","major":1,"minor":11,"access":"r"}]}"#
            _ = try group.apply(CgroupFixture.resources(rules))
            #expect(try canOpen("/dev/kmsg"))
            let folder = open(try #require(group.paths[""]), O_RDONLY)
            defer { close(folder) }
            #expect(try DeviceProgram.programs(of: folder).count == 1)
        }
    }
}
