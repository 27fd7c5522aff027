internal import CNativeRun
public import HostCode

/// The host's CPU as an oracle: runs a few bytes of user-mode code on a given state and tells the state after it.
///
/// ```swift
/// let native = try NativeExecutor()
/// native.state.reset()
/// native.state[0] = 7                                  // RAX
/// native.state[7] = native.memoryAddress               // RDI, for memory operands
/// let outcome = native.run([0x48, 0x03, 0x07])         // add rax, [rdi]
/// ```
///
/// Every general register is loaded and stored, RSP too; the arithmetic flags and DF; x87, MMX, XMM, YMM and MXCSR through
/// XRSTOR and XSAVE. The code must run through to its end or fault: no jumps out of the code window, no system calls, no
/// changes of FS, of AC or TF, no endless loops. It may use the stack only if RSP points into ``memory``. It is 64-bit code.
///
/// Exceptions become signals that the executor catches: #DE #DB #BP #UD #GP #SS #PF #MF #XM #AC are told by vector. What Linux
/// does not tell apart: a non-canonical address is #GP with address 0.
///
/// One thread at a time. Runs cost about a microsecond, faults about five.
public final class NativeExecutor {
    private let stubs: CodeBuffer
    private let block: UnsafeMutablePointer<native_run_block>
    private let window: NativeWindow
    private let entry: HostCodeAddress
    private let resumeAddress: UInt64

    /// `memoryByteCount`: The size of ``memory``, a positive multiple of the page size.
    public init(memoryByteCount: Int = 64 << 10) throws(HostCodeError) {
        window = try NativeWindow(memoryByteCount: memoryByteCount)
        stubs = try CodeBuffer(byteCount: 16 << 10)
        // XRSTOR wants 64-byte alignment.
        let raw = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<native_run_block>.size, alignment: 64)
        block = raw.bindMemory(to: native_run_block.self, capacity: 1)
        block.initialize(to: native_run_block())
        let address = UInt64(UInt(bitPattern: raw))
        let start = window.codeAddress + UInt64(Self.codeOffset)
        do throws(HostCodeError) {
            let resume = try stubs.append { Self.assembleLeave(&$0) }
            let exit = try stubs.append { Self.assembleExit(&$0, block: address) }
            entry = try stubs.append { assembler in
                Self.assembleEntry(&assembler)
                Self.assembleJump(&assembler, to: start)
            }
            resumeAddress = UInt64(resume.rawValue)
            jumpOut = [0xFF, 0x25, 0, 0, 0, 0] + (0..<8).map { UInt8(truncatingIfNeeded: exit.rawValue >> ($0 * 8)) }
        } catch {
            block.deallocate()
            throw error
        }
        state.reset()
    }

    deinit { block.deallocate() }

    /// Loaded by ``run(_:)`` and stored by it.
    public var state: NativeState { NativeState(block: block) }

    /// Zeroed memory below 2 GiB, with 64 KiB of inaccessible memory before and after it.
    public var memory: UnsafeMutableRawBufferPointer { window.memory }

    /// The address of ``memory``, to be put into registers.
    public var memoryAddress: UInt64 { UInt64(UInt(bitPattern: memory.baseAddress)) }

    /// Where the code window starts.
    ///
    /// Every byte of it that is not code being run is HLT, which is #GP(0): jumps within the window but out of the code
    /// end there, unless they hit the ``exitByteCount`` bytes behind the code.
    public var codeWindowAddress: UInt64 { window.codeAddress }
    public static let codeWindowByteCount = NativeWindow.codeByteCount
    /// Where in the window the code that is run starts.
    public static let codeOffset = 0x800
    public static let exitByteCount = 14

    /// `JMP [RIP]` with the exit's address behind it.
    private let jumpOut: [UInt8]

    public func run(_ code: [UInt8]) -> NativeOutcome { code.withUnsafeBytes { run($0) } }

    /// Runs `code`, at most 4096 bytes, on ``state``.
    public func run(_ code: UnsafeRawBufferPointer) -> NativeOutcome {
        guard code.count <= 4096, let source = code.baseAddress else { return .completed }
        block.pointee.rflags = block.pointee.rflags & 0x20_4CD5 | 0x202
        block.pointee.resume = resumeAddress
        prepareHeader()
        let target = window.writableCode + Self.codeOffset
        target.copyMemory(from: source, byteCount: code.count)
        jumpOut.withUnsafeBytes { bytes in
            (target + code.count).copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
        }
        // SAFETY: the code is assembled for this signature.
        native_run(unsafeBitCast(entry.rawValue, to: (@convention(c) (UnsafeMutableRawPointer?) -> Void).self), block)
        target.initializeMemory(as: UInt8.self, repeating: NativeWindow.fill, count: code.count + Self.exitByteCount)
        fillInitialComponents()
        guard block.pointee.signal != 0 else { return .completed }
        return .exception(
            vector: UInt8(truncatingIfNeeded: block.pointee.trap),
            errorCode: block.pointee.error,
            address: block.pointee.address,
            codeOffset: Int(truncatingIfNeeded: block.pointee.rip &- window.codeAddress) &- Self.codeOffset
        )
    }

    private func prepareHeader() {
        let area = state.xsaveArea
        (area + 512).initializeMemory(as: UInt8.self, repeating: 0, count: 64)
        area.storeBytes(of: 7, toByteOffset: 512, as: UInt64.self)
    }

    /// XSAVE may leave out what is in its initial configuration.
    private func fillInitialComponents() {
        let area = state.xsaveArea
        let present = area.load(fromByteOffset: 512, as: UInt64.self)
        if present & 1 == 0 {
            area.initializeMemory(as: UInt8.self, repeating: 0, count: 24)
            area.storeBytes(of: 0x37F, as: UInt16.self)
            (area + 32).initializeMemory(as: UInt8.self, repeating: 0, count: 128)
        }
        if present & 2 == 0 { (area + 160).initializeMemory(as: UInt8.self, repeating: 0, count: 256) }
        if present & 4 == 0 { (area + 576).initializeMemory(as: UInt8.self, repeating: 0, count: 256) }
    }

    private static func assembleJump(_ code: inout Assembler, to address: UInt64) {
        code.bytes(0xFF, 0x25, 0, 0, 0, 0)
        code.qword(address)
    }

    private static let saved: [HostRegister] = [.rbx, .rbp, .r12, .r13, .r14, .r15]
    private static let flagsOffset = 128
    private static let hostStackOffset = 144
    private static let areaOffset = 192

    private static func assembleEntry(_ code: inout Assembler) {
        for register in saved { code.push(register) }
        code.store64(HostMemory(.rdi, hostStackOffset), .rsp)
        code.move32(.rax, immediate: 7)
        code.xor32(.rdx, .rdx)
        code.xrstor64(HostMemory(.rdi, areaOffset))
        code.push(HostMemory(.rdi, flagsOffset))
        code.popFlags()
        for number in 0..<16 where number != 7 {
            guard let register = HostRegister(rawValue: UInt8(number)) else { continue }
            code.load64(register, HostMemory(.rdi, number * 8))
        }
        code.load64(.rdi, HostMemory(.rdi, 7 * 8))
    }

    private static func assembleExit(_ code: inout Assembler, block: UInt64) {
        // MOV to an absolute address needs no other register than RAX.
        code.bytes(0x48, 0xA3)
        code.qword(block)
        code.move64(.rax, immediate: block)
        for number in 1..<16 {
            guard let register = HostRegister(rawValue: UInt8(number)) else { continue }
            code.store64(HostMemory(.rax, number * 8), register)
        }
        code.load64(.rsp, HostMemory(.rax, hostStackOffset))
        code.pushFlags()
        code.pop(HostMemory(.rax, flagsOffset))
        code.clearDirection()
        code.move64(.rdi, .rax)
        code.move32(.rax, immediate: 7)
        code.xor32(.rdx, .rdx)
        code.xsave64(HostMemory(.rdi, areaOffset))
        assembleLeave(&code)
    }

    /// Back to the caller, with RSP where the entry left it.
    private static func assembleLeave(_ code: inout Assembler) {
        code.fninit()
        code.push(.rax)
        code.store32(HostMemory(.rsp, 0), immediate: 0x1F80)
        code.loadMXCSR(HostMemory(.rsp, 0))
        code.pop(.rax)
        code.zeroUpper()
        for register in saved.reversed() { code.pop(register) }
        code.ret()
    }
}
