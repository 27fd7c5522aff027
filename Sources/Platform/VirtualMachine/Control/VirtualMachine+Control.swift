internal import Glibc
internal import LegacyDevices
internal import MachineState

extension VirtualMachine {
    /// Serves what was asked for, and goes on doing so for as long as the machine stands still; on the machine's thread.
    func serveRequests() {
        repeat {
            for pending in control.takeRequests() { pending.answer(answer(to: pending.request)) }
            if isPaused, !control.wantsAttention { control.sleep() }
        } while isPaused && control.outcome == nil
    }

    private func answer(to request: ControlRequest) -> ControlAnswer {
        switch request {
        case .status: return .done(isPaused: isPaused)
        case .pause: pause()
        case .resume: resume()
        case .save(let path): return save(to: path)
        case .stats: return .stats(reports, isPaused: isPaused)
        case .powerButton: machine.legacy.powerManagement.pressPowerButton()
        case .reset: control.end(.reset)
        case .quit: control.end(.quit)
        }
        return .done(isPaused: isPaused)
    }

    private func pause() {
        guard !isPaused else { return }
        runner.settle()
        machine.pause()
        isPaused = true
    }

    private func resume() {
        guard isPaused else { return }
        isPaused = false
        machine.resume()
    }

    private func save(to path: String) -> ControlAnswer {
        guard !path.isEmpty else { return .refused("a file is missing: save FILE") }
        let wasPaused = isPaused
        pause()
        defer { if !wasPaused { resume() } }
        do throws(StateError) { try machine.save(to: path) } catch { return .refused("\(error)") }
        var status = stat()
        let byteCount = unsafe stat(path, &status) == 0 ? UInt64(clamping: status.st_size) : 0
        return .saved(path: path, byteCount: byteCount, isPaused: wasPaused)
    }
}
