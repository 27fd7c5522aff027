internal import CTranslator
internal import HostCode
internal import X86
public import X86Interpreter

/// Translated code that the vCPUs of one machine share; they take turns on one thread.
public final class TranslationCache: @unchecked Sendable {
    // SAFETY: used only by the one thread that runs the machine's vCPUs in turn.
    let store: TranslationStore
    let stubs: Stubs

    /// Makes a cache of at most `byteCount` bytes of code, which hears of changed code through `interpreted`.
    ///
    /// Throws where the host cannot run translated code.
    /// `observation`: The one of the vCPUs.
    public init(
        _ interpreted: InterpreterCodeCache,
        byteCount: Int = 128 << 20,
        observation: TranslatorObservation? = nil
    ) throws(TranslatorError) {
        guard HostRequirements.areMet else { throw .hostLacks(HostRequirements.missing) }
        guard ctranslator_install() == 0 else { throw .signals }
        let store: TranslationStore
        do throws(HostCodeError) {
            store = try TranslationStore(byteCount: byteCount, isAnonymous: observation?.hasPerfMap == true)
        } catch { throw .code(error) }
        var emitter = Emitter(base: store.code.writableBase, offset: 0)
        stubs = Stubs(&emitter, usesAVX: HostRequirements.features.contains(.avx))
        store.firstOffset = (emitter.offset + 63) & ~63
        store.used = store.firstOffset
        store.linkStub = stubs.link
        self.store = store
        interpreted.onInvalidation = { page in
            store.invalidations &+= 1
            store.invalidatedBlocks &+= UInt64(store.removeBlocks(hostPage: page))
        }
    }
}
