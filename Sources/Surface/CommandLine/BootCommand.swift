public import ArgumentParser
internal import Boot
internal import Glibc
internal import Networking
internal import VirtioBlock
internal import VirtualMachine
internal import X86
internal import X86Translator

/// `viv boot`: one machine from kernel or firmware to its end.
public struct BootCommand: ParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "boot",
        abstract: "Start a kernel, or firmware with disks, on an emulated PC.",
        discussion: """
            The machine is a PC with local and I/O APICs, PCI Express, virtio devices and an ACPI \
            description of itself. Its kernel may be a Linux bzImage, an ELF file with a PVH note, or a \
            multiboot kernel.

            THE TERMINAL
              With --serial stdio and a terminal on standard input, every key goes to
              the guest, but for:
                Ctrl-]        end the machine
                Ctrl-A x      end the machine
                Ctrl-A a      send one Ctrl-A to the guest
              Without a terminal, standard input is sent to the guest's serial port
              up to its end.

            EXAMPLES
              A kernel, an initramfs and a shell on this terminal:
                viv boot --kernel vmlinuz --initrd initrd.img --append console=ttyS0

              The same with a static busybox as the whole system:
                viv boot --kernel vmlinuz --busybox /bin/busybox

              One command there, and its exit status here:
                viv boot --kernel vmlinuz --busybox /bin/busybox --append quiet \\
                  --command 'uname -a'

              Two processors, 2 GiB and two disks, one of which is not written to:
                viv boot --kernel vmlinuz --append 'root=/dev/vda1 console=ttyS0' \\
                  --cpus 2 --memory 2G --disk root.img --disk data.img,readonly

              A disk that boots by itself, through Debian's SeaBIOS:
                viv boot --firmware /usr/share/seabios/bios-256k.bin --disk disk.img

              A machine that can be put away, and taken up again:
                viv boot --kernel vmlinuz --disk root.img --control vm.sock
                viv control vm.sock pause && viv control vm.sock save vm.state
                viv control vm.sock quit
                viv boot --load vm.state --disk root.img

              A network without privileges, and the guest's ssh on port 2222 here:
                viv boot --kernel vmlinuz --append root=/dev/vda1 --disk root.img \\
                  --net user,hostfwd=tcp:127.0.0.1:2222-:22

              What the guest does with its devices, in a file:
                viv boot --kernel vmlinuz --trace io,exceptions:guest.log

              Where the guest spends its time, with its own names:
                viv boot --kernel vmlinuz --busybox busybox --append quiet \\
                  --command 'cat /proc/kallsyms' >kallsyms
                viv boot --kernel vmlinuz --profile folded.txt --symbols kallsyms

            EXIT STATUS
              0      the guest powered off
              1      a file or the host stood in the way; one line says which
              2n+1   the guest wrote n to port 0xF4 (isa-debug-exit), modulo 256
              4      the guest reset, and --no-reboot was given
              6      the guest ended in a triple fault, and --no-reboot was given
              8      the user ended the machine by Ctrl-] or Ctrl-A x
              64     the command line was not understood
              With --command, the status is that of the guest's command in place of 0
              and 2n+1.
            """
    )

    @Option(help: ArgumentHelp("The kernel to start.", valueName: "file"))
    var kernel: String?

    @Option(help: ArgumentHelp("An initial RAM disk or initramfs for the kernel.", valueName: "file"))
    var initrd: String?

    @Option(
        help: ArgumentHelp(
            "Make an initramfs of this static busybox: a shell on the serial port.",
            valueName: "file"
        )
    )
    var busybox: String?

    @Option(
        help: ArgumentHelp(
            "Run this in the shell of --busybox and end; its exit status becomes that of viv.",
            valueName: "command"
        )
    )
    var command: String?

    @Option(help: ArgumentHelp("The kernel's command line.", valueName: "words"))
    var append: String = ""

    @Option(help: ArgumentHelp("A BIOS image to start from, such as SeaBIOS.", valueName: "file"))
    var firmware: String?

    @Option(
        help: ArgumentHelp(
            "Go on from what 'save' of --control wrote; --kernel or --firmware are then for resets alone.",
            valueName: "file"
        )
    )
    var load: String?

    @Option(
        help: ArgumentHelp(
            "Serve requests such as pause, save and quit on a Unix socket; see viv control.",
            valueName: "socket"
        )
    )
    var control: String?

    @Option(help: ArgumentHelp("RAM: a number with K, M, G or T; without, MiB.", valueName: "size"))
    var memory = BootCommand.usualMemory

    @Option(help: ArgumentHelp("How many processors.", valueName: "count"))
    var cpus = BootCommand.usualProcessorCount

    @Option(help: ArgumentHelp("The CPU model that the guest sees; 'help' lists them.", valueName: "model"))
    var cpu = BootCommand.usualModel

    /// The model that the option means, or nil.
    private var model: CPUModel? { cpu == "auto" ? TranslatorHost.model : CPUModel.named(cpu) }

    @Option(
        help: ArgumentHelp(
            "An image as a virtio disk: raw, unless its name ends in .qcow2 or format= says otherwise. Repeatable.",
            discussion: """
                Options: readonly, format=raw|qcow2, serial=TEXT, queues=N (one for each processor, up to 4), \
                iops=N requests a second, bps=N[K|M|G] bytes a second. What a raw image's first bytes look like is never \
                believed, for its guest may have written them.
                """,
            valueName: "file[,option...]"
        )
    )
    var disk: [DiskConfiguration] = []

    @Option(
        help: ArgumentHelp(
            "What follows when the host cannot carry out a disk request: auto, pause, report or retry.",
            discussion: """
                auto: a full disk holds the guest until there is room, other failures are I/O errors to the guest. \
                pause: every failure holds the guest. report: every failure is an I/O error. \
                retry: every failure holds the request alone. What is held is tried again every second.
                """,
            valueName: "reaction"
        )
    )
    var onDiskError = DiskFailureReaction.automatic

    @OptionGroup(title: "Services")
    var services: ServiceOptions

    @Option(
        help: ArgumentHelp(
            """
            A network port: user, tap=NAME, lan=NAME or none, then options; Docs/network.md has them. Repeatable. (default: \
            user)
            """,
            valueName: "network[,option=value]"
        ),
        transform: { try NetworkConfiguration($0) }
    )
    var net: [NetworkConfiguration] = []

    @Option(help: ArgumentHelp("Write the frames of every network port to a pcap file.", valueName: "file"))
    var pcap: String?

    @Option(
        help: ArgumentHelp(
            "The first serial port: stdio, none, pty, file:PATH or unix:PATH.",
            valueName: "port"
        )
    )
    var serial = SerialPort.standardIO

    @Flag(help: "Connect a virtio console (hvc0) to --serial in the serial port's place; the kernel needs its driver.")
    var virtioConsole = false

    @Option(help: "What executes the guest's code; auto takes the fastest there is.")
    var engine = EngineOption.auto

    @Option(
        help: ArgumentHelp(
            "The guest's time: the host's, or one nanosecond an executed instruction, the same in every run. Random"
                + " numbers and the date remain the host's: equal runs need a CPU without RDRAND (x86-64-v2)."
        )
    )
    var clock = ClockOption.host

    @Flag(help: "End when the guest resets or triple-faults, instead of starting again.")
    var noReboot = false

    @Option(
        help: ArgumentHelp(
            "Log these events, separated by commas, to standard error or FILE: exits, exceptions, io, blocks, all.",
            valueName: "list[:file]"
        )
    )
    var trace: TraceConfiguration?

    @Flag(help: "Print counters to standard error at the end.")
    var stats = false

    @Option(
        help: ArgumentHelp(
            "Sample where the guest is: stacks for flame graphs in FILE, hot addresses on standard error.",
            valueName: "file"
        )
    )
    var profile: String?

    @Option(
        help: ArgumentHelp("Names for --profile: a System.map, or the guest's /proc/kallsyms.", valueName: "file")
    )
    var symbols: String?

    @Flag(help: "Tell perf the names of translated code, in /tmp/perf-PID.map.")
    var perfMap = false

    public init() {}

    public func validate() throws {
        if cpu == "help" { return }
        if let refusal = engine.refusal { throw ValidationError(refusal) }
        if load == nil, kernel == nil, firmware == nil {
            throw ValidationError("what to start is missing: give --kernel or --firmware")
        }
        if firmware != nil, kernel != nil || initrd != nil || !append.isEmpty || busybox != nil {
            throw ValidationError("--firmware starts the disks: it goes with neither --kernel nor what belongs to it")
        }
        if busybox != nil, initrd != nil {
            throw ValidationError("--busybox makes the initramfs: it does not go with --initrd")
        }
        if command != nil, busybox == nil { throw ValidationError("--command needs --busybox") }
        if model == nil {
            throw ValidationError("there is no CPU model '\(cpu)': see --cpu help")
        }
        guard (1...MachineConfiguration.processorLimit).contains(cpus) else {
            throw ValidationError("--cpus \(cpus): 1 to \(MachineConfiguration.processorLimit) are possible")
        }
        if pcap != nil, !net.isEmpty, net.allSatisfy({ $0.kind == .none }) {
            throw ValidationError("--pcap needs a network: --net is none")
        }
        if symbols != nil, profile == nil { throw ValidationError("--symbols needs --profile") }
        guard memory.bytes >= 2 << 20 else { throw ValidationError("--memory \(memory): at least 2M are needed") }
    }

    public func run() throws {
        if cpu == "help" { return Self.listModels() }
        let status: Int32
        do throws(CommandFailure) { status = try boot() } catch { throw error }
        Glibc.exit(status)
    }

    private static func listModels() {
        let width = CPUModel.all.map(\.name.count).max() ?? 0
        print(
            "auto" + String(repeating: " ", count: width - 2)
                + "\(TranslatorHost.model.name): what this host's CPU runs well (the default)"
        )
        for model in CPUModel.all {
            print(model.name + String(repeating: " ", count: width - model.name.count + 2) + model.summary)
        }
    }

    private func boot() throws(CommandFailure) -> Int32 {
        let choice = engine.choice(clock: clock, trace: trace?.events ?? [])
        var configuration = try makeConfiguration(choice)
        let profiling = try profile.map { path throws(CommandFailure) in try ProfileOutput(path, symbols: symbols) }
        let saved = try load.map { path throws(CommandFailure) in try takeUp(path, &configuration) }
        let control = MachineControl()
        let server = try serve(control)
        defer { server?.close() }
        let isInteractive = serial == .standardIO && RawTerminal.isTerminal
        let outcome: MachineOutcome
        var machine: VirtualMachine
        do throws(MachineError) {
            let backend = try SerialBackend(serial, filter: isInteractive ? Self.escapes(control) : nil)
            if let path = backend.terminalPath { Console.say("viv: the serial port is \(path)") }
            let log: MachineTrace? = if let trace { try MachineTrace(trace) } else { nil }
            machine = try VirtualMachine(
                configuration,
                serial: backend,
                control: control,
                trace: log,
                profile: profiling?.profile,
                saved: saved
            )
        } catch {
            throw CommandFailure(error)
        }
        if isInteractive {
            Console.say("viv: Ctrl-] or Ctrl-A x ends the machine, Ctrl-A a sends Ctrl-A")
            RawTerminal.enter()
        }
        do throws(MachineError) { outcome = try machine.run() } catch {
            RawTerminal.restore()
            throw CommandFailure(error)
        }
        RawTerminal.restore()
        if isInteractive, outcome == .quit { Console.say("\nviv: \(outcome)") }
        if stats {
            Console.say("machine  engine  \(choice)")
            for report in machine.reports { Console.say("\(report)") }
        }
        if engine == .check { sayWhatWasChecked(machine) }
        try profiling?.write(systemCallEntry: machine.systemCallEntry)
        return ExitStatus.status(of: outcome, plain: command != nil)
    }

    /// What `--engine check` compared, and what it let differ.
    private func sayWhatWasChecked(_ machine: VirtualMachine) {
        for line in machine.checkFigures { Console.say("viv: \(line)") }
    }

    /// Ends the machine where the user types an escape.
    private static func escapes(_ control: MachineControl) -> SerialBackend.InputFilter {
        let keys = SharedEscapeFilter()
        return { typed in
            let (bytes, quits) = keys.filter(typed)
            if quits { control.end(.quit) }
            return bytes
        }
    }

    private func makeConfiguration(_ choice: EngineChoice) throws(CommandFailure) -> MachineConfiguration {
        guard let model else { throw CommandFailure("there is no CPU model '\(cpu)'") }
        var configuration = MachineConfiguration(
            boot: try kernel == nil && firmware == nil ? .saved(firmwareByteCount: 0) : bootSource(),
            memoryByteCount: memory.bytes,
            processorCount: cpus,
            model: model,
            disks: disk,
            networks: net.isEmpty ? Self.usualNetworks : net,
            capturePath: pcap,
            serial: serial,
            clock: clock == .host ? .host : .instructions,
            hasVirtioConsole: virtioConsole,
            restartsOnReset: !noReboot,
            engine: choice.kind,
            countsInstructions: stats,
            writesPerfMap: perfMap
        )
        configuration.services = services.configuration
        configuration.diskFailures = onDiskError
        return configuration
    }

    private func bootSource() throws(CommandFailure) -> BootSource {
        do throws(BootError) {
            if let firmware { return .firmware(try HostFile.read(firmware)) }
            // The kernel first: where both are missing, it is named.
            let image = try HostFile.read(kernel ?? "")
            var ramDisk = try initrd.map { path throws(BootError) in try HostFile.read(path) }
            if let busybox { ramDisk = try InitramfsCommand.makeImage(busybox: busybox, command: command) }
            return .kernel(image, initrd: ramDisk, commandLine: commandLine)
        } catch {
            throw CommandFailure(error)
        }
    }

    /// The words of `--append`; with `--busybox` the console is the serial port unless they name another.
    private var commandLine: String {
        guard busybox != nil, !append.contains("console=") else { return append }
        return append.isEmpty ? "console=ttyS0" : "console=ttyS0 " + append
    }
}
