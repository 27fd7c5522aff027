internal import Glibc
internal import OCICommandLine

exit(OCICommandLine.run(Array(CommandLine.arguments.dropFirst())))
