import ArgumentParser
import DiskImage
internal import Glibc

/// `viv disk compare`.
struct DiskCompare: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare what two images read as.",
        discussion: """
            EXIT STATUS
              0      they are the same
              1      they differ
              2      an image could not be opened or read: one line says why
              64     the command line was not understood
            """
    )

    @Option(name: .customShort("f"), help: ArgumentHelp("The first image's format.", valueName: "format"))
    var format: DiskImageFormat?
    @Option(name: .customShort("F"), help: ArgumentHelp("The second image's format.", valueName: "format"))
    var otherFormat: DiskImageFormat?
    @Flag(name: .customShort("s"), help: "Sizes and allocation count too.")
    var isStrict = false
    @Flag(name: .customShort("p"), help: "Print the progress.")
    var showsProgress = false
    @Flag(name: .customShort("q"), help: "Print nothing.")
    var isQuiet = false
    @Flag(
        name: [.customShort("U"), .customLong("force-share")],
        help: "Read even while another process writes to them."
    )
    var isShared = false
    @Option(name: .customShort("T"), help: .hidden)
    var cache: DiskCacheMode?
    @Argument(help: "The two images.")
    var paths: [String]

    func validate() throws {
        guard paths.count == 2 else { throw ValidationError("two images are needed") }
    }

    func run() throws {
        let progress = DiskProgress(isAsked: showsProgress, isQuiet: isQuiet)
        let outcome: ImageComparison.Outcome
        let sizes: (UInt64, UInt64)
        do throws(DiskImageError) {
            let locking = isShared ? ImageFileLocking.sharing : .usual
            let one = try OpenedDiskImage(
                path: paths[0],
                DiskImageOptions(format: format, isReadOnly: true, locking: locking)
            )
            let two = try OpenedDiskImage(
                path: paths[1],
                DiskImageOptions(format: otherFormat, isReadOnly: true, locking: locking)
            )
            sizes = (one.image.byteCount, two.image.byteCount)
            outcome = try ImageComparison.compare(one.image, two.image, isStrict: isStrict, progress: progress.show)
        } catch {
            Console.say("viv: \(CommandFailure(error))")
            Glibc.exit(2)
        }
        progress.finish()
        if !isQuiet, !isStrict, sizes.0 != sizes.1 { print("Warning: Image size mismatch!") }
        switch outcome {
        case .identical: if !isQuiet { print("Images are identical.") }
        case .differs(let offset):
            if !isQuiet { Console.write("Content mismatch at offset \(offset)!\n", to: STDOUT_FILENO) }
            Glibc.exit(1)
        case .sizesDiffer:
            if !isQuiet { Console.write("Strict mode: Image size mismatch!\n", to: STDOUT_FILENO) }
            Glibc.exit(1)
        }
    }
}
