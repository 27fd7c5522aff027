import Engine
import X86
import X86Decoder

extension Core {
    /// Runs blocks until an event is pending, the engine has to be left, or `end` instructions have been executed.
    func runBlocks(until end: UInt64) {
        let s = state
        // With interrupts off a pending interrupt must not stop the loop; whatever changes that leaves the block.
        var wanted = UInt32.max
        if s.systemFlags & RFlags.interruptEnable == 0 || s.interruptShadow != 0 {
            wanted &= ~Interpreter.Pending.interrupt
        }
        if nonMaskableBlocked { wanted &= ~Interpreter.Pending.nonMaskable }
        let isTracingBlocks = services.traced.contains(.blocks)
        if needsCarefulStep { return stepCarefully() }
        do throws(Fault) {
            repeat {
                let block = try block(at: s.rip)
                services.counters.blocksEntered &+= 1
                if isTracingBlocks { traceBlock(block) }
                guard runBlock(block, count: block.count) else { return }
            } while s[dword: CPUState.pendingEventsOffset] & wanted == 0 && s.instructionCount < end
        } catch {
            raise(error)
        }
    }

    /// Whether there is more to the next instruction than running it: an interrupt shadow, a device's answers, debugging.
    @inline(__always)
    var needsCarefulStep: Bool {
        let s = state
        return s.interruptShadow != 0 || s.systemFlags & (RFlags.tf | RFlags.rf) != 0
            || s.debugRegister(7) & 0xFF != 0 || services.hasAnswers
    }

    /// Runs exactly one instruction, or delivers its fault, or leaves a device read that it needs.
    @inline(__always)
    func step() {
        if needsCarefulStep { return stepCarefully() }
        do throws(Fault) {
            _ = runBlock(try block(at: state.rip, longest: 1), count: 1)
        } catch {
            raise(error)
        }
    }

    /// Runs one instruction, with the debug exceptions and the end of an interrupt shadow around it.
    @inline(never)
    private func stepCarefully() {
        let s = state
        let shadow = s.interruptShadow
        let wasTracing = s.systemFlags & RFlags.tf != 0
        let resumes = s.systemFlags & RFlags.rf != 0
        if !resumes, shadow != 2, instructionBreakpoint(at: s.rip) {
            return raise(.exception(ExceptionVector.debug))
        }
        do throws(Fault) {
            let block = try block(at: s.rip, longest: 1)
            s.interruptShadow = 0
            if resumes { s.systemFlags &= ~RFlags.rf }
            let (start, before) = (s.rip, s.instructionCount)
            let isRepeated = !block.first.pointee.prefixes.isDisjoint(with: [.repeatEqual, .repeatNotEqual])
            _ = runBlock(block, count: 1)
            // A repeated instruction with iterations left is still the one that resumes (SDM 3B §17.3.1.1).
            if resumes, isRepeated, s.rip == start { s.systemFlags |= RFlags.rf }
            // Not finished: it faulted, or waits for a device.
            guard s.instructionCount != before else {
                if services.neededRead != nil {
                    s.interruptShadow = shadow
                    if resumes { s.systemFlags |= RFlags.rf }
                }
                return
            }
            services.forgetAnswers()
            if let trap = debugTrapAfterInstruction(wasTracing: wasTracing) { raise(trap) }
        } catch {
            raise(error)
        }
    }

    @inline(never)
    private func traceBlock(_ block: Block) {
        let physical = services.codeCache.physicalAddress(of: block)
        services.record(.blocks) { .block(rip: state.rip, physical: physical) }
    }

    /// PAUSE: a loop that waits for another vCPU lets it have its turn, since vCPUs share one thread.
    func pause() {
        guard services.cpuCount > 1 else { return }
        services.yields = true
        leaveBlock()
    }

    /// Delivers a fault of the instruction at RIP.
    @inline(never)
    func raise(_ fault: Fault) {
        guard fault.kind != .exit else { return }
        services.forgetAnswers()
        services.counters.exceptions &+= 1
        services.record(.exceptions) {
            .exception(
                vector: fault.vector,
                errorCode: fault.kind == .exceptionWithCode ? fault.errorCode : nil,
                rip: state.rip,
                address: fault.address
            )
        }
        deliver(fault)
    }

    /// Takes back the effects of a started instruction and raises its fault.
    @inline(never)
    func fail(_ i: Instruction, at rip: UInt64, _ fault: Fault) {
        state.rip = rip
        var fault = fault
        if fault.vector == ExceptionVector.generalProtection, fault.address != 0, i.pointee.segment == 2, state.isLong64
        {
            fault = .stack()
        }
        raise(fault)
    }
}
