/// A PS/2 keyboard's side of the conversation (IBM PS/2 Technical Reference, "Keyboards").
struct Keyboard: Hashable, Sendable {
    var isScanning = true
    var scanCodeSet: UInt8 = 2
    var lights: UInt8 = 0
    /// Bits 6:5 delay, bits 4:0 rate.
    var repeatRate: UInt8 = 0x2B
    /// A command whose parameter is awaited.
    var pendingCommand: UInt8?
    /// What a resend request repeats.
    var lastAnswer: UInt8 = 0

    private static let acknowledge: UInt8 = 0xFA
    private static let resend: UInt8 = 0xFE

    /// Takes a byte from the controller and answers it.
    mutating func receive(_ byte: UInt8) -> [UInt8] {
        let answer = answer(to: byte)
        if let last = answer.last { lastAnswer = last }
        return answer
    }

    private mutating func answer(to byte: UInt8) -> [UInt8] {
        if let command = pendingCommand, byte < 0x80 {
            pendingCommand = nil
            switch command {
            case 0xED: lights = byte & 7
            case 0xF3: repeatRate = byte & 0x7F
            case 0xF0:
                if byte == 0 { return [Self.acknowledge, scanCodeSet] }
                guard byte <= 3 else { return [Self.resend] }
                scanCodeSet = byte
            default: break
            }
            return [Self.acknowledge]
        }
        pendingCommand = nil
        switch byte {
        case 0xED, 0xF0, 0xF3, 0xFB, 0xFC, 0xFD: pendingCommand = byte
        case 0xEE: return [0xEE]
        // An MF2 keyboard.
        case 0xF2: return [Self.acknowledge, 0xAB, 0x83]
        case 0xF4: isScanning = true
        case 0xF5:
            setDefaults()
            isScanning = false
        case 0xF6: setDefaults()
        case 0xF7...0xFA: break
        case 0xFE: return [lastAnswer]
        case 0xFF:
            self = Keyboard()
            return [Self.acknowledge, 0xAA]
        default: return [Self.resend]
        }
        return [Self.acknowledge]
    }

    private mutating func setDefaults() {
        scanCodeSet = 2
        repeatRate = 0x2B
    }

    /// Set 2 to set 1, as the controller translates: F0 becomes the top bit of the next code.
    static func translate(_ codes: [UInt8]) -> [UInt8] {
        var result: [UInt8] = []
        var isBreak = false
        for code in codes {
            if code == 0xF0 {
                isBreak = true
                continue
            }
            let translated = code < 0x80 ? setOne[Int(code)] : code == 0x83 ? 0x41 : code == 0x84 ? 0x54 : code
            result.append(translated | (isBreak ? 0x80 : 0))
            isBreak = false
        }
        return result
    }

    /// The set 1 code of each set 2 code below 0x80.
    private static let setOne: [UInt8] = [
        0xFF, 0x43, 0x41, 0x3F, 0x3D, 0x3B, 0x3C, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3E, 0x0F, 0x29, 0x59,
        0x65, 0x38, 0x2A, 0x70, 0x1D, 0x10, 0x02, 0x5A, 0x66, 0x71, 0x2C, 0x1F, 0x1E, 0x11, 0x03, 0x5B,
        0x67, 0x2E, 0x2D, 0x20, 0x12, 0x05, 0x04, 0x5C, 0x68, 0x39, 0x2F, 0x21, 0x14, 0x13, 0x06, 0x5D,
        0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5E, 0x6A, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5F,
        0x6B, 0x33, 0x25, 0x17, 0x18, 0x0B, 0x0A, 0x60, 0x6C, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0C, 0x61,
        0x6D, 0x73, 0x28, 0x74, 0x1A, 0x0D, 0x62, 0x6E, 0x3A, 0x36, 0x1C, 0x1B, 0x75, 0x2B, 0x63, 0x76,
        0x55, 0x56, 0x77, 0x78, 0x79, 0x7A, 0x0E, 0x7B, 0x7C, 0x4F, 0x7D, 0x4B, 0x47, 0x7E, 0x7F, 0x6F,
        0x52, 0x53, 0x50, 0x4C, 0x4D, 0x48, 0x01, 0x45, 0x57, 0x4E, 0x51, 0x4A, 0x37, 0x49, 0x46, 0x54,
    ]
}
