import X86

extension OpcodeTableBuilder {
    /// Every row.
    @_optimize(none)
    mutating func addAll() {
        addArithmetic()
        addShifts()
        addMoves()
        addStack()
        addControlFlow()
        addStrings()
        addOneByteRest()
        addTwoByteInteger()
        addTwoByteSystem()
        addBitManipulation()
        addVectors()
    }

    /// ADD to CMP in their nine forms, TEST, NOT to IDIV, INC, DEC, IMUL and the decimal adjustments.
    @_optimize(none)
    mutating func addArithmetic() {
        map = .oneByte
        feature = .base
        let families: [(StaticString, Operation, FlagEffect)] = [
            ("add", .add, .arithmetic), ("or", .or, .logic), ("adc", .adc, .withCarry), ("sbb", .sbb, .withCarry),
            ("and", .and, .logic), ("sub", .sub, .arithmetic), ("xor", .xor, .logic), ("cmp", .cmp, .arithmetic),
        ]
        for (index, (mnemonic, operation, flags)) in families.enumerated() {
            let base = UInt8(index << 3)
            let slash = EncodingRule.slash(UInt64(index))
            let writes = operation != .cmp
            let lock: EncodingRule = writes ? .lock : []
            row(base, mnemonic, operation, writes ? "+Eb,Gb" : "Eb,Gb", lock, flags)
            row(base + 1, mnemonic, operation, writes ? "+Ev,Gv" : "Ev,Gv", lock, flags)
            row(base + 2, mnemonic, operation, writes ? "+Gb,Eb" : "Gb,Eb", [], flags)
            row(base + 3, mnemonic, operation, writes ? "+Gv,Ev" : "Gv,Ev", [], flags)
            row(base + 4, mnemonic, operation, writes ? "+AL,Ib" : "AL,Ib", [], flags)
            row(base + 5, mnemonic, operation, writes ? "+rAX,Iz" : "rAX,Iz", [], flags)
            row(0x80, mnemonic, operation, writes ? "+Eb,Ib" : "Eb,Ib", [slash, lock], flags)
            row(0x81, mnemonic, operation, writes ? "+Ev,Iz" : "Ev,Iz", [slash, lock], flags)
            row(0x82, mnemonic, operation, writes ? "+Eb,Ib" : "Eb,Ib", [slash, lock, .not64], flags)
            row(0x83, mnemonic, operation, writes ? "+Ev,Is" : "Ev,Is", [slash, lock], flags)
        }
        row(0x84, "test", .test, "Eb,Gb", [], .logic)
        row(0x85, "test", .test, "Ev,Gv", [], .logic)
        row(0xA8, "test", .test, "AL,Ib", [], .logic)
        row(0xA9, "test", .test, "rAX,Iz", [], .logic)
        row(0xF6, "test", .test, "Eb,Ib", [.slash0, .slash1], .logic)
        row(0xF7, "test", .test, "Ev,Iz", [.slash0, .slash1], .logic)
        row(0xF6, "not", .not, "+Eb", [.slash2, .lock])
        row(0xF7, "not", .not, "+Ev", [.slash2, .lock])
        row(0xF6, "neg", .neg, "+Eb", [.slash3, .lock], .arithmetic)
        row(0xF7, "neg", .neg, "+Ev", [.slash3, .lock], .arithmetic)
        row(0xF6, "mul", .mul, "Eb", .slash4, .multiply, reads: .rax, writes: .rax)
        row(0xF7, "mul", .mul, "Ev", .slash4, .multiply, reads: .rax, writes: [.rax, .rdx])
        row(0xF6, "imul", .imul, "Eb", .slash5, .multiply, reads: .rax, writes: .rax)
        row(0xF7, "imul", .imul, "Ev", .slash5, .multiply, reads: .rax, writes: [.rax, .rdx])
        row(0xF6, "div", .div, "Eb", .slash6, .divide, reads: .rax, writes: .rax, raises: .divideError)
        row(
            0xF7,
            "div",
            .div,
            "Ev",
            .slash6,
            .divide,
            reads: [.rax, .rdx],
            writes: [.rax, .rdx],
            raises: .divideError
        )
        row(0xF6, "idiv", .idiv, "Eb", .slash7, .divide, reads: .rax, writes: .rax, raises: .divideError)
        row(
            0xF7,
            "idiv",
            .idiv,
            "Ev",
            .slash7,
            .divide,
            reads: [.rax, .rdx],
            writes: [.rax, .rdx],
            raises: .divideError
        )
        row(0x69, "imul", .imul, "=Gv,Ev,Iz", [], .multiply)
        row(0x6B, "imul", .imul, "=Gv,Ev,Is", [], .multiply)
        for number in UInt8(0)..<8 {
            row(0x40 + number, "inc", .inc, "+Zv", .not64, .keepingCarry)
            row(0x48 + number, "dec", .dec, "+Zv", .not64, .keepingCarry)
        }
        row(0xFE, "inc", .inc, "+Eb", [.slash0, .lock], .keepingCarry)
        row(0xFF, "inc", .inc, "+Ev", [.slash0, .lock], .keepingCarry)
        row(0xFE, "dec", .dec, "+Eb", [.slash1, .lock], .keepingCarry)
        row(0xFF, "dec", .dec, "+Ev", [.slash1, .lock], .keepingCarry)
        row(0x27, "daa", .daa, "", .not64, .decimal, reads: .rax, writes: .rax)
        row(0x2F, "das", .das, "", .not64, .decimal, reads: .rax, writes: .rax)
        row(0x37, "aaa", .aaa, "", .not64, .ascii, reads: .rax, writes: .rax)
        row(0x3F, "aas", .aas, "", .not64, .ascii, reads: .rax, writes: .rax)
        row(0xD4, "aam", .aam, "Ib", .not64, .asciiMultiply, reads: .rax, writes: .rax, raises: .divideError)
        row(0xD5, "aad", .aad, "Ib", .not64, .asciiMultiply, reads: .rax, writes: .rax)
    }

    /// Group 2.
    @_optimize(none)
    mutating func addShifts() {
        let families: [(UInt64, StaticString, Operation, FlagEffect, FlagEffect)] = [
            (0, "rol", .rol, .rotate, .rotateByOne), (1, "ror", .ror, .rotate, .rotateByOne),
            (2, "rcl", .rcl, .rotateCarry, .rotateCarryByOne), (3, "rcr", .rcr, .rotateCarry, .rotateCarryByOne),
            (4, "shl", .shl, .shift, .shiftByOne), (5, "shr", .shr, .shift, .shiftByOne),
            (6, "shl", .shl, .shift, .shiftByOne), (7, "sar", .sar, .shift, .shiftByOne),
        ]
        for (number, mnemonic, operation, flags, flagsByOne) in families {
            let slash = EncodingRule.slash(number)
            row(0xC0, mnemonic, operation, "+Eb,Ib", slash, flags)
            row(0xC1, mnemonic, operation, "+Ev,Ib", slash, flags)
            row(0xD0, mnemonic, operation, "+Eb,1", slash, flagsByOne)
            row(0xD1, mnemonic, operation, "+Ev,1", slash, flagsByOne)
            row(0xD2, mnemonic, operation, "+Eb,CL", slash, flags)
            row(0xD3, mnemonic, operation, "+Ev,CL", slash, flags)
        }
    }
}
