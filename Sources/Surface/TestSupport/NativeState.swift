internal import CNativeRun
import X86

/// The user-mode state that a ``NativeExecutor`` loads before and stores after a run; the value is only a pointer.
///
/// ``xsaveArea`` has the layout of ``CPUState/xsaveArea`` (standard XSAVE format with x87, SSE and AVX), so that the two
/// can be compared byte for byte, but for what the host's CPU says of x87 instruction and data pointers.
@safe
public struct NativeState: @unchecked Sendable {
    // SAFETY: the block belongs to one executor, which one thread uses at a time.
    let block: UnsafeMutablePointer<native_run_block>

    /// General register `index`, 0...15 in encoding order, RSP (4) included.
    public subscript(_ index: Int) -> UInt64 {
        get { raw.load(fromByteOffset: (index & 15) * 8, as: UInt64.self) }
        nonmutating set { raw.storeBytes(of: newValue, toByteOffset: (index & 15) * 8, as: UInt64.self) }
    }

    /// CF PF AF ZF SF OF and DF are loaded; everything that PUSHFQ tells is stored.
    public var rflags: UInt64 {
        get { block.pointee.rflags }
        nonmutating set { block.pointee.rflags = newValue }
    }

    public var mxcsr: UInt32 {
        get { xsaveArea.load(fromByteOffset: 24, as: UInt32.self) }
        nonmutating set { xsaveArea.storeBytes(of: newValue, toByteOffset: 24, as: UInt32.self) }
    }

    /// 832 bytes.
    ///
    /// The header (bytes 512...575) is the executor's: before a run it says that every component is present, after it a
    /// component that it calls initial has been filled in.
    public var xsaveArea: UnsafeMutableRawPointer { raw + 192 }

    private var raw: UnsafeMutableRawPointer { UnsafeMutableRawPointer(block) }

    /// Zero registers, x87 as FNINIT leaves it, MXCSR 0x1F80.
    public func reset() {
        raw.initializeMemory(as: UInt8.self, repeating: 0, count: 192 + 832)
        xsaveArea.storeBytes(of: 0x37F, as: UInt16.self)
        mxcsr = 0x1F80
    }
}

/// How a run ended.
public enum NativeOutcome: Hashable, Sendable {
    case completed
    /// An exception, with the place of the faulting instruction in the code that was given. The state is that at the fault.
    case exception(vector: UInt8, errorCode: UInt64, address: UInt64, codeOffset: Int)
}
