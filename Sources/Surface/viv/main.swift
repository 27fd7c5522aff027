import ArgumentParser
import CommandLine

Viv.main()
