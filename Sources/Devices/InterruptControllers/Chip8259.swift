/// The registers of one 8259A and what it does with them (Intel 8259A datasheet).
struct Chip8259: Hashable, Sendable {
    let isFirst: Bool
    /// The level of each input.
    var inputs: UInt8 = 0
    /// IRR, ISR and IMR.
    var requests: UInt8 = 0
    var inService: UInt8 = 0
    var mask: UInt8 = 0
    /// ELCR: inputs that are level-triggered.
    var levelInputs: UInt8 = 0
    /// ICW1 bit 3: all inputs are level-triggered.
    var isLevelTriggered = false
    /// ICW2: bits 7:3 of the vectors.
    var vectorBase: UInt8 = 0
    /// ICW3, kept for nobody: the cascade is wired.
    var cascade: UInt8 = 0
    var isAutomaticEnd = false
    var rotatesOnAutomaticEnd = false
    var isSpeciallyFullyNested = false
    var isSpecialMask = false
    var isPolled = false
    /// OCW3: reading port 0 gives ISR, else IRR.
    var readsInService = false
    /// The input with the lowest priority.
    var lowestPriority: UInt8 = 7
    var initialization = Initialization.waiting

    /// Which initialization command word comes next; 8259A datasheet figure 6.
    enum Initialization: Hashable, Sendable {
        /// Never initialised: nothing is delivered.
        case waiting
        case vectorBase(needsMode: Bool, isSingle: Bool)
        case cascade(needsMode: Bool)
        case mode
        case done
    }

    init(isFirst: Bool) { self.isFirst = isFirst }

    /// Requests that inputs make now: latched edges, and levels that are still there.
    private var pending: UInt8 { requests | (inputs & levelMask) }
    private var levelMask: UInt8 { isLevelTriggered ? 0xFF : levelInputs }

    mutating func setInput(_ input: Int, _ level: Bool) {
        let bit: UInt8 = 1 << UInt8(input)
        if level, inputs & bit == 0, levelMask & bit == 0 { requests |= bit }
        if level { inputs |= bit } else { inputs &= ~bit }
    }

    /// The input that the chip would have acknowledged now, or nil.
    ///
    /// - Parameter cascade: The level of input 2 of the first chip: the second chip's output.
    /// - Returns: 0...7; nil where nothing asks that is not masked or held back by what is in service.
    func request(cascade: Bool) -> UInt8? {
        guard initialization == .done else { return nil }
        let asking = (pending | (cascade ? 4 : 0)) & ~mask
        guard asking != 0 else { return nil }
        // In special mask mode a masked input in service holds back nobody.
        let blocking = isSpecialMask ? inService & ~mask : inService
        for step in UInt8(1)...8 {
            let input = (lowestPriority &+ step) & 7
            let bit: UInt8 = 1 << input
            if blocking & bit != 0 {
                // In special fully nested mode the second chip may ask again while input 2 is in service.
                return isFirst && isSpeciallyFullyNested && input == 2 && asking & bit != 0 ? input : nil
            }
            if asking & bit != 0 { return input }
        }
        return nil
    }

    mutating func takeIntoService(_ input: UInt8) {
        let bit: UInt8 = 1 << input
        requests &= ~bit
        if isAutomaticEnd {
            if rotatesOnAutomaticEnd { lowestPriority = input }
        } else {
            inService |= bit
        }
    }

    func vector(of input: UInt8) -> UInt8 { vectorBase | input }
    /// What an acknowledge without a request gets.
    var spuriousVector: UInt8? { initialization == .done ? vector(of: 7) : nil }

    mutating func poll(cascade: Bool) -> UInt8 {
        isPolled = false
        guard let input = request(cascade: cascade) else { return 0 }
        takeIntoService(input)
        return 0x80 | input
    }

    func read(_ offset: UInt64) -> UInt8 {
        if offset & 1 != 0 { return mask }
        return readsInService ? inService : pending
    }

    mutating func write(_ value: UInt8, _ offset: UInt64) {
        if offset & 1 == 0 {
            if value & 0x10 != 0 {
                startInitialization(value)
            } else if value & 0x08 != 0 {
                setOperation3(value)
            } else {
                endInterrupt(value)
            }
            return
        }
        switch initialization {
        case .vectorBase(let needsMode, let isSingle):
            vectorBase = value & 0xF8
            initialization = isSingle ? (needsMode ? .mode : .done) : .cascade(needsMode: needsMode)
        case .cascade(let needsMode):
            cascade = value
            initialization = needsMode ? .mode : .done
        case .mode:
            isSpeciallyFullyNested = value & 0x10 != 0
            isAutomaticEnd = value & 0x02 != 0
            initialization = .done
        case .waiting, .done: mask = value
        }
    }

    /// ICW1: clears edges, mask and priorities.
    private mutating func startInitialization(_ value: UInt8) {
        let (inputs, levelInputs) = (self.inputs, self.levelInputs)
        self = Chip8259(isFirst: isFirst)
        self.inputs = inputs
        self.levelInputs = levelInputs
        isLevelTriggered = value & 0x08 != 0
        initialization = .vectorBase(needsMode: value & 0x01 != 0, isSingle: value & 0x02 != 0)
    }

    /// OCW3: special mask, poll, which register reads show.
    private mutating func setOperation3(_ value: UInt8) {
        if value & 0x40 != 0 { isSpecialMask = value & 0x20 != 0 }
        if value & 0x04 != 0 {
            isPolled = true
        } else if value & 0x02 != 0 {
            readsInService = value & 0x01 != 0
        }
    }

    /// OCW2: bits 7:5 are rotate, specific, end of interrupt.
    private mutating func endInterrupt(_ value: UInt8) {
        let named = value & 7
        switch value >> 5 {
        case 0b001: endHighest()
        case 0b011: inService &= ~(1 << named)
        case 0b101: if let input = endHighest() { lowestPriority = input }
        case 0b111:
            inService &= ~(1 << named)
            lowestPriority = named
        case 0b110: lowestPriority = named
        case 0b100: rotatesOnAutomaticEnd = true
        case 0b000: rotatesOnAutomaticEnd = false
        default: break
        }
    }

    @discardableResult
    private mutating func endHighest() -> UInt8? {
        for step in UInt8(1)...8 {
            let input = (lowestPriority &+ step) & 7
            let bit: UInt8 = 1 << input
            // In special mask mode, masked inputs in service are passed over.
            guard inService & bit != 0, !(isSpecialMask && mask & bit != 0) else { continue }
            inService &= ~bit
            return input
        }
        return nil
    }
}
