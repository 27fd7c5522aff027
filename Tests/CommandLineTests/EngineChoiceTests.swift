import ArgumentParser
import Engine
import Testing
import VirtualMachine
import X86
import X86Translator

@testable import CommandLine

@Suite struct EngineChoiceTests {
    @Test func `Auto translates where the host can`() {
        let choice = EngineOption.auto.choice(clock: .host, obstacle: nil)
        #expect(choice.kind == .translate)
        #expect(choice.description == "translate (auto: the host has what translated code needs)")
    }

    @Test func `Auto interprets where it must, and says why`() {
        #expect(
            EngineOption.auto.choice(clock: .host, obstacle: "the host's CPU lacks BMI2").description
                == "interpret (auto: the host's CPU lacks BMI2)"
        )
        let counted = EngineOption.auto.choice(clock: .instructions, obstacle: nil)
        #expect(counted.kind == .interpret)
        #expect(counted.description.contains("--clock instructions"))
        #expect(EngineOption.auto.choice(clock: .host, trace: .blocks, obstacle: nil).kind == .interpret)
        #expect(EngineOption.auto.choice(clock: .host, trace: .io, obstacle: nil).kind == .translate)
    }

    @Test func `An engine that is named is taken, without a reason`() {
        #expect(EngineOption.translate.choice(clock: .host, obstacle: "x") == EngineChoice(kind: .translate))
        #expect(EngineOption.interpret.choice(clock: .host, obstacle: nil).description == "interpret")
    }
}

@Suite struct DisasmTranslationTests {
    private func lines(_ code: [UInt8], at address: UInt64) throws -> [String] {
        TranslationText(try TranslationListing(code, at: address, model: .vivariumV3)).lines
    }

    @Test func `A guest instruction stands above its host code, and calls of shared code are named`() throws {
        // mov rax, [rdi + 8]; ret
        let lines = try lines([0x48, 0x8B, 0x47, 0x08, 0xC3], at: 0xFFFF_FFFF_8100_0000)
        #expect(lines[0] == "; guest block at 0xffffffff81000000: 2 instructions, 5 bytes")
        #expect(lines[2] == "ffffffff81000000\tmov rax, qword ptr [rdi + 8]")
        #expect(lines[3].hasPrefix("\t"))
        #expect(lines.contains("ffffffff81000004\tret"))
        #expect(lines.contains { $0.contains("gs:[") })
        #expect(lines.contains { $0.hasSuffix("; read miss") })
        #expect(!lines.contains { $0.contains("(bad)") })
    }

    @Test(arguments: [
        ["--translated", "--hex", "90", "--format", "json"], ["--translated", "--hex", "90", "--address", "x"],
        ["--translated", "--hex", "90", "--cpu", "z80"],
    ])
    func `What cannot be listed is refused`(words: [String]) throws {
        let command = try #require(try Viv.parseAsRoot(["disasm"] + words) as? Disasm)
        #expect { try command.run() } throws: { Viv.exitCode(for: $0) == .validationFailure }
    }

    @Test func `An address outside the code, and code of another size, end in one line`() throws {
        for words in [["--base", "0x1000", "--address", "0x2000"], ["--bits", "32"]] {
            let command = try #require(
                try Viv.parseAsRoot(["disasm", "--translated", "--hex", "90"] + words) as? Disasm
            )
            #expect(throws: CommandFailure.self) { try command.run() }
        }
    }
}
