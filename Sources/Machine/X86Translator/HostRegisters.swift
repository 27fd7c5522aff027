/// Where the guest's general registers live while translated code runs.
///
/// ```
/// RAX RDX RBX RBP RSI RDI R8 R12...R15   the host's register of the same name
/// RCX                                    R10        (the host's RCX is scratch, for JRCXZ leaves the flags alone)
/// RSP                                    R11        (the host's RSP is the stack of host return addresses)
/// R9 R10 R11                             the state block, `gs:[8 n]`
/// ```
///
/// R9 and RCX of the host are scratch. The flags, x87 and vector registers are the host's own.
enum HostRegisters {
    static let rax: UInt8 = 0
    static let scratch: UInt8 = 1
    static let hostStack: UInt8 = 4
    static let rbp: UInt8 = 5
    static let address: UInt8 = 9
    static let guestCount: UInt8 = 10
    static let guestStack: UInt8 = 11

    /// The host register that holds guest register `number`; ``inMemory`` where none does.
    @inline(__always)
    static func host(_ number: UInt8) -> UInt8 {
        switch number {
        case 1: guestCount
        case 4: guestStack
        case 9, 10, 11: inMemory
        default: number
        }
    }
    static let inMemory: UInt8 = 0xFF

    /// The guest registers that have a host register.
    static let resident: [UInt8] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 14, 15]
}
