/// A set of interrupt vectors, as the ISR, TMR and IRR registers hold it.
struct VectorSet: Hashable, Sendable {
    private var words: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)

    init() {}

    static func == (lhs: Self, rhs: Self) -> Bool { lhs.words == rhs.words }

    func hash(into hasher: inout Hasher) {
        hasher.combine(words.0)
        hasher.combine(words.1)
        hasher.combine(words.2)
        hasher.combine(words.3)
    }

    private subscript(word index: UInt8) -> UInt64 {
        get {
            switch index {
            case 0: words.0
            case 1: words.1
            case 2: words.2
            default: words.3
            }
        }
        set {
            switch index {
            case 0: words.0 = newValue
            case 1: words.1 = newValue
            case 2: words.2 = newValue
            default: words.3 = newValue
            }
        }
    }

    subscript(vector: UInt8) -> Bool {
        get { self[word: vector >> 6] >> UInt64(vector & 63) & 1 != 0 }
        set {
            let bit: UInt64 = 1 << UInt64(vector & 63)
            if newValue { self[word: vector >> 6] |= bit } else { self[word: vector >> 6] &= ~bit }
        }
    }

    /// The 32 vectors of one register, `index` 0...7.
    func register(_ index: UInt8) -> UInt32 {
        UInt32(truncatingIfNeeded: self[word: (index >> 1) & 3] >> (index & 1 == 0 ? 0 : 32))
    }

    /// The highest vector in the set: the one of the highest priority.
    var highest: UInt8? {
        for index in (UInt8(0)...3).reversed() where self[word: index] != 0 {
            return index << 6 | UInt8(63 - self[word: index].leadingZeroBitCount)
        }
        return nil
    }
}
