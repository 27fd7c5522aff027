import HostCode
import TestSupport
import Testing

@Suite(.serialized) struct NativeExecutorTests {
    @Test func `Registers, flags and memory go in and out`() throws {
        let native = try NativeExecutor()
        native.state.reset()
        native.state[0] = 7
        native.state[4] = 0x1234
        native.state[7] = native.memoryAddress
        native.memory.storeBytes(of: UInt64.max - 6, as: UInt64.self)
        // add rax, [rdi]; mov [rdi + 8], rsp
        #expect(native.run([0x48, 0x03, 0x07, 0x48, 0x89, 0x67, 0x08]) == .completed)
        #expect(native.state[0] == 0)
        #expect(native.state[4] == 0x1234)
        #expect(native.state.rflags & 0x8D5 == 0x55)
        #expect(native.memory.load(fromByteOffset: 8, as: UInt64.self) == 0x1234)
    }

    @Test func `Vector registers go in and out`() throws {
        let native = try NativeExecutor()
        native.state.reset()
        let area = native.state.xsaveArea
        area.storeBytes(of: SIMD4<Float>(1, 2, 3, 4), toByteOffset: 160 + 16 * 15, as: SIMD4<Float>.self)
        area.storeBytes(of: SIMD4<Float>(5, 6, 7, 8), toByteOffset: 576 + 16 * 15, as: SIMD4<Float>.self)
        // vaddps ymm1, ymm15, ymm15
        #expect(native.run([0xC4, 0xC1, 0x04, 0x58, 0xCF]) == .completed)
        #expect(area.load(fromByteOffset: 160 + 16, as: SIMD4<Float>.self) == SIMD4(2, 4, 6, 8))
        #expect(area.load(fromByteOffset: 576 + 16, as: SIMD4<Float>.self) == SIMD4(10, 12, 14, 16))
    }

    @Test func `Exceptions are told by vector and place`() throws {
        let native = try NativeExecutor()
        native.state.reset()
        // nop; div ecx
        #expect(native.run([0x90, 0xF7, 0xF1]) == .exception(vector: 0, errorCode: 0, address: 0, codeOffset: 1))
        #expect(native.run([0x0F, 0x0B]) == .exception(vector: 6, errorCode: 0, address: 0, codeOffset: 0))
        native.state[3] = 0x55
        native.state[0] = native.memoryAddress &- 8
        // mov rbx, [rax]: the guard before the memory
        guard case .exception(vector: 14, errorCode: _, let address, codeOffset: 0) = native.run([0x48, 0x8B, 0x18])
        else {
            Issue.record("no page fault")
            return
        }
        #expect(address == native.memoryAddress &- 8)
        #expect(native.state[3] == 0x55)
        #expect(native.run([0x90]) == .completed)
    }

    @Test func `An unmasked SIMD exception leaves its flags`() throws {
        let native = try NativeExecutor()
        native.state.reset()
        native.state.mxcsr = 0x1F80 & ~0x200
        native.state.xsaveArea.storeBytes(of: SIMD4<Float>(1, 1, 1, 1), toByteOffset: 160, as: SIMD4<Float>.self)
        // divps xmm0, xmm1
        guard case .exception(let vector, _, _, let codeOffset) = native.run([0x0F, 0x5E, 0xC1]) else {
            Issue.record("the division by zero completed")
            return
        }
        #expect(vector == 19)
        #expect(codeOffset == 0)
        #expect(native.state.mxcsr & 0x3F == 4)
    }
}
