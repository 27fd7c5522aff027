internal import Glibc
internal import LegacyDevices
internal import MachineState
internal import VirtioBalloon
internal import VirtioBlock

extension VirtualMachine {
    /// Serves what was asked for, and goes on doing so for as long as the machine stands still; on the machine's thread.
    func serveRequests() {
        repeat {
            isHeld = control.takeHold()
            standStillIfNeeded()
            for pending in control.takeRequests() { pending.answer(answer(to: pending.request)) }
            if isPaused || isHeld, !control.wantsAttention { control.sleep() }
        } while (isPaused || isHeld) && control.outcome == nil
    }

    private var condition: MachineCondition { isPaused ? .paused : isHeld ? .ioError : .running }

    private func answer(to request: ControlRequest) -> ControlAnswer {
        switch request {
        case .status: break
        case .pause: isPaused = true
        case .resume:
            isPaused = false
            for disk in machine.pci.disks { disk.retryHeld() }
        case .save(let path): return save(to: path)
        case .stats: return .stats(reports, condition)
        case .balloon(let byteCount):
            guard let balloon = machine.pci.balloon else {
                return .refused("the machine has no balloon: start it with --balloon")
            }
            balloon.setTarget(byteCount: byteCount)
        case .powerButton: machine.legacy.powerManagement.pressPowerButton()
        case .reset: control.end(.reset)
        case .quit: control.end(.quit)
        }
        standStillIfNeeded()
        return .done(condition)
    }

    /// Stops or starts the machine where somebody wants it to be otherwise.
    private func standStillIfNeeded() {
        let wanted = isPaused || isHeld
        guard wanted != standsStill else { return }
        standsStill = wanted
        if wanted {
            runner.settle()
            machine.pause()
        } else {
            machine.resume()
        }
    }

    private func save(to path: String) -> ControlAnswer {
        guard !path.isEmpty else { return .refused("a file is missing: save FILE") }
        let wasPaused = isPaused
        isPaused = true
        standStillIfNeeded()
        defer {
            isPaused = wasPaused
            standStillIfNeeded()
        }
        do throws(StateError) { try machine.save(to: path) } catch { return .refused("\(error)") }
        var status = stat()
        let byteCount = unsafe stat(path, &status) == 0 ? UInt64(clamping: status.st_size) : 0
        return .saved(path: path, byteCount: byteCount, wasPaused ? .paused : .running)
    }
}
